"""ACT's greedy linking: the public code's own numbers, and what must hold for any boxes."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ava_det.linking.greedy import (
    GreedyLinker,
    link_as_mmaction2,
    link_greedily,
    suppress_softly,
)

STILL = np.array([[10.0, 10, 50, 90, 0.9]])
NOBODY = np.zeros((0, 5))


@pytest.mark.needs_shared
@pytest.mark.parametrize("name", ["link_two_apart", "link_crossing", "link_gap"])
def test_tubes_and_scores_are_those_of_the_public_evaluators(name: str, shared_data: Path) -> None:
    cases = json.loads((shared_data / "tubes_cases" / "linking.json").read_text())["cases"]
    case = next(case for case in cases if case["name"] == name)
    rows = np.array(case["frame_detections"])
    [count] = case["nframes"].values()
    frames = [rows[rows[:, 1] == number][:, [4, 5, 6, 7, 3]] for number in range(1, count + 1)]
    results = {
        "act_moc": link_greedily(frames),
        "mmaction2": link_as_mmaction2(frames, rows[-1, 3]),
    }
    for evaluator, tubes in results.items():
        for tube, (_, score, expected) in zip(tubes, case["expected"][evaluator]["0"], strict=True):
            assert tube.score == pytest.approx(score, abs=1e-9)
            np.testing.assert_allclose(tube.rows[:, :5], np.array(expected)[:, :5], atol=1e-9)
            np.testing.assert_allclose(tube.rows[:, 5].round(4), np.array(expected)[:, 5])


def test_a_tube_ends_at_its_first_miss_and_another_begins() -> None:
    frames = [STILL] * 16 + [NOBODY] + [STILL] * 20
    first, second = link_greedily(frames)
    assert first.rows[[0, -1], 0].tolist() == [1, 16]
    assert second.rows[[0, -1], 0].tolist() == [18, 37]


def test_a_tubelet_of_three_frames_bridges_two_frames_without_one() -> None:
    tubelet = np.array([[*STILL[0, :4], *STILL[0, :4], *STILL[0, :4], 0.9]])
    nothing = np.zeros((0, 13))
    [tube] = link_greedily([tubelet] * 5 + [nothing] * 2 + [tubelet] * 10, length=3)
    assert tube.rows[:, 0].tolist() == list(range(1, 20))  # 17 starts and two frames more
    np.testing.assert_allclose(tube.rows[:, 1:5], np.tile(STILL[0, :4], (19, 1)))


def test_boxes_of_overlapping_tubelets_are_averaged() -> None:
    starts = [np.array([[*STILL[0, :4] + shift, *STILL[0, :4], 0.8]]) for shift in (0, 2, 2)]
    [tube] = link_greedily(starts, length=2, min_frames=1)
    assert tube.rows[:, 1].tolist() == [10, 11, 11, 10]
    assert tube.score == pytest.approx(0.8)


def test_short_tubes_and_those_of_low_score_are_left_out() -> None:
    assert not list(link_greedily([STILL] * 14))
    weak = STILL * [1, 1, 1, 1, 0] + np.array([0, 0, 0, 0, 0.004])
    assert not list(link_greedily([weak] * 30))


def test_no_tubelet_is_in_two_tubes_and_frames_have_no_gap() -> None:
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(60):
        corners = rng.uniform(0, 60, (12, 2))
        scores = rng.uniform(0, 1, (12, 1))
        frames.append(np.concatenate([corners, corners + 40, scores], axis=1))
    tubes = list(link_greedily(frames, min_frames=2))
    assert tubes
    seen = [tuple(row[:5]) for tube in tubes for row in tube.rows]
    assert len(seen) == len(set(seen))
    for tube in tubes:
        assert all(after - before == 1 for before, after in pairwise(tube.rows[:, 0]))


def test_tubes_come_as_soon_as_they_end() -> None:
    linker = GreedyLinker(min_frames=3)
    assert [len(linker.add(frame)) for frame in [STILL] * 3 + [NOBODY]] == [0, 0, 0, 1]
    assert not linker.finish()


def test_soft_nms_lowers_and_keeps_the_covered_box() -> None:
    boxes = np.array([[0, 0, 99, 99, 0.9], [0, 0, 99, 79, 0.8], [200, 0, 299, 99, 0.5]])
    lowered = suppress_softly(boxes)
    assert lowered[:, 4].tolist() == pytest.approx([0.9, 0.5, 0.8 * (1 - 0.8)])


def test_the_slip_of_mmaction2_makes_all_scores_one() -> None:
    far = STILL + np.array([100, 0, 100, 0, -0.5])
    frames = [np.concatenate([STILL, far])] * 20
    assert [tube.score for tube in link_as_mmaction2(frames, 0.25)] == [0.25, 0.25]
    assert [round(tube.score, 6) for tube in link_greedily(frames)] == [0.9, 0.4]


@pytest.mark.parametrize(("length", "shape"), [(1, (2, 6)), (2, (2, 5)), (1, (5,))])
def test_tubelets_of_another_shape_are_refused(length: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"expected tubelets \\[N, {4 * length + 1}\\]"):
        GreedyLinker(length).add(np.zeros(shape))


@pytest.mark.parametrize("place", [2, 4])
def test_numbers_that_are_none_are_refused(place: int) -> None:
    linker = GreedyLinker()
    row = np.array([[1.0, 1.0, 9.0, 9.0, 0.5]])
    linker.add(row)
    row[0, place] = np.nan
    with pytest.raises(ValueError, match="expected finite boxes and scores on frame 2"):
        linker.add(row)


def test_no_length_below_one() -> None:
    with pytest.raises(ValueError, match="at least 1 frame"):
        GreedyLinker(0)
