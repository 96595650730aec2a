"""Which keyframes are chosen, in which order, from how many videos."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from ava_det.structures import Keyframe
from ava_det.suggest import Labeled, Pool, choose_keyframes
from ava_det.suggest.selection import WEIGHTS


def make_pool(
    videos: str, features: list[float], sizes: list[int] | None = None, score: float = 0.0
) -> Pool:
    """A keyframe for each letter of `videos`, with one feature and one action a person."""
    sizes = sizes or [1] * len(videos)
    keyframes = [
        Keyframe(video, float(second), torch.zeros(size, 4), None, torch.ones(size))
        for second, (video, size) in enumerate(zip(videos, sizes, strict=True))
    ]
    return Pool(keyframes, torch.tensor(features)[:, None], torch.full((len(features), 1), score))


NOTHING = Labeled(torch.zeros(0, 1), torch.zeros(1))


def test_novelty_alone_is_k_centre_greedy() -> None:
    pool = make_pool("abcde", [1.0, 2.0, 6.0, 10.0, 10.1])
    chosen = choose_keyframes(pool, Labeled(torch.zeros(1, 1), torch.zeros(1)), 3)
    assert [one.index for one in chosen] == [4, 2, 1]
    assert chosen[0].shares.novelty == 1
    assert chosen[0].score == pytest.approx(WEIGHTS.novelty)
    assert [one.reasons.novelty for one in chosen] == sorted(
        (one.reasons.novelty for one in chosen), reverse=True
    )


def test_a_keyframe_counts_all_its_persons() -> None:
    """Two persons at a middle distance are more than one far away."""
    pool = make_pool("ab", [6.0, 5.0, 9.0], [2, 1])
    first, second = choose_keyframes(pool, Labeled(torch.zeros(1, 1), torch.zeros(1)), 2)
    assert (first.index, second.index) == (0, 1)
    assert second.reasons.novelty == pytest.approx(first.reasons.novelty * 3 / 11)


def test_what_is_new_for_all_goes_by_uncertainty_and_rarity() -> None:
    scores = torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, 0.9]])
    keyframes = make_pool("abc", [1.0, 1.0, 1.0]).keyframes
    pool = Pool(keyframes, torch.ones(3, 1), scores)
    common = Labeled(torch.zeros(1, 1), torch.tensor([100.0, 100.0]))
    by_doubt = choose_keyframes(pool, common, 3)
    assert {one.index: one.shares.uncertainty for one in by_doubt} == pytest.approx(
        {0: 0.0, 1: 1.0, 2: 0.2}
    )
    rare = Labeled(torch.zeros(1, 1), torch.tensor([100.0, 0.0]))
    assert choose_keyframes(pool, rare, 1)[0].index == 2


def test_a_video_gives_twice_its_share_and_more_only_where_nothing_else_is_left() -> None:
    pool = make_pool("a" * 10 + "bcde", [float(number) for number in range(10, 24)])
    videos = [pool.keyframes[one.index].video_id for one in choose_keyframes(pool, NOTHING, 5)]
    assert Counter(videos)["a"] <= 2
    videos = [pool.keyframes[one.index].video_id for one in choose_keyframes(pool, NOTHING, 12)]
    assert Counter(videos) == {"a": 8, "b": 1, "c": 1, "d": 1, "e": 1}


@pytest.mark.parametrize("count", [1, 4, 9])
def test_no_keyframe_is_chosen_twice_and_no_more_than_there_are(count: int) -> None:
    pool = make_pool("aabb", [1.0, 1.0, 1.0, 1.0])
    chosen = [one.index for one in choose_keyframes(pool, NOTHING, count)]
    assert len(chosen) == len(set(chosen)) == min(count, 4)
