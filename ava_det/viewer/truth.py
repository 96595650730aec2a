"""Compares detections with ground truth, keyframe by keyframe, for a page that shows both.

On a keyframe boxes and labeled persons are paired one to one, the largest IoU first, from
`MIN_IOU` on. An action of a box is then right (its person does it), of a wrong class (its person
does not), or in a wrong box (it has no person). An action of a labeled person that no box has right
is missed. This is no evaluation: `ava-det score` ranks scores, and counts every row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ava_det.boxes import compute_iou
from ava_det.formats.annotations import AvaRows, timestamp_key
from ava_det.formats.keyframe_records import KeyframeRecord

MIN_IOU = 0.5
NOT_JUDGED, RIGHT, WRONG_CLASS, WRONG_BOX, MISSED = range(5)
STATUS_NAMES = ("not judged", "right", "wrong class", "wrong box", "missed")

_Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class TruthPerson:
    """Holds a labeled person of a keyframe.

    Attributes:
        person_id: The annotators' number, 0 where there is none.
        box: x1, y1, x2, y2, fractions of the frame.
        actions: By 1-based id, whether a box has the action right.
    """

    person_id: int
    box: _Box
    actions: dict[int, bool]


@dataclass(frozen=True)
class Truth:
    """Holds how the keyframes of a video compare with ground truth.

    Attributes:
        names: Names of the labeled actions, by 1-based id.
        times: Of the labeled keyframes, in seconds since the first frame of the file.
        persons: Their labeled persons.
        statuses: Of every action of every person of the records, in their order.
        runs: Stretches of one status: status, track or person id, action id, start, end.
    """

    names: dict[int, str]
    times: list[float]
    persons: list[list[TruthPerson]]
    statuses: list[int]
    runs: list[tuple[int, int, int, float, float]]

    def count(self) -> dict[str, int]:
        """Counts the actions by the names of what became of them."""
        found = [
            is_right
            for persons in self.persons
            for one in persons
            for is_right in one.actions.values()
        ]
        counts = {STATUS_NAMES[i]: self.statuses.count(i) for i in (RIGHT, WRONG_CLASS, WRONG_BOX)}
        return counts | {STATUS_NAMES[MISSED]: found.count(False)}

    def describe(self) -> dict[str, Any]:
        """Converts it to plain values for the page."""
        labeled = (
            (NOT_JUDGED, one.person_id, action_id, index)
            for index, persons in enumerate(self.persons)
            for one in persons
            for action_id in one.actions
        )
        return {
            "counts": self.count(),
            "times": self.times,
            "persons": [
                [(one.person_id, one.box, list(one.actions.items())) for one in persons]
                for persons in self.persons
            ],
            "runs": self.runs,
            "segments": [run[1:] for run in find_runs(labeled, self.times)],
        }


def compare_with_truth(
    records: Sequence[KeyframeRecord], rows: AvaRows, label_map: Mapping[int, str]
) -> Truth:
    """Compares the keyframes of one video with annotations.

    Args:
        records: The keyframes, in order of time.
        rows: Annotations; those of other videos are passed over.
        label_map: Names of actions by 1-based id; others are called by their id.

    Raises:
        ValueError: No annotation is of a keyframe of the video.
    """
    video = records[0].video if records else ""
    labeled = _group_rows(rows, video)
    seen = (person.actions for record in records for person in record.persons)
    names = {action.action_id: action.name for actions in seen for action in actions}
    times: list[float] = []
    persons: list[list[TruthPerson]] = []
    statuses: list[int] = []
    found: list[tuple[int, int, int, int]] = []
    for index, record in enumerate(records):
        here = labeled.get(timestamp_key(record.timestamp))
        judged = _judge(record, here)
        statuses += [status for status, _, _ in judged]
        found += [(*one, index) for one in judged]
        if here is not None:
            times.append(record.time)
            persons.append(here)
            found += [
                (MISSED, one.person_id, action_id, index)
                for one in here
                for action_id, is_right in one.actions.items()
                if not is_right
            ]
    if not times:
        raise ValueError(
            f"{rows.path}: expected annotations of keyframes of {video!r}, found none; do the "
            "timestamps count from another second (data.start_second)?"
        )
    runs = find_runs(found, [record.time for record in records])
    ids = {action_id for here in persons for one in here for action_id in one.actions}
    own = {i: label_map.get(i) or names.get(i, f"action {i}") for i in sorted(ids)}
    return Truth(own, times, persons, statuses, [run for run in runs if run[0] != NOT_JUDGED])


def _group_rows(rows: AvaRows, video: str) -> dict[str, list[TruthPerson]]:
    """Groups the annotations of a video by keyframe and person."""
    grouped: dict[str, dict[tuple[Any, ...], TruthPerson]] = {}
    chosen = [i for i, name in enumerate(rows.video_names) if name == video]
    for row in np.flatnonzero(np.isin(rows.video_index, chosen)).tolist():
        here = grouped.setdefault(timestamp_key(float(rows.timestamps[row])), {})
        if np.isnan(rows.boxes[row]).any():
            continue
        x1, y1, x2, y2 = rows.boxes[row].tolist()
        number = rows.person_ids[row]
        person_id = 0 if np.isnan(number) else int(number)
        person = here.setdefault(
            (x1, y1, x2, y2, person_id), TruthPerson(person_id, (x1, y1, x2, y2), {})
        )
        if rows.action_ids[row] > 0:
            person.actions[int(rows.action_ids[row])] = False
    return {key: list(here.values()) for key, here in grouped.items()}


def _judge(record: KeyframeRecord, labeled: list[TruthPerson] | None) -> list[tuple[int, int, int]]:
    """Judges the actions of a keyframe, and marks those of labeled persons that are right.

    Returns:
        Status, track id and action id of every action.
    """
    pairs = _pair([person.box for person in record.persons], [one.box for one in labeled or ()])
    judged = []
    for index, person in enumerate(record.persons):
        mate = None if labeled is None or index not in pairs else labeled[pairs[index]]
        for action in person.actions:
            status = WRONG_BOX
            if labeled is None:
                status = NOT_JUDGED
            elif mate is not None:
                status = RIGHT if action.action_id in mate.actions else WRONG_CLASS
                if status == RIGHT:
                    mate.actions[action.action_id] = True
            judged.append((status, person.track_id or 0, action.action_id))
    return judged


def _pair(boxes: Sequence[_Box], others: Sequence[_Box]) -> dict[int, int]:
    """Pairs boxes one to one, the largest IoU first; returns the other's index by the index."""
    if not boxes or not others:
        return {}
    overlap = compute_iou(torch.tensor(boxes), torch.tensor(others))
    pairs: dict[int, int] = {}
    while float(overlap.max()) >= MIN_IOU:
        box, other = divmod(int(overlap.argmax()), len(others))
        pairs[box] = other
        overlap[box] = -1
        overlap[:, other] = -1
    return pairs


def find_runs(
    found: Iterable[tuple[int, int, int, int]], times: Sequence[float]
) -> list[tuple[int, int, int, float, float]]:
    """Joins what is on successive keyframes.

    Args:
        found: Status, track or person id, action id, and the number of the keyframe.
        times: Of the keyframes.

    Returns:
        Status, track or person id, action id, start and end, by start.
    """
    going: dict[tuple[int, int, int], list[int]] = {}
    runs = []
    for *what, index in found:
        key = (what[0], what[1], what[2])
        run = going.get(key)
        if run is not None and index <= run[1] + 1:
            run[1] = index
            continue
        if run is not None:
            runs.append((*key, times[run[0]], times[run[1]]))
        going[key] = [index, index]
    runs += [(*key, times[first], times[last]) for key, (first, last) in going.items()]
    return sorted(runs, key=lambda run: (run[3], run[1], run[2]))
