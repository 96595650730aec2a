"""Finds what is to be reviewed: segments, each with the boxes of its person."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ava_det.formats.keyframe_records import KeyframeRecord
from ava_det.segments import Segment, SegmentRules, find_segments

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Candidate:
    """Holds a segment that somebody is asked about.

    Attributes:
        segment: Who does what from when to when.
        seen: The keyframes from its start to its end on which the person is seen: annotation time
            in seconds, and the box as fractions of the frame, x1, y1, x2, y2.
    """

    segment: Segment
    seen: tuple[tuple[float, Box], ...]


def find_candidates(records: Sequence[KeyframeRecord], rules: SegmentRules) -> list[Candidate]:
    """Finds the segments of keyframes and the boxes of their persons.

    Args:
        records: Keyframes, for each video in order of time.
        rules: What a segment is.

    Returns:
        Videos in the order of their first keyframes, then by start, track and action.

    Raises:
        ValueError: A person has no track id.
    """
    times: dict[tuple[str, int | None], list[float]] = {}
    boxes: dict[tuple[str, int | None], list[tuple[float, Box]]] = {}
    for record in records:
        for person in record.persons:
            key = (record.video, person.track_id)
            times.setdefault(key, []).append(record.time)
            boxes.setdefault(key, []).append((record.timestamp, person.box))
    found = []
    for segment in find_segments(records, rules):
        key = (segment.video, segment.track)
        first = bisect_left(times[key], segment.start)
        last = bisect_right(times[key], segment.end)
        found.append(Candidate(segment, tuple(boxes[key][first:last])))
    return found


def hash_candidates(candidates: Sequence[Candidate]) -> str:
    """Computes the SHA-256 of all that decisions are about, as hexadecimal digits."""
    digest = hashlib.sha256()
    for one in candidates:
        segment = one.segment
        what = (segment.video, segment.track, segment.action_id, segment.start, segment.end)
        digest.update(json.dumps([*what, one.seen]).encode())
    return digest.hexdigest()
