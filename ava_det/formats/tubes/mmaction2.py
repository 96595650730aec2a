"""Reads MMAction2's forms of MultiSports: its annotations (CSV) and its dumped results (pickle).

Annotations, a row for each box, without a header:

    aerobic_gymnastics/v_abc_c001.mp4,377,0.706,0.439,0.794,0.811,11,0

video, frame from 1, box in fractions of the frame to three decimals, label from 0, and a number of
the tube among those of its label. Names of labels are in `label_map.txt`: `0: aerobic_push_up`.

Results, as its tools dump them: a list of one dictionary a keyframe, with `video_id`, `timestamp`
(the frame) and `pred_instances` of `bboxes` [n, 4] in fractions and `scores` [n, labels]. Its
metric takes the surest label of each box alone, so that is what is read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ava_det.formats.tubes.structures import FrameBoxes, Tube, TubeTruth

_NUM_FIELDS = 8
Rows = dict[tuple[int, int], dict[int, list[float]]]  # (label, tube) -> frame -> box


def read_rows(path: str | Path) -> dict[str, Rows]:
    """Reads the rows of an annotation file by the video's name without .mp4.

    Raises:
        ValueError: A row is of another form, or repeats a frame of a tube; the line is named.
    """
    videos: dict[str, Rows] = {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            for row in filter(None, reader):
                where = f"{path}, line {reader.line_num}"
                video, frame, box, label, number = _parse_row(where, row)
                frames = videos.setdefault(video, {}).setdefault((label, number), {})
                if frame in frames:
                    raise ValueError(
                        f"{where}: expected one box of tube {number} of label {label} on frame "
                        f"{frame}, found a second"
                    )
                frames[frame] = box
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: expected a CSV ({error})") from None
    if not videos:
        raise ValueError(f"{path}: expected rows, found none")
    return videos


def _parse_row(where: str, row: Sequence[str]) -> tuple[str, int, list[float], int, int]:
    try:
        if len(row) != _NUM_FIELDS or not row[0]:
            raise ValueError
        frame, label, number = (int(row[place]) for place in (1, 6, 7))
        box = [float(text) for text in row[2:6]]
    except ValueError:
        raise ValueError(
            f"{where}: expected video.mp4,frame,x1,y1,x2,y2,label,tube, found {','.join(row)[:80]}"
        ) from None
    x1, y1, x2, y2 = box
    if frame < 1 or label < 0 or not (-0.5 <= x1 <= x2 <= 1.5 and -0.5 <= y1 <= y2 <= 1.5):
        raise ValueError(
            f"{where}: expected a frame from 1, a box in fractions of the picture and a label from "
            f"0, found {','.join(row)[:80]}"
        )
    return row[0].removesuffix(".mp4"), frame, box, label, number


def make_tubes(video: str, rows: Rows, width: int, height: int) -> tuple[Tube, ...]:
    """Makes the tubes of a video in pixels; frames that a tube leaves out divide it into several.

    Args:
        video: Its name.
        rows: As `read_rows` returns them.
        width: Pixels.
        height: Pixels.
    """
    size = np.array([width, height] * 2, dtype=np.float64)
    tubes = []
    for (label, _), by_frame in sorted(rows.items()):
        frames = np.array(sorted(by_frame), dtype=np.int64)
        boxes = np.array([by_frame[frame] for frame in frames.tolist()]) * size
        gaps = np.flatnonzero(np.diff(frames) > 1) + 1
        for part in np.split(np.arange(len(frames)), gaps):
            tubes.append(Tube(video, label, frames[part], boxes[part].astype(np.float32)))
    return tuple(tubes)


def read_label_names(path: str | Path) -> tuple[str, ...]:
    """Reads lines such as `0: aerobic_push_up`; underscores become spaces, as in the ground truth.

    MultiSports' evaluator leaves out six labels by their names with spaces.

    Raises:
        ValueError: A line is of another form, or numbers do not count from 0.
    """
    names: list[str] = []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected text, lines such as 0: aerobic_push_up") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found = re.fullmatch(r"\s*(\d+)\s*:\s*(\S.*?)\s*", line)
        if not found or int(found[1]) != len(names):
            raise ValueError(
                f"{path}, line {number}: expected a line such as {len(names)}: aerobic_push_up, "
                f"found {line.strip()[:60]!r}"
            )
        names.append(found[2].replace("_", " "))
    return tuple(names)


def is_results(content: Any) -> bool:
    """Returns whether the content of a pickle is a list of MMAction2's results."""
    return isinstance(content, list) and bool(content) and isinstance(content[0], dict)


def read_results(
    path: str | Path, content: Sequence[Any], truth: TubeTruth, split: int
) -> FrameBoxes:
    """Makes boxes of results: of each box the surest label.

    Args:
        path: The file, for messages.
        content: Of the pickle.
        truth: The ground truth, which has the sizes of the videos.
        split: Number of the split, from 1.

    Raises:
        ValueError: A result is of another form or of a video that the split does not have.
    """
    videos = truth.split(split)
    places = {name: place for place, name in enumerate(videos)}
    parts: list[tuple[np.ndarray, ...]] = []
    for number, result in enumerate(content):
        where = f"{path}: result {number}"
        video, frame, boxes, scores = _parse_result(where, result, len(truth.labels))
        if video not in places:
            raise ValueError(
                f"{where}: expected a video of split {split}, such as {videos[0]}, found {video}"
            )
        height, width = truth.resolution[video]
        same = np.ones(len(boxes), dtype=np.int64)
        labels = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), labels]
        pixels = boxes * np.array([width, height] * 2, dtype=np.float32)
        parts.append((same * places[video], same * frame, labels, best, pixels))
    index, frames, classes, best, boxes = (np.concatenate(one) for one in zip(*parts, strict=True))
    return FrameBoxes(videos, index, frames, classes, best, boxes, str(path))


def _parse_result(
    where: str, result: Mapping[str, Any], num_labels: int
) -> tuple[str, int, np.ndarray, np.ndarray]:
    try:
        video = str(result["video_id"]).removesuffix(".mp4")
        frame = int(result["timestamp"])
        boxes = np.asarray(result["pred_instances"]["bboxes"], dtype=np.float32)
        scores = np.asarray(result["pred_instances"]["scores"], dtype=np.float32)
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{where}: expected video_id, timestamp and pred_instances with bboxes and scores"
        ) from None
    if boxes.shape != (len(boxes), 4) or scores.shape != (len(boxes), num_labels):
        raise ValueError(
            f"{where}: expected bboxes [n, 4] and scores [n, {num_labels}], found "
            f"{list(boxes.shape)} and {list(scores.shape)}"
        )
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise ValueError(f"{where}: expected finite numbers")
    return video, frame, boxes, scores
