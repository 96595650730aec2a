"""The order of clips: fixed by seed and epoch, complete, and local to whoever reads it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ava_det.data.samplers import TrainBatchSampler, VideoBatchSampler, cut
from ava_det.structures import Keyframe


def batches(
    num_clips: int, batch_size: int, epoch: int = 0, rank: int = 0, world_size: int = 1
) -> list[list[int]]:
    sampler = TrainBatchSampler(num_clips, batch_size, 7, rank, world_size)
    sampler.epoch = epoch
    return list(sampler)


@given(st.lists(st.integers(), max_size=40), st.integers(1, 9))
def test_a_cut_keeps_everything_in_order_and_is_even(items: list[int], count: int) -> None:
    parts = cut(items, count)
    assert [item for part in parts for item in part] == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(st.integers(8, 60), st.sampled_from([2, 4, 8]), st.integers(0, 5))
def test_ranks_share_a_global_batch(num_clips: int, batch_size: int, epoch: int) -> None:
    alone = batches(num_clips, batch_size, epoch)
    both = zip(*(batches(num_clips, batch_size, epoch, rank, 2) for rank in range(2)), strict=True)
    assert [first + second for first, second in both] == alone
    seen = [index for batch in alone for index in batch]
    assert len(set(seen)) == len(seen) == num_clips // batch_size * batch_size


@given(st.integers(8, 60), st.sampled_from([2, 4, 8]), st.integers(1, 5))
def test_parts_of_processes_are_the_batch_and_stay_in_their_stretch(
    num_clips: int, size: int, parts: int
) -> None:
    sampler = TrainBatchSampler(num_clips, size, 0)
    rounds = list(sampler.rounds(parts))
    assert [[index for part in round_ for index in part] for round_ in rounds] == list(sampler)
    reach = [[index for round_ in rounds for index in round_[part]] for part in range(parts)]
    filled = [indices for indices in reach if indices]
    assert all(max(before) < min(after) for before, after in itertools.pairwise(filled))


def test_an_epoch_shows_every_clip_in_another_order_and_leaves_out_others() -> None:
    first = batches(35, 8, 0)
    second = batches(35, 8, 1)
    assert first != second
    missing = [
        set(range(35)) - {index for batch in epoch for index in batch} for epoch in (first, second)
    ]
    assert missing[0] != missing[1]


def test_places_of_a_batch_are_not_read_in_the_order_of_time() -> None:
    column = [batch[3] for batch in batches(800, 8)]
    steps = torch.tensor(column).diff().abs().float()
    assert column != sorted(column)
    assert steps.mean() > 20  # of a stretch of 100; random pairs are a third of it apart


@given(st.integers(0, 7))
def test_a_resumed_epoch_goes_on_with_the_same_batches(first_batch: int) -> None:
    sampler = TrainBatchSampler(64, 8, 7)
    sampler.first_batch = first_batch
    assert list(sampler) == batches(64, 8)[first_batch:]
    assert len(sampler) == 8


def test_too_large_batches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"train\.batch_size: expected at most the 5"):
        TrainBatchSampler(5, 8, 0)
    with pytest.raises(ValueError, match="multiple of the 3 processes"):
        TrainBatchSampler(50, 8, 0, 0, 3)


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=6),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_evaluation_shards_are_exact(
    sizes: list[int], batch_size: int, world_size: int, num_parts: int
) -> None:
    empty = torch.zeros(0, 4), None, torch.zeros(0)
    keyframes = [
        Keyframe(f"v{v}", float(t), *empty)
        for v, size in enumerate(sizes)
        for t in reversed(range(size))
    ]
    seen: list[int] = []
    for rank in range(world_size):
        sampler = VideoBatchSampler(keyframes, batch_size, rank, world_size)
        assert len(sampler) == len(list(sampler))
        rounds = list(sampler.rounds(num_parts))
        # each process goes through its share in the order of time, once
        for part in range(num_parts):
            check_one_pass(keyframes, [round_[part] for round_ in rounds], batch_size)
        indices = [index for round_ in rounds for batch in round_ for index in batch]
        assert sorted(indices) == sorted(index for batch in sampler for index in batch)
        seen += indices
    assert sorted(seen) == list(range(len(keyframes)))


def check_one_pass(
    keyframes: list[Keyframe], batches: list[Sequence[int]], batch_size: int
) -> None:
    for batch in batches:
        assert len(batch) <= batch_size
        assert len({keyframes[index].video_id for index in batch}) <= 1
    moments = [
        (keyframes[index].video_id, keyframes[index].timestamp)
        for batch in batches
        for index in batch
    ]
    assert moments == sorted(moments)
