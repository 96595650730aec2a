from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ava_det.annotations import keyframes_from_annotations, load_annotations
from ava_det.data.dataset import ClipDataset, ClipReader
from ava_det.data.loader import ClipLoader, TrainBatchSampler, VideoBatchSampler, collate
from ava_det.data.transforms import View, draw_training_view, evaluation_view
from ava_det.data.video import VideoError, find_videos
from ava_det.structures import Clip, Keyframe


def make_clip(count: int, width: int, labelled: bool = True) -> Clip:
    labels = torch.ones(count, 3) if labelled else None
    keyframe = Keyframe("video", 1.0, torch.rand(count, 4), labels, torch.ones(count))
    frames = torch.randint(0, 256, (3, 4, 8, width), dtype=torch.uint8)
    return Clip(frames[:, ::4], frames, torch.rand(count, 4), labels, keyframe)


def test_collate_keeps_persons_and_pads_to_the_right() -> None:
    clips = [make_clip(2, 8), make_clip(0, 10), make_clip(1, 6)]
    batch = collate(clips)
    assert batch.rois[:, 0].tolist() == [0, 0, 2]
    torch.testing.assert_close(batch.rois[2, 1:], clips[2].boxes[0])
    assert batch.labels is not None
    assert batch.labels.shape == (3, 3)
    assert batch.fast is not None
    assert batch.fast.shape == (3, 3, 4, 8, 10)
    assert bool((batch.fast[2, :, :, :, :6] == clips[2].fast).all())
    assert bool((batch.fast[2, :, :, :, 6:] == 115).all())


def test_one_unlabelled_clip_makes_the_batch_unlabelled() -> None:
    assert collate([make_clip(1, 8), make_clip(1, 8, labelled=False)]).labels is None


@given(st.integers(8, 60), st.sampled_from([2, 4, 8]), st.integers(0, 5))
def test_ranks_share_a_global_batch(num_clips: int, batch_size: int, epoch: int) -> None:
    def batches(rank: int, world_size: int) -> list[list[int]]:
        sampler = TrainBatchSampler(num_clips, batch_size, 7, rank, world_size)
        sampler.epoch = epoch
        return list(sampler)

    alone = batches(0, 1)
    shared = [sorted(first + second) for first, second in zip(batches(0, 2), batches(1, 2), strict=True)]
    assert shared == [sorted(batch) for batch in alone]
    seen = [index for batch in alone for index in batch]
    assert len(set(seen)) == len(seen) == num_clips // batch_size * batch_size


def test_epochs_differ_and_too_large_batches_are_refused() -> None:
    sampler = TrainBatchSampler(32, 8, 0)
    first = list(sampler)
    sampler.epoch = 1
    assert list(sampler) != first
    with pytest.raises(ValueError, match=r"train\.batch_size: expected at most the 5"):
        TrainBatchSampler(5, 8, 0)
    with pytest.raises(ValueError, match="multiple of the 3 processes"):
        TrainBatchSampler(50, 8, 0, 0, 3)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.integers(1, 5), st.integers(1, 4))
def test_evaluation_shards_are_exact(sizes: list[int], batch_size: int, world_size: int) -> None:
    empty = torch.zeros(0, 4), None, torch.zeros(0)
    keyframes = [Keyframe(f"v{v}", float(t), *empty) for v, size in enumerate(sizes) for t in reversed(range(size))]
    seen = []
    for rank in range(world_size):
        for batch in VideoBatchSampler(keyframes, batch_size, rank, world_size):
            assert len({keyframes[index].video_id for index in batch}) == 1
            assert [keyframes[index].timestamp for index in batch] == sorted(keyframes[i].timestamp for i in batch)
            seen += batch
    assert sorted(seen) == list(range(len(keyframes)))


def make_dataset(synthetic: Path, cache_side: int | None = None) -> ClipDataset:
    keyframes = keyframes_from_annotations(load_annotations(synthetic / "train.csv"), 80)

    def view_for(generator: torch.Generator) -> View:
        return draw_training_view((32, 40), 32, True, 0.1, generator)

    reader = ClipReader(16, 4, 30.0, np.arange(0, 16, 4), np.arange(16))
    return ClipDataset(keyframes, find_videos(synthetic / "videos"), 900.0, reader, view_for, 0, cache_side)


def test_a_clip_has_its_frames_boxes_and_labels(synthetic: Path) -> None:
    clip = make_dataset(synthetic)[0]
    assert clip.slow is not None
    assert clip.fast is not None
    assert clip.slow.shape == (3, 4, 32, 32)
    assert clip.fast.shape == (3, 16, 32, 32)
    assert bool((clip.slow == clip.fast[:, ::4]).all())
    assert clip.boxes.shape == (len(clip.keyframe.boxes), 4)
    assert clip.labels is not None
    assert bool(clip.labels.any(dim=1).all())


def test_a_sample_depends_on_seed_epoch_and_index_alone(synthetic: Path) -> None:
    first, second = make_dataset(synthetic), make_dataset(synthetic)
    second[7]  # another reading order
    torch.testing.assert_close(first[3].fast, second[3].fast)
    torch.testing.assert_close(first[3].boxes, second[3].boxes)
    second.epoch = 1
    assert not torch.equal(first[3].boxes, second[3].boxes)


def test_workers_and_this_process_give_the_same_batches(synthetic: Path) -> None:
    def batches(num_workers: int) -> list[torch.Tensor]:
        dataset = make_dataset(synthetic)
        loader = ClipLoader(dataset, TrainBatchSampler(len(dataset), 4, 0), num_workers)
        loader.set_epoch(2)
        return [batch.fast for batch in loader if batch.fast is not None]

    for here, there in zip(batches(0), batches(2), strict=True):
        torch.testing.assert_close(here, there)


def test_the_cache_changes_nothing_at_its_own_size(synthetic: Path) -> None:
    plain, cached = make_dataset(synthetic), make_dataset(synthetic, cache_side=40)
    cached.fill_cache(iter)
    for dataset in (plain, cached):
        dataset._view_for = lambda _: View(40)
    for index in (0, 5, 11):
        torch.testing.assert_close(plain[index].fast, cached[index].fast)


def test_a_dataset_travels_to_workers_that_share_no_memory(synthetic: Path) -> None:
    dataset = make_dataset(synthetic)
    dataset._view_for = partial(evaluation_view, short_side=32)
    first = dataset[0].fast  # a decoder is open now, and stays here
    torch.testing.assert_close(pickle.loads(pickle.dumps(dataset))[0].fast, first)


def test_a_bad_video_in_a_worker_is_still_one_sentence(synthetic: Path, tmp_path: Path) -> None:
    dataset = make_dataset(synthetic)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video" * 50)
    dataset._videos = dict.fromkeys(dataset._videos, bad)
    dataset._view_for = partial(evaluation_view, short_side=32)
    with pytest.raises(VideoError, match=r"^\S*bad\.mp4: cannot be opened as a video \([^\n]*\)$"):
        list(ClipLoader(dataset, TrainBatchSampler(len(dataset), 4, 0), num_workers=1))


def test_a_missing_video_is_named(synthetic: Path) -> None:
    keyframes = [Keyframe("elsewhere", 1.0, torch.rand(1, 4), None, torch.ones(1))]
    reader = ClipReader(4, 4, 30.0, np.arange(4), None)
    with pytest.raises(VideoError, match="no video file for video id elsewhere"):
        ClipDataset(keyframes, find_videos(synthetic / "videos"), 0.0, reader, lambda _: View(32), 0)
