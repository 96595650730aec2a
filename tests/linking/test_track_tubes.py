"""Tubes of tracked persons: where they begin and end, and what is in between."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from ava_det.linking.track_tubes import TrackedFrame, TrackRule, link_tracks

RULE = TrackRule(high=0.5, low=0.3, max_gap=4, min_frames=3)


def frame(number: int, **persons: tuple[float, list[float]]) -> TrackedFrame:
    """One frame; a person is an x and the scores of the actions, named p and their track id."""
    count = max((len(scores) for _, scores in persons.values()), default=1)
    boxes = [[x, 0, x + 10, 20] for x, _ in persons.values()]
    return TrackedFrame(
        number,
        np.array([int(name[1:]) for name in persons], dtype=np.int64),
        np.array(boxes, dtype=float).reshape(-1, 4),
        np.array([scores for _, scores in persons.values()]).reshape(len(persons), count),
    )


def test_an_action_is_cut_out_of_the_track_of_its_person() -> None:
    scores = [0.0, 0.1, 0.4, 0.8, 0.8, 0.4, 0.1]
    frames = [frame(n, p1=(n, [score])) for n, score in enumerate(scores, 1)]
    [(label, tube)] = link_tracks(frames, RULE)
    assert label == 0
    assert tube.rows[:, 0].tolist() == [3, 4, 5, 6]
    assert tube.rows[:, 1].tolist() == [3, 4, 5, 6]
    assert tube.score == pytest.approx(0.6)


def test_boxes_and_scores_between_keyframes_are_on_a_straight_line() -> None:
    frames = [frame(1, p1=(0, [0.4])), frame(5, p1=(8, [0.8]))]
    [(_, tube)] = link_tracks(frames, RULE)
    np.testing.assert_allclose(tube.rows[:, 0], [1, 2, 3, 4, 5])
    np.testing.assert_allclose(tube.rows[:, 1], [0, 2, 4, 6, 8])
    np.testing.assert_allclose(tube.rows[:, 5], [0.4, 0.5, 0.6, 0.7, 0.8])


def test_a_person_away_for_too_long_is_two_tubes() -> None:
    numbers = [1, 2, 3, 8, 9, 10]
    tubes = list(link_tracks([frame(n, p1=(0, [0.9])) for n in numbers], RULE))
    assert [tube.rows[[0, -1], 0].tolist() for _, tube in tubes] == [[1, 3], [8, 10]]
    near = list(link_tracks([frame(n, p1=(0, [0.9])) for n in [1, 2, 3, 7, 8]], RULE))
    assert [tube.rows[[0, -1], 0].tolist() for _, tube in near] == [[1, 8]]


def test_persons_and_actions_have_tubes_of_their_own() -> None:
    frames = [frame(n, p1=(0, [0.9, 0.6]), p2=(50, [0.1, 0.7])) for n in range(1, 6)]
    found = [(label, tube.rows[0, 1]) for label, tube in link_tracks(frames, RULE)]
    assert sorted(found) == [(0, 0), (1, 0), (1, 50)]


def test_tubes_come_while_the_video_goes_on() -> None:
    def frames() -> Iterator[TrackedFrame]:
        for number in range(1, 4):
            yield frame(number, p1=(0, [0.9]))
        for number in range(4, 9):
            yield frame(number, p2=(0, [0.9]))
        raise AssertionError("the first tube was not given when its track had ended")

    label, tube = next(link_tracks(frames(), RULE))
    assert (label, len(tube.rows)) == (0, 3)


def test_smoothing_closes_a_dip() -> None:
    scores = [0.9, 0.9, 0.9, 0.0, 0.9, 0.9, 0.9]
    frames = [frame(n, p1=(0, [score])) for n, score in enumerate(scores, 1)]
    rule = RULE._replace(max_gap=1, min_frames=4)
    [(_, smoothed)] = link_tracks(frames, rule._replace(smooth=3, low=0.5))
    assert len(smoothed.rows) == 7
    assert list(link_tracks(frames, rule._replace(max_gap=0))) == []


def test_a_track_id_is_of_one_person() -> None:
    twice = TrackedFrame(3, np.array([7, 7]), np.zeros((2, 4)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"distinct track ids on frame 3, received \[7, 7\]"):
        list(link_tracks([twice], RULE))


def test_frames_must_rise_and_the_width_be_odd() -> None:
    with pytest.raises(ValueError, match="expected a frame after 2"):
        list(link_tracks([frame(2), frame(2)], RULE))
    with pytest.raises(ValueError, match="odd number"):
        list(link_tracks([], RULE._replace(smooth=2)))
