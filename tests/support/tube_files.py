"""Files of tubes in the forms that the public evaluators read and write."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ava_det.formats.tubes import FrameBoxes, Tube, TubeTruth


def to_rows(tube: Tube, columns: int) -> np.ndarray:
    """Rows of frame, box and, with six columns, the tube's score."""
    rows = np.empty((len(tube), columns), np.float32)
    rows[:, 0], rows[:, 1:5] = tube.frames, tube.boxes
    rows[:, 5:] = tube.score or 0.0
    return rows


def plain_truth(truth: TubeTruth) -> dict[str, Any]:
    """The content of a `*-GT.pkl`."""
    by_video: dict[str, dict[int, list[np.ndarray]]] = {}
    for video, tubes in truth.tubes.items():
        by_video[video] = {}
        for tube in tubes:
            by_video[video].setdefault(tube.label, []).append(to_rows(tube, 5))
    return {
        "labels": list(truth.labels),
        "train_videos": [list(split) for split in truth.train_videos],
        "test_videos": [list(split) for split in truth.test_videos],
        "nframes": dict(truth.num_frames),
        "resolution": dict(truth.resolution),
        "gttubes": by_video,
    }


def plain_tubes(tubes: Sequence[Tube], num_labels: int) -> dict[int, list[Any]]:
    """The content of MultiSports' `video_detections.pkl`."""
    return {
        label: [(t.video, t.score, to_rows(t, 6)) for t in tubes if t.label == label]
        for label in range(num_labels)
    }


def plain_boxes(boxes: FrameBoxes) -> np.ndarray:
    """The content of `frame_detections.pkl`."""
    columns = (boxes.video, boxes.frames, boxes.labels, boxes.scores)
    return np.concatenate([np.stack(columns, 1), boxes.boxes], 1)


def save(path: Path, content: Any, protocol: int = 2) -> Path:
    """Writes a pickle and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def save_folder(folder: Path, truth: TubeTruth, tubes: Sequence[Tube]) -> Path:
    """Writes ACT's folder: `VIDEO_tubes.pkl` for every test video."""
    for video in truth.test_videos[0]:
        mine = [tube for tube in tubes if tube.video == video]
        content = {
            label: [(to_rows(tube, 6), tube.score) for tube in mine if tube.label == label]
            for label in range(len(truth.labels))
        }
        save(folder / f"{video}_tubes.pkl", content)
    return folder


def plain_retinanet3d(tubes: Sequence[Tube]) -> dict[str, list[dict[str, Any]]]:
    """The tubes of one label type in 3D-RetinaNet's pickle."""
    by_video: dict[str, list[dict[str, Any]]] = {}
    for tube in tubes:
        by_video.setdefault(tube.video, []).append(
            {
                "frames": tube.frames,
                "boxes": tube.boxes,
                "scores": np.full(len(tube), tube.score),
                "label_id": tube.label,
                "score": tube.score,
            }
        )
    return by_video
