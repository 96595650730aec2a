"""Reads the JSON lines of the demo: one record per keyframe, with its persons and their actions.

`result_files.py` writes them and shows the form. A record holds plain values only, so that what
works on records works on a file and on the detections of a running network alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ava_det.formats.result_files import describe_detections
from ava_det.structures import Detections


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """Holds an action of a person.

    Attributes:
        action_id: 1-based id.
        name: Its name in the label map.
        score: 0..1.
    """

    action_id: int
    name: str
    score: float


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """Holds a person on a keyframe.

    Attributes:
        track_id: From 1, the same person's over the video; None without tracking.
        box: x1, y1, x2, y2, fractions of the upright frame.
        score: The person score, 0..1.
        actions: Those that were written, the highest score first.
    """

    track_id: int | None
    box: tuple[float, float, float, float]
    score: float
    actions: tuple[ActionRecord, ...]


@dataclass(frozen=True, slots=True)
class KeyframeRecord:
    """Holds a keyframe.

    Attributes:
        video: The video id.
        time: Seconds since the first frame of the file.
        timestamp: Annotation time in seconds.
        width: Of the upright frame, in pixels.
        height: Of the upright frame, in pixels.
        persons: The persons on it.
    """

    video: str
    time: float
    timestamp: float
    width: int
    height: int
    persons: tuple[PersonRecord, ...]


def read_records(path: str | Path) -> Iterator[KeyframeRecord]:
    """Yields the keyframes of a JSON-lines file in its order; empty lines are passed over.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line has another form, or the times of a video do not rise; the sentence
            names file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected the JSON lines of ava-det demo")
    latest: dict[str, float] = {}
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                value = json.loads(line)
            except ValueError:  # UnicodeDecodeError too
                shown = line[:40].decode("utf-8", "replace").strip()
                raise ValueError(
                    f"{where}: expected a JSON object as ava-det demo --json writes it, "
                    f"received {shown!r}"
                ) from None
            record = parse_record(value, where)
            if record.time <= latest.get(record.video, -math.inf):
                raise ValueError(
                    f"{where}: expected a time after {latest[record.video]:g} of "
                    f"{record.video!r}, received {record.time:g}"
                )
            latest[record.video] = record.time
            yield record


def make_records(
    detections: Iterable[Detections],
    label_map: Mapping[int, str],
    thresholds: Mapping[int, float],
    start_second: float,
) -> Iterator[KeyframeRecord]:
    """Yields the record of each keyframe, with the values that a JSON-lines file of it has.

    Args:
        detections: Of keyframes.
        label_map: Action names by 1-based id.
        thresholds: By 1-based id, the score from which an action is kept.
        start_second: Annotation time, in seconds, of the video's first frame.

    Raises:
        ValueError: A keyframe has no `frame_size`.
    """
    for one in detections:
        value = describe_detections(one, label_map, thresholds, start_second)
        yield parse_record(value, "the detections")


def parse_record(value: Any, where: str) -> KeyframeRecord:
    """Parses one object of a JSON-lines file.

    Args:
        value: The object.
        where: File and line, for the sentence of an error.

    Raises:
        ValueError: It has another form.
    """
    fields = _Fields(value, where, "the keyframe")
    persons = fields.take("persons", list, "a list of persons")
    return KeyframeRecord(
        fields.take("video", str, "the name of the video"),
        fields.number("time"),
        fields.number("timestamp"),
        fields.take("width", int, "a number of pixels"),
        fields.take("height", int, "a number of pixels"),
        tuple(_parse_person(person, where, index) for index, person in enumerate(persons, 1)),
    )


def _parse_person(value: Any, where: str, index: int) -> PersonRecord:
    fields = _Fields(value, where, f"person {index}")
    track = fields.take("track_id", int | None, "a number from 1, or null")
    box = fields.take("box_fraction", list, "x1, y1, x2, y2 as fractions of the frame")
    if len(box) != 4 or not all(_is_number(corner) for corner in box):
        fields.refuse("box_fraction", "x1, y1, x2, y2 as fractions of the frame", box)
    actions = fields.take("actions", list, "a list of actions")
    x1, y1, x2, y2 = map(float, box)
    return PersonRecord(
        track,
        (x1, y1, x2, y2),
        fields.number("score"),
        tuple(_parse_action(action, where, index) for action in actions),
    )


def _parse_action(value: Any, where: str, index: int) -> ActionRecord:
    fields = _Fields(value, where, f"an action of person {index}")
    return ActionRecord(
        fields.take("id", int, "an action id"),
        fields.take("name", str, "a name"),
        fields.number("score"),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class _Fields:
    """Takes the fields of a JSON object, and says which one is wrong.

    Args:
        value: The object.
        where: File and line.
        owner: What the object describes.
    """

    def __init__(self, value: Any, where: str, owner: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(
                f"{where}: expected an object for {owner}, as ava-det demo --json writes it, "
                f"received {value!r:.60}"
            )
        self._value = value
        self._place = f"{where}: {owner}"

    def refuse(self, key: str, expected: str, found: Any) -> None:
        raise ValueError(f"{self._place}: expected {key}, {expected}, received {found!r:.60}")

    def take(self, key: str, kind: Any, expected: str) -> Any:
        if key not in self._value:
            raise ValueError(f"{self._place}: expected {key}, {expected}, which is missing")
        found = self._value[key]
        if not isinstance(found, kind) or isinstance(found, bool):
            self.refuse(key, expected, found)
        return found

    def number(self, key: str) -> float:
        found = self.take(key, int | float, "a number")
        if not _is_number(found):
            self.refuse(key, "a number", found)
        return float(found)
