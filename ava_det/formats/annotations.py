"""AVA's files as the program's own objects: keyframes, label maps, exclusions, person boxes and result
files.

Action ids are 1-based here, in the CSV files and in the label map, and nowhere else: column =
action id - 1.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from ava_det.files import atomic_path
from ava_det.formats.ava_csv import (
    AvaRows,
    load_annotations,
    load_box_rows,
    load_detections,
    load_excluded,
    write_rows,
)
from ava_det.formats.box_lists import is_json, load_json_boxes
from ava_det.formats.proposal_pickle import is_pickle, load_proposals
from ava_det.structures import (
    Detections,
    Keyframe,
    KeyframeKey,
    PersonBoxes,
    Persons,
    timestamp_key,
)

__all__ = [
    "AvaRows",
    "concatenate_rows",
    "format_timestamp",
    "join_files",
    "keyframes_from_annotations",
    "load_annotation_files",
    "load_annotations",
    "load_boxes",
    "load_detections",
    "load_excluded",
    "rows_from_detections",
    "rows_from_keyframes",
    "timestamp_key",
    "write_annotations",
    "write_boxes",
    "write_detections",
    "write_submission",
]


def format_timestamp(timestamp: float) -> str:
    """A timestamp as AVA writes it: whole seconds in four digits, others in the fewest that read
    back the same.
    """
    timestamp = float(timestamp)
    return f"{int(timestamp):04d}" if timestamp.is_integer() else repr(timestamp)


def keyframes_from_annotations(
    rows: AvaRows, num_classes: int, excluded: Collection[KeyframeKey] = frozenset()
) -> list[Keyframe]:
    """The keyframes of an annotation file, in order of first appearance.

    A person is one distinct (box, person id) of a keyframe; its actions are merged into one
    multi-hot row of `num_classes` columns. Keyframes in `excluded` (from `load_excluded`) are left
    out; a keyframe whose rows have no box is kept with none. Raises ValueError for an action id
    outside 0..num_classes, naming the row.
    """
    outside = np.flatnonzero((rows.action_ids < 0) | (rows.action_ids > num_classes))
    if len(outside):
        action_id = int(rows.action_ids[outside[0]])
        raise ValueError(
            f"{rows.where(outside[0])}: expected an action id from 1 to {num_classes}, found {action_id}"
        )
    _check_fractions(rows)
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
    """Numbers distinct rows from 0 in the order they first appear: columns [R] -> int [R], equal
    for equal rows.
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


def _check_fractions(rows: AvaRows) -> None:
    """Refuses boxes that nobody can have meant: pixels, swapped corners, infinities. Boxes may
    leave the frame.
    """
    has_box = ~np.isnan(rows.boxes).all(1)
    sane = np.isfinite(rows.boxes).all(1) & (np.abs(rows.boxes - 0.5) <= 1).all(1)
    sane &= (rows.boxes[:, 2:] >= rows.boxes[:, :2]).all(1)
    wrong = np.flatnonzero(has_box & ~sane)
    if len(wrong):
        box = ",".join(f"{value:g}" for value in rows.boxes[wrong[0]])
        raise ValueError(
            f"{rows.where(wrong[0])}: expected a box x1,y1,x2,y2 in fractions of the frame, found {box}"
        )


def rows_from_keyframes(keyframes: Sequence[Keyframe]) -> AvaRows:
    """Labeled keyframes as ground-truth rows; a keyframe without any action becomes one row
    without box.
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
                f"keyframe {keyframe.video_id} {format_timestamp(keyframe.timestamp)} has no labels to score"
            )
        person, column = torch.nonzero(keyframe.labels.cpu(), as_tuple=True)
        empty = not len(person)
        index += [videos.setdefault(keyframe.video_id, len(videos))] * max(len(person), 1)
        timestamps += [keyframe.timestamp] * max(len(person), 1)
        boxes.append(
            np.full((1, 4), np.nan) if empty else _as_decimals(keyframe.boxes)[person.numpy()]
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
    """Writes ground truth as AVA has it, whole or not at all, so that `load_annotations` reads the
    same rows.

    A row without a box becomes `video_id,timestamp`, one without a person id has seven columns.
    Boxes have AVA's three decimals where these are exact for all of them, else as many as each
    number needs.
    """
    three = bool((np.round(rows.boxes, 3) == rows.boxes)[~np.isnan(rows.boxes)].all())
    columns = (rows.video_index, rows.timestamps, rows.boxes, rows.action_ids, rows.column8)
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


def rows_from_detections(
    detections: Iterable[Detections], action_ids: Collection[int] | None = None
) -> AvaRows:
    """One row per (box, action), boxes outermost, scores in column 8; `action_ids`: write these
    only (default: all).
    """
    videos: dict[str, int] = {}
    index = []
    timestamps = []
    boxes = [np.zeros((0, 4))]
    actions = []
    scores = []
    for detection in detections:
        num_boxes, num_classes = detection.action_scores.shape
        ids = np.arange(1, num_classes + 1)
        ids = ids if action_ids is None else ids[np.isin(ids, list(action_ids))]
        count = num_boxes * len(ids)
        index.append(
            np.full(count, videos.setdefault(detection.keyframe.video_id, len(videos)), np.int32)
        )
        timestamps.append(np.full(count, detection.keyframe.timestamp, np.float64))
        boxes.append(_as_decimals(detection.boxes).repeat(len(ids), 0))
        actions.append(np.tile(ids, num_boxes))
        scores.append(
            detection.action_scores.detach().cpu().float().numpy()[:, ids - 1].reshape(-1)
        )
    return AvaRows(
        list(videos),
        np.concatenate([np.zeros(0, np.int32), *index]),
        np.concatenate([np.zeros(0), *timestamps]),
        np.concatenate(boxes),
        np.concatenate([np.zeros(0, np.int64), *actions]),
        np.concatenate([np.zeros(0, np.float32), *scores]).astype(np.float64),
        path="the detections",
    )


def _as_decimals(values: torch.Tensor) -> np.ndarray:
    """float32 values as the float64 nearest to their shortest text.

    That is what a CSV of them reads back as, and what 0.077 in a file was before it became a
    float32: scoring from memory and scoring the written file are then the same computation.
    """
    return values.detach().cpu().float().numpy().astype(str).astype(np.float64)


def concatenate_rows(parts: Sequence[AvaRows]) -> AvaRows:
    """Rows of several sources, one after the other."""
    videos: dict[str, int] = {}
    index = [np.zeros(0, np.int32)]
    for part in parts:
        common = np.array(
            [videos.setdefault(name, len(videos)) for name in part.video_names], dtype=np.int32
        )
        index.append(common[part.video_index])
    return AvaRows(
        list(videos),
        np.concatenate(index),
        np.concatenate([np.zeros(0), *(part.timestamps for part in parts)]),
        np.concatenate([np.zeros((0, 4)), *(part.boxes for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.action_ids for part in parts)]),
        np.concatenate([np.zeros(0), *(part.column8 for part in parts)]),
        path=parts[0].path if parts else "the detections",
    )


def load_annotation_files(paths: Sequence[str | Path]) -> AvaRows:
    """The rows of one or more annotation files, one file after the other, each row with its place
    in its own file.
    """
    parts = [load_annotations(path) for path in paths]
    return parts[0] if len(parts) == 1 else join_files(parts)


def join_files(parts: Sequence[AvaRows]) -> AvaRows:
    """Rows of several files as those of one, which know the file and the line they come from."""
    joined = concatenate_rows(parts)
    own = [np.arange(1, len(part) + 1) if part.lines is None else part.lines for part in parts]
    joined.lines = np.concatenate([np.zeros(0, np.int64), *own])
    joined.paths = [part.path for part in parts]
    joined.path_index = np.repeat(
        np.arange(len(parts), dtype=np.int32), [len(part) for part in parts]
    )
    joined.path = " and ".join(joined.paths)
    for part in reversed(parts):
        joined.forms |= part.forms
    joined.repairs = [sentence for part in parts for sentence in part.repairs]
    return joined


def write_detections(
    path: str | Path, detections: Iterable[Detections], action_ids: Collection[int] | None = None
) -> None:
    """Writes an AVA result CSV, one row per (box, action), whole or not at all; `action_ids`: these
    only.
    """
    rows = rows_from_detections(detections, action_ids)
    times, inverse = np.unique(rows.timestamps, return_inverse=True)
    texts = np.array([format_timestamp(time) for time in times], dtype=object)[inverse]
    boxes = rows.boxes.astype(np.float32)
    scores = rows.scores.astype(np.float32)
    write_rows(path, rows.video_ids, texts, boxes, rows.action_ids, scores)


def write_submission(
    path: str | Path, detections: Iterable[Detections], label_map: Collection[int]
) -> None:
    """Writes the file the AVA test server takes: the result CSV restricted to the evaluated classes
    of `label_map`.
    """
    write_detections(path, detections, action_ids=label_map)


def load_boxes(path: str | Path, min_score: float) -> dict[KeyframeKey, Persons]:
    """Reads the person boxes of a file, boxes as fractions of the frame.

    The file is a CSV with the score in column 8 (ours, and the lists of the Long-Term Feature Banks
    and PySlowFast, whose column 7 is empty, -1 or an action id), or a pickle or JSON of another
    project, told by its bytes. Rows with a score below `min_score` are dropped; a box written
    several times in a keyframe (once per action) is kept once, with its first score. Raises
    ValueError for a row that is no box, and for scores that are none: 0..1, and not person ids.
    """
    path = Path(path)
    if path.is_file() and is_pickle(path):
        rows = load_proposals(path)
    elif path.is_file() and is_json(path):
        rows = load_json_boxes(path)
    else:
        rows = load_box_rows(path)
    _check_fractions(rows)
    _check_scores(rows)
    keys = {time: timestamp_key(time) for time in np.unique(rows.timestamps).tolist()}
    found: dict[tuple[str, str], dict[tuple[float, ...], float]] = {}
    columns = (rows.video_index, rows.timestamps, rows.boxes, rows.scores)
    for video, timestamp, box, score in zip(*(column.tolist() for column in columns), strict=True):
        if score >= min_score:
            found.setdefault((rows.video_names[video], keys[timestamp]), {}).setdefault(
                tuple(box), score
            )
    return {
        KeyframeKey(*key): Persons(
            torch.tensor(list(boxes), dtype=torch.float32),
            torch.tensor(list(boxes.values()), dtype=torch.float32),
        )
        for key, boxes in found.items()
    }


def _check_scores(rows: AvaRows) -> None:
    """Refuses a column 8 that is no score: in annotations it holds person ids, and those of two
    persons are 0 and 1.
    """
    scores = rows.scores
    wrong = np.flatnonzero(~((scores >= 0) & (scores <= 1 + 1e-6)))
    if not len(wrong) and len(scores) and (scores % 1 == 0).all() and not (scores == 1).all():
        wrong = np.flatnonzero(scores == 0)
    if len(wrong):
        raise ValueError(
            f"{rows.where(wrong[0])}: expected a person's score from 0 to 1 in column 8, found {scores[wrong[0]]:g}; "
            "annotations have person ids there, which are no scores"
        )


def write_boxes(path: str | Path, boxes: PersonBoxes) -> None:
    """Writes what `load_boxes` reads, whole or not at all."""
    counts = [len(scores) for _, scores in boxes.values()]
    video_ids = np.array([video_id for video_id, _ in boxes], dtype=object).repeat(counts)
    timestamps = np.array([format_timestamp(float(key)) for _, key in boxes], dtype=object).repeat(
        counts
    )
    all_boxes = [
        np.zeros((0, 4), np.float32),
        *(value.cpu().float().numpy() for value, _ in boxes.values()),
    ]
    all_scores = [
        np.zeros(0, np.float32),
        *(scores.cpu().float().numpy() for _, scores in boxes.values()),
    ]
    write_rows(
        path, video_ids, timestamps, np.concatenate(all_boxes), None, np.concatenate(all_scores)
    )
