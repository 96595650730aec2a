"""Writes detections as AVA's result files."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from ava_det.formats.ava_csv import AvaRows, write_rows
from ava_det.formats.rows import as_decimals
from ava_det.formats.timestamps import format_timestamp
from ava_det.structures import Detections


def rows_from_detections(
    detections: Iterable[Detections], action_ids: Collection[int] | None = None
) -> AvaRows:
    """Makes one row for each box and action, boxes in the outer loop; column 8 is the score.

    Args:
        detections: Detections of keyframes.
        action_ids: The 1-based ids to write; None writes all.
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
        boxes.append(as_decimals(detection.boxes).repeat(len(ids), 0))
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


def write_detections(
    path: str | Path, detections: Iterable[Detections], action_ids: Collection[int] | None = None
) -> None:
    """Writes an AVA result CSV, one row for each box and action, whole or not at all.

    Args:
        path: The file.
        detections: Detections of keyframes.
        action_ids: The 1-based ids to write; None writes all.
    """
    write_result_rows(path, rows_from_detections(detections, action_ids))


def write_result_rows(path: str | Path, rows: AvaRows) -> None:
    """Writes rows as an AVA result CSV, whole or not at all; numbers have float32's digits.

    Args:
        path: The file.
        rows: The rows; column 8 is the score.
    """
    times, inverse = np.unique(rows.timestamps, return_inverse=True)
    texts = np.array([format_timestamp(time) for time in times], dtype=object)[inverse]
    boxes = rows.boxes.astype(np.float32)
    scores = rows.scores.astype(np.float32)
    write_rows(path, rows.video_ids, texts, boxes, rows.action_ids, scores)


def write_submission(
    path: str | Path, detections: Iterable[Detections], label_map: Collection[int]
) -> None:
    """Writes the file that the AVA test server takes: a result CSV of the evaluated classes alone.

    Args:
        path: The file.
        detections: Detections of keyframes.
        label_map: The 1-based ids of the evaluated classes.
    """
    write_detections(path, detections, action_ids=label_map)
