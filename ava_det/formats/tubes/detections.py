"""Reads detected tubes, and detected boxes of frames, in the forms that evaluators read.

Tubes: MultiSports' `video_detections.pkl`, ACT's folder with a `VIDEO_tubes.pkl` for each video,
3D-RetinaNet's pickle, and our JSON lines. Boxes: `frame_detections.pkl`, and MMAction2's dumped
results. Nothing in a pickle is run.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ava_det.files.tensor_pickle import load_arrays_and_tensors
from ava_det.formats.tubes.ground_truth import load_pickle, read_tube_rows
from ava_det.formats.tubes.mmaction2 import is_results, read_results
from ava_det.formats.tubes.retinanet3d import is_retinanet3d_truth, tubes_of_retinanet3d
from ava_det.formats.tubes.structures import FrameBoxes, Tube, TubeTruth
from ava_det.formats.tubes.tube_lines import read_tubes

_NUM_COLUMNS = 8  # video, frame, label, score, x1, y1, x2, y2


def load_tubes(
    path: str | Path, truth: TubeTruth, split: int = 1, label_type: str | None = None
) -> list[Tube]:
    """Reads detected tubes of any of the four forms, recognized by content.

    Args:
        path: A file, or ACT's folder.
        truth: The ground truth, whose labels and videos the files speak of.
        split: Number of the split, whose videos ACT's folder must have.
        label_type: Kind of labels in 3D-RetinaNet's pickle of several kinds.

    Raises:
        ValueError: The content is of another form, or a tube has no score; the sentence names the
            file and the place.
    """
    path = Path(path)
    tubes = _load_tubes(path, truth, split, label_type)
    for place, tube in enumerate(tubes, 1):
        if tube.score is None or not np.isfinite(tube.score):
            raise ValueError(
                f"{path}: expected a finite score of every tube, found {tube.score} in tube {place}"
            )
    return tubes


def _load_tubes(path: Path, truth: TubeTruth, split: int, label_type: str | None) -> list[Tube]:
    if path.is_dir():
        return list(_read_folder(path, truth.split(split)))
    if not _is_pickle(path):
        return read_tubes(path, truth.labels)
    content = load_pickle(path)
    if isinstance(content, dict) and ("gttubes" in content or is_retinanet3d_truth(content)):
        raise ValueError(f"{path}: expected detected tubes with scores, found a ground truth")
    if isinstance(content, dict) and content and all(isinstance(key, str) for key in content):
        return list(tubes_of_retinanet3d(path, content, label_type))
    return list(_read_multisports(path, content))


def load_frame_boxes(path: str | Path, truth: TubeTruth, split: int = 1) -> FrameBoxes:
    """Reads `frame_detections.pkl`, or results that MMAction2 dumped (see mmaction2.py).

    `frame_detections.pkl` is an array [N, 8] of video, frame, label, score, x1, y1, x2, y2.

    Args:
        path: The file.
        truth: The ground truth; video numbers count its test videos from 0.
        split: Number of the split, from 1.

    Raises:
        ValueError: The content is of another form, or a video number is outside the split.
    """
    videos = truth.split(split)
    table = load_pickle(path, load_arrays_and_tensors)
    if is_results(table):
        return read_results(path, table, truth, split)
    if not isinstance(table, np.ndarray) or table.ndim != 2 or table.shape[1] != _NUM_COLUMNS:
        found = list(table.shape) if isinstance(table, np.ndarray) else type(table).__name__
        raise ValueError(
            f"{path}: expected an array [N, 8] of video, frame, label, score, x1, y1, x2, y2, "
            f"found {found}"
        )
    if table.dtype.kind not in "fiu" or not np.isfinite(table).all():
        raise ValueError(f"{path}: expected finite numbers")
    whole = table[:, :3].astype(np.int64)
    if (whole != table[:, :3]).any():
        row = int(np.argmax((whole != table[:, :3]).any(1)))
        raise ValueError(f"{path}: row {row}: expected whole numbers of video, frame and label")
    outside = (whole[:, 0] < 0) | (whole[:, 0] >= len(videos))
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(
            f"{path}: row {row}: expected a video from 0 to {len(videos) - 1} of split {split}, "
            f"found {whole[row, 0]}"
        )
    return FrameBoxes(
        videos, whole[:, 0], whole[:, 1], whole[:, 2], table[:, 3], table[:, 4:], str(path)
    )


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == pickle.PROTO or path.suffix.lower() in (".pkl", ".pickle")


def _read_multisports(path: Path, content: Any) -> Iterator[Tube]:
    if not isinstance(content, dict):
        raise ValueError(
            f"{path}: expected a dictionary of tubes by label, found {type(content).__name__}"
        )
    for label, tubes in content.items():
        where = f"{path}: label {label!r}"
        try:
            number = int(label)
            entries = [(str(video), float(score), rows) for video, score, rows in tubes]
        except (TypeError, ValueError):
            raise ValueError(f"{where}: expected a list of (video, score, rows [n, 6])") from None
        for place, (video, score, rows) in enumerate(entries):
            yield read_tube_rows(f"{where}: tube {place}", video, number, rows, 6, score)


def _read_folder(folder: Path, videos: tuple[str, ...]) -> Iterator[Tube]:
    """Reads ACT's folder; like ACT's evaluator it wants the file of every video of the split."""
    for video in videos:
        path = folder / f"{video}_tubes.pkl"
        if not path.is_file():
            raise ValueError(f"{folder}: expected {video}_tubes.pkl, and so for every test video")
        content = load_pickle(path)
        if not isinstance(content, dict):
            raise ValueError(f"{path}: expected a dictionary of tubes by label")
        for label, tubes in content.items():
            where = f"{path}: label {label!r}"
            try:
                number = int(label)
                entries = [(rows, float(score)) for rows, score in tubes]
            except (TypeError, ValueError):
                raise ValueError(f"{where}: expected a list of (rows [n, 6], score)") from None
            for place, (rows, score) in enumerate(entries):
                yield read_tube_rows(f"{where}: tube {place}", video, number, rows, 6, score)
