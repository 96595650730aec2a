"""Rules on keyframes whose persons are known."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_det.events import EventEngine, Rule
from ava_det.events.expression import parse_expression
from ava_det.events.rules import JsonLine, contains
from ava_det.formats.keyframe_records import ActionRecord, KeyframeRecord, PersonRecord

NAMES = {5: "fall down", 12: "stand"}
SQUARE = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))


def person(
    track: int | None = 1, feet: tuple[float, float] = (0.25, 0.25), score: float = 0.9, **do: float
) -> PersonRecord:
    x, y = feet
    ids = {"fall": 5, "stand": 12}
    actions = tuple(ActionRecord(ids[name], name, value) for name, value in do.items())
    return PersonRecord(track, (x - 0.1, y - 0.2, x + 0.1, y), score, actions)


def keyframe(time: float, *persons: PersonRecord, video: str = "v") -> KeyframeRecord:
    return KeyframeRecord(video, time, 900 + time, 64, 48, persons)


def rule(when: str | None = "fall down", **settings: Any) -> Rule:
    expression = None if when is None else parse_expression(when, NAMES, {})
    return Rule("r", expression, (JsonLine(Path("x")),), **settings)


def run(one: Rule, frames: list[KeyframeRecord]) -> list[tuple[float, float, list[int | None]]]:
    engine = EventEngine([one])
    return [
        (event.start, event.time, [person.track_id for person in event.persons])
        for frame in frames
        for event in engine.add(frame)
    ]


def pattern(text: str, step: float = 1.0) -> list[KeyframeRecord]:
    """x: the person falls, o: not, -: nobody is there."""
    people = {"x": [person(fall=0.9)], "o": [person(fall=0.1)], "-": []}
    return [keyframe(index * step, *people[one]) for index, one in enumerate(text)]


@pytest.mark.parametrize(
    ("frames", "settings", "expected"),
    [
        ("oxxxo", {}, [(1, 1)]),  # one event, however long it goes on
        ("xoxox", {}, [(0, 0), (2, 2), (4, 4)]),
        ("xoxox", {"cooldown": 3}, [(0, 0), (4, 4)]),
        ("xxoxxx", {"cooldown": 5}, [(0, 0), (3, 5)]),  # goes on until it may be said
        ("xxoxxx", {"duration": 2}, [(3, 5)]),
        ("xx-xxx", {"duration": 2}, [(3, 5)]),  # unseen is not met
        ("xx-xxx", {"duration": 2, "max_gap": 2}, [(0, 3)]),
        ("xxooxx", {"duration": 2, "max_gap": 2}, []),
        ("xxooxx", {"duration": 2, "max_gap": 3}, [(0, 4)]),
        ("ooo", {}, []),
    ],
)
def test_duration_gaps_and_cooldown(
    frames: str, settings: dict[str, Any], expected: list[tuple[float, float]]
) -> None:
    assert [event[:2] for event in run(rule(**settings), pattern(frames))] == expected


def test_decimal_seconds_are_as_long_as_they_say() -> None:
    assert run(rule(duration=0.3), pattern("xxxx", 0.1)) == [(0, pytest.approx(0.3), [1])]


def test_each_person_by_itself_or_several_at_once() -> None:
    frames = [
        keyframe(0, person(1, fall=0.9), person(2, fall=0.9)),
        keyframe(1, person(1, fall=0.9), person(3, fall=0.1)),
        keyframe(2, person(2, fall=0.9), person(1, fall=0.9), person(3, fall=0.9)),
    ]
    assert run(rule(), frames) == [(0, 0, [1]), (0, 0, [2]), (2, 2, [2]), (2, 2, [3])]
    assert run(rule(duration=1), frames) == [(0, 1, [1])]
    assert run(rule(count=2), frames) == [(0, 0, [1, 2]), (2, 2, [2, 1, 3])]
    assert run(rule(count=3), frames) == [(2, 2, [2, 1, 3])]
    assert run(rule(count=1, duration=2), frames) == [(0, 2, [2, 1, 3])]
    assert run(rule(None, count=2), frames) == [(0, 0, [1, 2])]


def test_person_score_and_zone() -> None:
    inside, outside = person(1, (0.4, 0.5), fall=0.9), person(2, (0.6, 0.5), fall=0.9)
    assert run(rule(zone=SQUARE), [keyframe(0, inside, outside)]) == [(0, 0, [1])]
    unsure = person(3, score=0.4, fall=0.9)
    assert run(rule(person_score=0.5), [keyframe(0, unsure, inside)]) == [(0, 0, [1])]


def test_videos_are_kept_apart_and_tracks_are_needed() -> None:
    frames = [keyframe(0, person(fall=0.9)), keyframe(5, person(fall=0.9), video="w")]
    assert run(rule(cooldown=60), frames) == [(0, 0, [1]), (5, 5, [1])]
    with pytest.raises(ValueError, match="'v' at 0 s"):
        run(rule(), [keyframe(0, person(None, fall=0.9))])
    assert run(rule(count=1), [keyframe(0, person(None, fall=0.9))]) == [(0, 0, [None])]


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((0.25, 0.25), True),
        ((0.5, 0.25), True),  # on an edge
        ((0.0, 0.0), True),
        ((0.51, 0.25), False),
        ((0.25, 0.6), False),
    ],
)
def test_points_of_a_square(point: tuple[float, float], expected: bool) -> None:
    assert contains(SQUARE, point) is expected
    assert contains(tuple(reversed(SQUARE)), point) is expected


def test_points_of_a_hollow_shape() -> None:
    letter_u = [(0, 0), (0.2, 0), (0.2, 0.8), (0.8, 0.8), (0.8, 0), (1, 0), (1, 1), (0, 1)]
    assert not contains(letter_u, (0.5, 0.5))
    assert contains(letter_u, (0.1, 0.5)) and contains(letter_u, (0.5, 0.9))


@given(st.text("xo-", max_size=30), st.integers(0, 3), st.integers(0, 6))
def test_events_keep_their_distance_and_their_length(
    text: str, duration: int, cooldown: int
) -> None:
    frames = pattern(text)
    found = run(rule(duration=duration, cooldown=cooldown), frames)
    for start, time, _ in found:
        assert time - start >= duration
        assert set(text[int(start) : int(time) + 1]) == {"x"}
        assert start == 0 or text[int(start) - 1] != "x"
    times = [time for _, time, _ in found]
    assert all(b - a >= cooldown for a, b in pairwise(times))
    long_runs = [run for run in text.replace("-", "o").split("o") if len(run) > duration]
    assert len(found) == len(long_runs) if cooldown == 0 else len(found) <= len(long_runs)
    assert bool(found) == bool(long_runs)
