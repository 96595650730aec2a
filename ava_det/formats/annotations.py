"""Converts between AVA's annotation files and keyframes.

Action ids are 1-based here, in the CSV files and in the label map, and nowhere else: column =
action id - 1. The functions for boxes and detections can be imported from here too.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch

from ava_det.files import atomic_path
from ava_det.formats.ava_csv import AvaRows, load_annotations, load_detections, load_excluded
from ava_det.formats.box_files import load_box_files, load_boxes, write_boxes
from ava_det.formats.detections import (
    rows_from_detections,
    write_detections,
    write_result_rows,
    write_submission,
)
from ava_det.formats.rows import (
    as_decimals,
    check_fractions,
    concatenate_rows,
    join_files,
)
from ava_det.formats.timestamps import format_timestamp
from ava_det.structures import Keyframe, KeyframeKey, timestamp_key

__all__ = [
    "AvaRows",
    "concatenate_rows",
    "format_timestamp",
    "join_files",
    "keyframes_from_annotations",
    "load_annotation_files",
    "load_annotations",
    "load_box_files",
    "load_boxes",
    "load_detections",
    "load_excluded",
    "rows_from_detections",
    "rows_from_keyframes",
    "timestamp_key",
    "write_annotations",
    "write_boxes",
    "write_detections",
    "write_result_rows",
    "write_submission",
]


def keyframes_from_annotations(
    rows: AvaRows, num_classes: int, excluded: Collection[KeyframeKey] = frozenset()
) -> list[Keyframe]:
    """Makes the keyframes of annotation rows, in the order in which they first appear.

    A person is one distinct (box, person id) of a keyframe. A keyframe whose rows have no box is
    kept with no person.

    Args:
        rows: The rows.
        num_classes: Columns of the labels; a person's actions are merged into one multi-hot row.
        excluded: Keyframes to leave out, from `load_excluded`.

    Raises:
        ValueError: An action id is outside 0..num_classes, or a box is not in fractions of the
            frame; the sentence names the row.
    """
    outside = np.flatnonzero((rows.action_ids < 0) | (rows.action_ids > num_classes))
    if len(outside):
        action_id = int(rows.action_ids[outside[0]])
        raise ValueError(
            f"{rows.where(outside[0])}: expected an action id from 1 to {num_classes}, "
            f"found {action_id}"
        )
    check_fractions(rows)
    lost = np.flatnonzero(np.isnan(rows.boxes).any(1) & (rows.action_ids > 0))
    if len(lost):
        raise ValueError(
            f"{rows.where(lost[0])}: expected a box for action {rows.action_ids[lost[0]]}, found "
            "none"
        )
    timestamps = rows.timestamps.round(6)
    keyframe_of_row = _number_by_appearance(rows.video_index, timestamps)
    boxed = np.flatnonzero(~np.isnan(rows.boxes).any(1))
    boxed = boxed[np.argsort(keyframe_of_row[boxed], kind="stable")]
    person_ids = np.where(np.isnan(rows.person_ids), -1.0, rows.person_ids)
    person_of_row = _number_by_appearance(
        keyframe_of_row[boxed], *rows.boxes[boxed].T, person_ids[boxed]
    )
    _, first_of_person = np.unique(person_of_row, return_index=True)
    action_ids = rows.action_ids[boxed]
    labels = torch.zeros(len(first_of_person), num_classes)
    labels[person_of_row[action_ids > 0], action_ids[action_ids > 0] - 1] = 1.0
    boxes = torch.from_numpy(rows.boxes[boxed[first_of_person]].astype(np.float32))
    _, first_of_keyframe = np.unique(keyframe_of_row, return_index=True)
    counts = np.bincount(
        keyframe_of_row[boxed[first_of_person]], minlength=len(first_of_keyframe)
    ).tolist()
    parts = (tensor.split(counts) for tensor in (boxes, labels, torch.ones(len(boxes))))
    names = [rows.video_names[index] for index in rows.video_index[first_of_keyframe]]
    keyframes = map(Keyframe, names, timestamps[first_of_keyframe].tolist(), *parts)
    if not excluded:
        return list(keyframes)
    return [keyframe for keyframe in keyframes if keyframe.key not in excluded]


def _number_by_appearance(*columns: np.ndarray) -> np.ndarray:
    """Numbers distinct rows from 0 in the order in which they first appear.

    Args:
        columns: The columns of the rows, each [R].

    Returns:
        int64 [R], equal for equal rows.
    """
    order = np.lexsort(columns)  # stable: the first of equal rows stays the first
    starts = np.zeros(len(order), dtype=bool)
    starts[:1] = True
    for column in columns:
        starts[1:] |= np.diff(column[order]) != 0
    by_appearance = np.argsort(np.argsort(order[starts]))
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = by_appearance[np.cumsum(starts) - 1]
    return numbers


def rows_from_keyframes(keyframes: Sequence[Keyframe]) -> AvaRows:
    """Makes ground-truth rows of labeled keyframes.

    A keyframe without any action becomes one row without a box. The numbers of persons in a
    keyframe are their ids.

    Raises:
        ValueError: A keyframe has no labels.
    """
    videos: dict[str, int] = {}
    index = []
    timestamps = []
    boxes = []
    actions = []
    persons = []
    for keyframe in keyframes:
        if keyframe.labels is None:
            raise ValueError(
                f"keyframe {keyframe.video_id} {format_timestamp(keyframe.timestamp)} "
                "has no labels to score"
            )
        person, column = torch.nonzero(keyframe.labels.cpu(), as_tuple=True)
        empty = not len(person)
        index += [videos.setdefault(keyframe.video_id, len(videos))] * max(len(person), 1)
        timestamps += [keyframe.timestamp] * max(len(person), 1)
        boxes.append(
            np.full((1, 4), np.nan) if empty else as_decimals(keyframe.boxes)[person.numpy()]
        )
        actions.append(np.zeros(1, np.int64) if empty else column.numpy() + 1)
        persons.append(np.full(1, np.nan) if empty else person.double().numpy())
    return AvaRows(
        list(videos),
        np.array(index, dtype=np.int32),
        np.array(timestamps, dtype=np.float64),
        np.concatenate([np.zeros((0, 4)), *boxes]),
        np.concatenate([np.zeros(0, np.int64), *actions]),
        np.concatenate([np.zeros(0), *persons]),
        path="the keyframes",
    )


def write_annotations(path: str | Path, rows: AvaRows) -> None:
    """Writes ground truth as AVA has it, whole or not at all.

    `load_annotations` reads the same rows back.

    A row without a box becomes `video_id,timestamp`, one without a person id has seven columns.
    Boxes have AVA's three decimals where these are exact for all of them, else as many as each
    number needs.
    """
    three = bool((np.round(rows.boxes, 3) == rows.boxes)[~np.isnan(rows.boxes)].all())
    columns = (rows.video_index, rows.timestamps, rows.boxes, rows.action_ids, rows.ids_or_scores)
    texts = {time: format_timestamp(time) for time in np.unique(rows.timestamps).tolist()}
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for video, timestamp, box, action_id, person_id in zip(
            *(c.tolist() for c in columns), strict=True
        ):
            row = [rows.video_names[video], texts[timestamp]]
            if not math.isnan(box[0]):
                row += [f"{value:.3f}" if three else repr(value) for value in box]
                row += [str(action_id) if action_id else ""]
                row += [] if math.isnan(person_id) else [f"{person_id:.0f}"]
            writer.writerow(row)


def load_annotation_files(paths: Sequence[str | Path]) -> AvaRows:
    """Reads one or more annotation files, one after the other.

    Returns:
        Their rows, each with its place in its own file.
    """
    parts = [load_annotations(path) for path in paths]
    return parts[0] if len(parts) == 1 else join_files(parts)
