"""Segments on keyframes whose scores are known, and against a second way to find them."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ava_det.formats.keyframe_records import ActionRecord, KeyframeRecord, PersonRecord
from ava_det.segments import (
    Segment,
    SegmentRules,
    SegmentsFile,
    find_segments,
    format_csv,
    write_segments,
)
from ava_det.structures import Detections, Keyframe

BOX = (0.1, 0.1, 0.3, 0.9)
NAMES = {12: "stand", 14: "walk"}


def keyframe(time: float, scores: dict[int, dict[int, float]], video: str = "v") -> KeyframeRecord:
    """scores: track -> action id -> score."""
    persons = tuple(
        PersonRecord(
            track, BOX, 0.9, tuple(ActionRecord(i, NAMES[i], score) for i, score in own.items())
        )
        for track, own in scores.items()
    )
    return KeyframeRecord(video, time, 900 + time, 64, 48, persons)


def one_person(scores: list[float | None], step: float = 1.0) -> list[KeyframeRecord]:
    """A person who stands with these scores; None where nobody is seen."""
    return [
        keyframe(index * step, {} if score is None else {1: {12: score}})
        for index, score in enumerate(scores)
    ]


def ends(segments: list[Segment]) -> list[tuple[float, float, int]]:
    return [(one.start, one.end, one.frames) for one in segments]


def test_known_answers() -> None:
    scores = [0.4, 0.5, 0.3, 0.45, 0.29, 0.4, 0.9, None, 0.8]
    rules = SegmentRules({12: 0.5}, {12: 0.3})
    found = find_segments(one_person(scores), rules)
    assert ends(found) == [(1, 3, 3), (6, 6, 1), (8, 8, 1)]
    assert found[0] == Segment("v", 1, "stand", 12, 1, 3, found[0].mean, 0.5, 3)
    assert found[0].mean == pytest.approx(1.25 / 3)
    assert found[1].duration == 0
    # without a score of its own for the end, an action ends where it begins
    assert ends(find_segments(one_person(scores), SegmentRules({12: 0.5}, {}))) == [
        (1, 1, 1),
        (6, 6, 1),
        (8, 8, 1),
    ]


def test_gaps_are_closed_first_and_short_segments_left_out_then() -> None:
    scores = [0.9, 0.1, 0.9, 0.1, 0.1, 0.7, 0.1, 0.1, 0.1, 0.9]
    for gap, least, expected in (
        (0, 0, [(0, 0, 1), (2, 2, 1), (5, 5, 1), (9, 9, 1)]),
        (1.9, 0, [(0, 0, 1), (2, 2, 1), (5, 5, 1), (9, 9, 1)]),
        (2, 0, [(0, 2, 2), (5, 5, 1), (9, 9, 1)]),
        (3, 5, [(0, 5, 3)]),
        (3, 5.1, []),
        (4, 9, [(0, 9, 4)]),
    ):
        rules = SegmentRules({12: 0.5}, {}, gap, least)
        assert ends(find_segments(one_person(scores), rules)) == expected
    closed = find_segments(one_person(scores), SegmentRules({12: 0.5}, {}, 3, 5))
    assert (closed[0].mean, closed[0].max) == (pytest.approx(2.5 / 3), 0.9)


def test_decimal_times_are_as_far_apart_as_they_say() -> None:
    """0.1 + 0.2 is more than 0.3: nothing may depend on that."""
    scores: list[float | None] = [0.9, 0.9, 0.1, 0.1, 0.9]
    found = find_segments(one_person(scores, 0.1), SegmentRules({12: 0.5}, {}, 0.3, 0.4))
    assert ends(found) == [(0, 0.4, 3)]


def test_persons_actions_and_videos_are_kept_apart() -> None:
    records = [
        keyframe(0, {1: {12: 0.9}, 2: {12: 0.9, 14: 0.9}}),
        keyframe(0, {1: {14: 0.9}}, "w"),
        keyframe(1, {2: {12: 0.9, 14: 0.1}, 1: {12: 0.1}}),
        keyframe(1, {1: {14: 0.8}}, "w"),
        keyframe(2, {1: {14: 0.7}}, "w"),
    ]
    found = find_segments(records, SegmentRules({12: 0.5, 14: 0.75}, {}))
    assert [(one.video, one.track, one.action, one.start, one.end) for one in found] == [
        ("v", 1, "stand", 0, 0),
        ("v", 2, "stand", 0, 1),
        ("v", 2, "walk", 0, 0),
        ("w", 1, "walk", 0, 1),
    ]
    assert find_segments(records, SegmentRules({14: 0.99}, {})) == []
    assert find_segments([], SegmentRules({14: 0.99}, {})) == []


@given(
    st.lists(st.sampled_from("HML-"), max_size=40),
    st.integers(0, 4),
    st.integers(0, 5),
)
def test_as_a_regular_expression_finds_them(
    letters: list[str], max_gap: int, min_duration: int
) -> None:
    """H over both scores, M between them, L under both, - unseen."""
    scores = {"H": 0.8, "M": 0.5, "L": 0.1, "-": None}
    spans = [
        [one.start(), one.end() - 1, one.end() - one.start()]
        for one in re.finditer("H[HM]*", "".join(letters))
    ]
    joined: list[list[int]] = []
    for span in spans:
        # what follows a small gap may begin over the lower score only after its own H
        if joined and span[0] - joined[-1][1] <= max_gap:
            joined[-1] = [joined[-1][0], span[1], joined[-1][2] + span[2]]
        else:
            joined.append(span)
    expected = [tuple(span) for span in joined if span[1] - span[0] >= min_duration]
    rules = SegmentRules({12: 0.7}, {12: 0.4}, max_gap, min_duration)
    assert ends(find_segments(one_person([scores[one] for one in letters]), rules)) == expected


def test_rules_that_cannot_be_meant() -> None:
    with pytest.raises(ValueError, match=r"action 12 to end at a score of at most 0\.5"):
        SegmentRules({12: 0.5}, {12: 0.6})
    with pytest.raises(ValueError, match="max_gap"):
        SegmentRules({}, {}, max_gap=-1)
    person = PersonRecord(None, BOX, 0.9, (ActionRecord(12, "stand", 0.9),))
    with pytest.raises(ValueError, match="'v' at 3 s"):
        find_segments([KeyframeRecord("v", 3, 3, 64, 48, (person,))], SegmentRules({}, {}))


def test_tables(tmp_path: Path) -> None:
    found = [
        Segment('a "b", c', 3, "carry/hold (an object)", 17, 1 / 3, 2, 0.1 + 0.2, 0.9, 4),
        Segment("é", 4, "walk", 14, 0, 0, 0.5, 0.5, 1),
    ]
    write_segments(tmp_path / "s.csv", found)
    write_segments(tmp_path / "s.parquet", found)
    header = "video,track,action,start,end,mean,max,frames"
    lines = (tmp_path / "s.csv").read_text("utf-8").splitlines()
    assert lines[0] == header
    assert lines[1] == '"a ""b"", c",3,carry/hold (an object),0.333333,2.0,0.3,0.9,4'
    assert "\n".join(lines) + "\n" == format_csv(found)
    assert pl.read_csv(tmp_path / "s.csv").rows() == pl.read_parquet(tmp_path / "s.parquet").rows()
    assert format_csv([]) == header + "\n"
    with pytest.raises(ValueError, match=r"\.csv or \.parquet"):
        write_segments(tmp_path / "s.xlsx", found)


def test_a_table_of_detections_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    def detect(time: float, score: float) -> Detections:
        boxes = torch.tensor([BOX])
        one = Keyframe("v", 900 + time, boxes, None, torch.tensor([0.9]), (64, 48))
        return Detections(
            boxes, torch.tensor([[score, 0.1]]), one.person_scores, torch.tensor([7]), one
        )

    rules = SegmentRules({1: 0.5, 2: 0.5}, {1: 0.25})
    path = tmp_path / "s.csv"
    unfinished = SegmentsFile(path, {1: "a", 2: "b"}, rules, 900).__enter__()
    unfinished.write(detect(0, 0.5))
    unfinished.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not list(tmp_path.iterdir())
    with SegmentsFile(path, {1: "a", 2: "b"}, rules, 900.0) as file:
        for time, score in ((0, 0.5), (1.5, 0.25), (2, 0.24)):
            file.write(detect(time, score))
    assert path.read_text().splitlines()[1:] == ["v,7,a,0.0,1.5,0.375,0.5,2"]
