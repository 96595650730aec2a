"""Who is who between keyframes, and where everybody is in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ava_det.structures import Detections, Keyframe
from ava_det.tracking.box_filter import BoxFilter
from ava_det.tracking.linker import Timeline, TrackLinker, compute_distance_iou, interpolate

LEFT = [0.1, 0.3, 0.25, 0.8]
MIDDLE = [0.4, 0.3, 0.55, 0.8]
RIGHT = [0.8, 0.3, 0.95, 0.8]


FURTHER_BACK = [0.83, 0.31, 0.96, 0.77]


def at(
    timestamp: float,
    boxes: Sequence[Sequence[float]],
    ids: list[int] | None = None,
    score: float = 0.5,
) -> Detections:
    coordinates = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    ones = torch.ones(len(boxes))
    tracks = None if ids is None else torch.tensor(ids, dtype=torch.int64)
    keyframe = Keyframe("v", timestamp, coordinates, None, ones)
    return Detections(coordinates, torch.full((len(boxes), 3), score), ones, tracks, keyframe)


def moved(box: list[float], dx: float) -> list[float]:
    return [box[0] + dx, box[1], box[2] + dx, box[3]]


def linked(*keyframes: Detections) -> list[list[int]]:
    linker = TrackLinker()
    return [linker.link(detections).track_ids.tolist() for detections in keyframes]


boxes = st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4).map(
    lambda b: [min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]) + 0.01, max(b[1], b[3]) + 0.01]
)


@given(boxes, boxes)
def test_likeness_is_symmetric_and_largest_for_a_box_itself(
    first: list[float], second: list[float]
) -> None:
    a = torch.tensor([first])
    b = torch.tensor([second])
    assert compute_distance_iou(a, b).item() == pytest.approx(
        compute_distance_iou(b, a).item(), abs=1e-5
    )
    assert -1 <= compute_distance_iou(a, b).item() <= compute_distance_iou(a, a).item() + 1e-5
    assert compute_distance_iou(a, a).item() == pytest.approx(1, abs=1e-4)


def test_likeness_by_hand() -> None:
    first = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    second = torch.tensor([[1.0, 0.0, 3.0, 2.0]])
    assert compute_distance_iou(first, second).item() == pytest.approx(2 / 6 - 1 / 13)


def test_ids_follow_people_whatever_their_order() -> None:
    assert linked(
        at(0, [LEFT, RIGHT]),
        at(1, [moved(RIGHT, -0.1), moved(LEFT, 0.1)]),
        at(2, [moved(LEFT, 0.2)]),
    ) == [
        [1, 2],
        [2, 1],
        [1],
    ]


def test_a_walker_who_left_his_box_is_still_himself() -> None:
    assert linked(at(0, [LEFT]), at(1, [moved(LEFT, 0.3)])) == [[1], [1]]


def test_far_away_or_of_another_size_is_somebody_else() -> None:
    assert linked(at(0, [LEFT]), at(1, [RIGHT])) == [[1], [2]]
    assert linked(at(0, [LEFT]), at(1, [[0.0, 0.0, 0.6, 1.0]])) == [[1], [2]]


def test_a_person_missed_once_keeps_the_id_and_one_gone_long_does_not() -> None:
    assert linked(at(0, [LEFT]), at(1, []), at(2, [LEFT])) == [[1], [], [1]]
    assert linked(at(0, [LEFT]), at(1, []), at(2.5, [LEFT])) == [[1], [], [2]]


def walk(step: float, *walkers: tuple[list[float], float], until: float = 3.0) -> list[Detections]:
    """Keyframes `step` seconds apart of (first box, speed in frames a second) walkers, the order of
    boxes turning.
    """
    keyframes = []
    for index in range(round(until / step) + 1):
        found = [moved(box, speed * index * step) for box, speed in walkers]
        keyframes.append(
            at(index * step, found[index % len(found) :] + found[: index % len(found)])
        )
    return keyframes


@pytest.mark.parametrize("step", [1.0, 0.5, 0.2, 1 / 15])
def test_people_who_cross_keep_their_ids(step: float) -> None:
    keyframes = walk(step, (moved(LEFT, -0.1), 0.2), (FURTHER_BACK, -0.2))
    for index, ids in enumerate(linked(*keyframes)):
        assert ids == ([1, 2] if index % 2 == 0 else [2, 1]), f"{index * step:g} s"


def test_without_prediction_they_would_not(monkeypatch: pytest.MonkeyPatch) -> None:
    keyframes = walk(1.0, (moved(LEFT, -0.1), 0.2), (FURTHER_BACK, -0.2))
    monkeypatch.setattr(BoxFilter, "advance", lambda self, seconds: None)
    assert linked(*keyframes)[-1] != [2, 1]


def test_a_walker_who_is_missed_once_is_found_further_on() -> None:
    keyframes = walk(0.5, (moved(LEFT, -0.1), 0.3), until=2.5)
    keyframes[3] = at(1.5, [])
    assert linked(*keyframes) == [[1], [1], [1], [], [1], [1]]


def test_who_leaves_takes_the_id_along_and_who_enters_gets_a_new_one() -> None:
    gone = at(1, [MIDDLE])
    there = at(1, [MIDDLE, moved(LEFT, -0.05)])
    assert linked(
        at(0, [MIDDLE, RIGHT]), gone, at(2, [MIDDLE]), at(3, [MIDDLE]), at(4, [RIGHT, MIDDLE])
    ) == [
        [1, 2],
        [1],
        [1],
        [1],
        [3, 1],
    ]
    assert linked(at(0, [MIDDLE, RIGHT]), there, at(2, [LEFT, MIDDLE])) == [[1, 2], [1, 3], [3, 1]]


@given(st.lists(st.lists(boxes, max_size=4), min_size=1, max_size=4))
def test_ids_are_unique_in_a_keyframe(people: list[list[list[float]]]) -> None:
    for ids in linked(*(at(float(second), found) for second, found in enumerate(people))):
        assert len(set(ids)) == len(ids)
        assert all(track >= 1 for track in ids)


def test_boxes_move_in_a_straight_line_and_scores_are_of_the_nearer_keyframe() -> None:
    before = at(10, [LEFT], [1], 0.2)
    after = at(11, [moved(LEFT, 0.2)], [1], 0.8)
    for share, score in ((0.0, 0.2), (0.25, 0.2), (0.75, 0.8)):
        found = interpolate(before, after, 10 + share)
        assert found is not None
        assert found.boxes[0].tolist() == pytest.approx(moved(LEFT, 0.2 * share), abs=1e-6)
        assert found.action_scores[0, 0].item() == pytest.approx(score)
    assert before.boxes[0].tolist() == pytest.approx(LEFT)  # untouched


def test_a_person_of_one_keyframe_stays_until_half_way() -> None:
    before = at(0, [LEFT, RIGHT], [1, 2])
    after = at(1, [LEFT, MIDDLE], [1, 3])
    assert interpolate(before, after, 0.4).track_ids.tolist() == [1, 2]
    assert interpolate(before, after, 0.6).track_ids.tolist() == [1, 3]


def test_nobody_stays_for_ever() -> None:
    before = at(0, [LEFT], [1])
    after = at(10, [LEFT], [1])
    shown = [len(interpolate(before, after, moment).boxes) for moment in (0.9, 1.1, 5, 8.9, 9.1)]
    assert shown == [1, 0, 0, 0, 1]
    assert [len(interpolate(after, None, moment).boxes) for moment in (10.9, 11.1)] == [1, 0]
    assert [len(interpolate(None, after, moment).boxes) for moment in (8.9, 9.1)] == [0, 1]
    assert interpolate(None, None, 3.0) is None


def test_interpolation_needs_ids() -> None:
    with pytest.raises(ValueError, match="track ids"):
        interpolate(at(0, [LEFT]), at(1, [LEFT]), 0.5)


def test_a_timeline_draws_one_keyframe_ahead() -> None:
    drawn: list[int] = []

    def keyframes() -> Iterator[Detections]:
        for second in range(5):
            drawn.append(second)
            yield at(second, [moved(LEFT, 0.1 * second)], [1])

    timeline = Timeline(keyframes())
    assert timeline.at(0.0) is not None
    assert drawn == [0, 1]
    found = timeline.at(2.5)
    assert found is not None
    assert found.boxes[0, 0].item() == pytest.approx(0.35)
    assert drawn == [0, 1, 2, 3]
    assert timeline.latest is not None
    assert timeline.latest.keyframe.timestamp == 2
    assert len(timeline.at(4.5).boxes) == 1
    assert len(timeline.at(9.0).boxes) == 0


def test_a_timeline_without_keyframes_shows_nothing() -> None:
    assert Timeline(iter(())).at(1.0) is None
