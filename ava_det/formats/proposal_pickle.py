"""Person boxes as MMAction2 publishes them: a pickled dict, "video_id,0902" -> float array [N, 5]
or [N, 4].

The columns are x1, y1, x2, y2 in fractions of the frame and the detector's score; without a fifth
column every box scores 1, as MMAction2 has it.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from ava_det.files.safe_pickle import describe_unpickling, load_arrays
from ava_det.formats.ava_csv import AvaRows


def is_pickle(path: Path) -> bool:
    """Whether a box file is a pickle; a CSV of boxes never starts so. Protocols 0 and 1 are told by
    their suffix.
    """
    with path.open("rb") as file:
        return file.read(1) == pickle.PROTO or path.suffix.lower() in (".pkl", ".pickle")


def load_proposals(path: str | Path) -> AvaRows:
    """One row per box, in the dict's order; column 8 is the score. Nothing in the file is run.

    Raises ValueError in one sentence for any other content, naming the key.
    """
    try:
        content = load_arrays(path)
    except Exception as error:  # damaged bytes surface as almost any exception of the unpickler
        raise ValueError(f"{path}: {describe_unpickling(error)}") from None
    if not isinstance(content, dict):
        raise ValueError(
            f'{path}: expected a dict from "video_id,timestamp" to boxes, found {type(content).__name__}'
        )
    videos: dict[str, int] = {}
    index = []
    timestamps = []
    boxes = [np.zeros((0, 5))]
    for key, value in content.items():
        video_id, timestamp = _parse_key(path, key)
        array = _parse_boxes(path, key, value)
        index += [videos.setdefault(video_id, len(videos))] * len(array)
        timestamps += [timestamp] * len(array)
        boxes.append(array)
    columns = np.concatenate(boxes)
    return AvaRows(
        list(videos),
        np.array(index, dtype=np.int32),
        np.array(timestamps, dtype=np.float64),
        columns[:, :4],
        np.zeros(len(columns), np.int64),
        columns[:, 4],
        path=str(path),
        row_noun="box",
    )


def _parse_key(path: str | Path, key: Any) -> tuple[str, float]:
    if isinstance(key, str):
        video_id, _, second = key.rpartition(",")
        try:
            timestamp = float(second)
        except ValueError:
            timestamp = np.nan
        if video_id and np.isfinite(timestamp):
            return video_id, timestamp
    raise ValueError(f'{path}: expected keys such as "video_id,0902", found {key!r}')


def _parse_boxes(path: str | Path, key: str, value: Any) -> np.ndarray:
    """float64 [N, 5]."""
    shape: tuple[int, ...] = value.shape if isinstance(value, np.ndarray) else ()
    if len(shape) == 2 and shape[1] in (4, 5) and value.dtype.kind in "fiu":
        columns = value.astype(np.float64)
        return columns if shape[1] == 5 else np.column_stack((columns, np.ones(len(columns))))
    found = (
        f"{list(shape)} {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
    )
    raise ValueError(f"{path}, key {key!r}: expected an array of boxes [N, 5], found {found}")
