"""YOWO's linking: the best path, found by trying all paths too."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from ava_det.linking.tube import LinkedTube
from ava_det.linking.viterbi import link_by_viterbi, suppress_tubes


def make_frames(seed: int, counts: list[int]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    frames = []
    for count in counts:
        corners = rng.uniform(0, 300, (count, 2))
        sizes = rng.uniform(40, 120, (count, 2))
        scores = rng.uniform(0, 1, (count, 1))
        frames.append(np.concatenate([corners, corners + sizes, scores], axis=1))
    return frames


def iou(first: np.ndarray, second: np.ndarray) -> float:
    sides = np.minimum(first[2:4], second[2:4]) - np.maximum(first[:2], second[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    areas = [float(np.prod(box[2:4] - box[:2])) for box in (first, second)]
    return shared / (sum(areas) - shared)


def earned(path: list[np.ndarray]) -> float:
    total = 0.0
    for here, there in pairwise(path):
        total += iou(here, there) + here[4] + there[4] + 0.5 * here[4] * there[4]
    return total


@pytest.mark.parametrize("seed", range(8))
def test_the_first_path_is_the_best_of_all(seed: int) -> None:
    frames = make_frames(seed, [3, 2, 4, 3, 2])
    paths = [
        [frame[index] for frame, index in zip(frames, choice, strict=True)]
        for choice in product(*(range(len(frame)) for frame in frames))
    ]
    best = max(paths, key=earned)
    tubes = link_by_viterbi(frames)
    found = max(tubes, key=lambda tube: earned(list(tube.rows[:, 1:])))
    assert earned(list(found.rows[:, 1:])) == pytest.approx(earned(best), abs=1e-4)


def test_a_box_is_on_one_path_only_and_every_path_spans_the_video() -> None:
    tubes = link_by_viterbi(make_frames(1, [5, 3, 6, 4, 5, 3]))
    assert 1 <= len(tubes) <= 3
    rows = [tuple(row) for tube in tubes for row in tube.rows]
    assert len(rows) == len(set(rows))
    assert all(tube.rows[:, 0].tolist() == [1, 2, 3, 4, 5, 6] for tube in tubes)
    scores = [tube.score for tube in tubes]
    assert scores == sorted(scores, reverse=True)


def test_paths_are_as_many_as_the_frame_with_fewest_boxes() -> None:
    rows = [[0, 0, 40, 80, 0.9], [100, 0, 140, 80, 0.8], [200, 0, 240, 80, 0.7]]
    both = np.array(rows[:2], dtype=float)
    three = np.array(rows, dtype=float)
    assert len(link_by_viterbi([three, both, three])) == 2
    assert len(link_by_viterbi([three] * 4)) == 3


def test_an_empty_frame_borrows_the_nearest_boxes() -> None:
    early = np.array([[0, 0, 40, 80, 0.9]])
    late = np.array([[5, 0, 45, 80, 0.7]])
    nothing = np.zeros((0, 5))
    [tube] = link_by_viterbi([nothing, early, nothing, late, nothing])
    assert tube.rows[:, 1].tolist() == [0, 0, 0, 5, 5]
    assert link_by_viterbi([nothing] * 3) == []
    assert link_by_viterbi([]) == []


def test_nms_keeps_the_better_of_two_tubes_on_one_person() -> None:
    def tube(x: float, score: float) -> LinkedTube:
        return LinkedTube(score, np.array([[n, x, 0, x + 40, 80, score] for n in (1, 2)]))

    assert [t.score for t in suppress_tubes([tube(0, 0.5), tube(2, 0.9), tube(60, 0.3)])] == [
        0.9,
        0.3,
    ]


def test_boxes_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected boxes \[N, 5\]"):
        link_by_viterbi([np.zeros((1, 4))])
    with pytest.raises(ValueError, match="expected finite boxes and scores"):
        link_by_viterbi([np.array([[1.0, 1.0, 9.0, 9.0, np.nan]])])
