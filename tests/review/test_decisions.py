"""Decisions with undo and redo, and their rows, against the plainest way to compute them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_det.formats.keyframe_records import ActionRecord, KeyframeRecord, PersonRecord
from ava_det.review import REJECTED, Decisions, Step, find_candidates, parse_step
from ava_det.review.candidates import hash_candidates
from ava_det.review.rows import RowMaker
from ava_det.segments import SegmentRules

NUM_SEGMENTS = 4
decides = st.builds(
    Step, st.just("decide"), st.integers(0, NUM_SEGMENTS - 1), st.sampled_from([REJECTED, 1, 2])
)
steps = st.lists(decides | st.sampled_from([Step("undo"), Step("redo")]), max_size=40)


@given(steps)
def test_any_steps_are_a_walk_along_a_list_of_states(taken: list[Step]) -> None:
    decisions = Decisions(NUM_SEGMENTS)
    states: list[list[int | None]] = [[None] * NUM_SEGMENTS]
    place = 0
    for step in taken:
        if step.do == "decide":
            states[place + 1 :] = [list(states[place])]
            place += 1
            states[place][step.segment] = step.action_id
            assert decisions.take(step) == step.segment
        elif 0 <= place + (way := 1 if step.do == "redo" else -1) < len(states):
            place += way
            decisions.take(step)
        else:
            with pytest.raises(ValueError, match=f"something to {step.do}"):
                decisions.take(step)
        assert decisions.action_ids == states[place]
        assert decisions.can_undo == (place > 0)
        assert decisions.can_redo == (place + 1 < len(states))


@given(steps)
def test_a_copy_takes_steps_of_its_own(taken: list[Step]) -> None:
    decisions = Decisions(NUM_SEGMENTS)
    decisions.take(Step("decide", 0, 1))
    copied = decisions.copy()
    for step in taken:
        if step.do == "decide" or getattr(copied, f"can_{step.do}"):
            copied.take(step)
    assert decisions.action_ids == [1, None, None, None]
    assert decisions.can_undo and not decisions.can_redo


@given(decides | st.sampled_from([Step("undo"), Step("redo")]))
def test_a_step_is_read_as_it_was_written(step: Step) -> None:
    assert parse_step(step.to_json(), NUM_SEGMENTS, {1, 2}, "here") == step


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"do": "erase"},
        {"do": "undo", "segment": 1},
        {"do": "decide", "segment": 4, "action_id": 1},
        {"do": "decide", "segment": -1, "action_id": 1},
        {"do": "decide", "segment": True, "action_id": 1},
        {"do": "decide", "segment": 1.0, "action_id": 1},
        {"do": "decide", "segment": 1, "action_id": 3},
        {"do": "decide", "segment": 1, "action_id": None},
        {"do": "decide", "segment": 1},
        {"do": "decide", "segment": 1, "action_id": 1, "more": 1},
    ],
)
def test_what_is_no_step_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^line 3: expected"):
        parse_step(value, NUM_SEGMENTS, {1, 2}, "line 3")


def make_record(video: str, time: float, persons: list[tuple[int, float, set[int]]]) -> Any:
    """persons: track, left side of the box, ids of actions."""
    return KeyframeRecord(
        video,
        time,
        900 + time,
        64,
        48,
        tuple(
            PersonRecord(
                track,
                (x, 0.1, x + 0.1, 0.5),
                0.9,
                tuple(ActionRecord(i, f"a{i}", 0.8) for i in ids),
            )
            for track, x, ids in persons
        ),
    )


moments = st.dictionaries(
    st.integers(0, 5),
    st.dictionaries(st.integers(1, 3), st.sets(st.integers(1, 3)), max_size=3),
    max_size=6,
)


@settings(max_examples=50)
@given(st.tuples(moments, moments), st.data())
def test_rows_are_those_of_every_keyframe_and_person(
    videos: tuple[dict[int, dict[int, set[int]]], ...], data: st.DataObject
) -> None:
    records = [
        make_record(name, float(second), [(t, t / 10, ids) for t, ids in persons.items()])
        for name, found in zip("ab", videos, strict=True)
        for second, persons in sorted(found.items())
    ]
    rules = SegmentRules(dict.fromkeys((1, 2, 3), 0.5), {}, max_gap=1.0)
    candidates = find_candidates(records, rules)
    choices = st.sampled_from([None, REJECTED, 1, 2, 3])
    count = len(candidates)
    decided = data.draw(st.lists(choices, min_size=count, max_size=count))
    expected = []
    for record in records:
        of_persons = [
            [
                action_id
                for one, action_id in zip(candidates, decided, strict=True)
                if (one.segment.video, one.segment.track) == (record.video, person.track_id)
                and one.segment.start <= record.time <= one.segment.end
            ]
            for person in record.persons
        ]
        if any(None in of_person for of_person in of_persons):
            continue
        for person, of_person in zip(record.persons, of_persons, strict=True):
            ids = sorted({one for one in of_person if one})
            if of_person and all(one == REJECTED for one in of_person):
                ids = [0]
            expected += [
                (record.video, record.timestamp, person.box, i, person.track_id) for i in ids
            ]
    rows = RowMaker(candidates).make(decided)
    found = list(
        zip(
            rows.video_ids,
            rows.timestamps,
            map(tuple, rows.boxes.tolist()),
            rows.action_ids,
            rows.person_ids,
            strict=True,
        )
    )
    assert sorted(found) == sorted(expected)
    assert [key[:2] for key in found] == sorted(key[:2] for key in found)


def test_other_boxes_or_actions_are_other_candidates() -> None:
    records = [make_record("a", float(second), [(1, 0.1, {1})]) for second in range(3)]
    moved = [*records[:2], make_record("a", 2.0, [(1, 0.2, {1})])]
    other = [replace(records[0], video="b"), *records[1:]]
    rules = SegmentRules({1: 0.5}, {})
    hashes = {hash_candidates(find_candidates(one, rules)) for one in (records, moved, other)}
    assert len(hashes) == 3
    assert hash_candidates(find_candidates(list(records), rules)) in hashes
