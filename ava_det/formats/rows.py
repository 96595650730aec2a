"""Joins and checks the rows of AVA's files, and converts their numbers to text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ava_det.formats.ava_csv import AvaRows


def concatenate_rows(parts: Sequence[AvaRows]) -> AvaRows:
    """Joins rows of several sources, one after the other."""
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
        np.concatenate([np.zeros(0), *(part.ids_or_scores for part in parts)]),
        path=parts[0].path if parts else "the detections",
    )


def join_files(parts: Sequence[AvaRows]) -> AvaRows:
    """Joins rows of several files; each row keeps the file and the line it comes from."""
    joined = concatenate_rows(parts)
    line_numbers = [
        np.arange(1, len(part) + 1) if part.lines is None else part.lines for part in parts
    ]
    joined.lines = np.concatenate([np.zeros(0, np.int64), *line_numbers])
    joined.paths = [part.path for part in parts]
    joined.path_index = np.repeat(
        np.arange(len(parts), dtype=np.int32), [len(part) for part in parts]
    )
    joined.path = " and ".join(joined.paths)
    for part in reversed(parts):
        joined.forms |= part.forms
    joined.repairs = [sentence for part in parts for sentence in part.repairs]
    return joined


def check_fractions(rows: AvaRows) -> None:
    """Raises ValueError for boxes that cannot be fractions: pixels, swapped corners, infinities.

    Boxes may leave the frame by half its size.
    """
    has_box = ~np.isnan(rows.boxes).all(1)
    sane = np.isfinite(rows.boxes).all(1) & (np.abs(rows.boxes - 0.5) <= 1).all(1)
    sane &= (rows.boxes[:, 2:] >= rows.boxes[:, :2]).all(1)
    wrong = np.flatnonzero(has_box & ~sane)
    if len(wrong):
        box = ",".join(f"{value:g}" for value in rows.boxes[wrong[0]])
        raise ValueError(
            f"{rows.where(wrong[0])}: expected a box x1,y1,x2,y2 in fractions of the frame, "
            f"found {box}"
        )


def as_decimals(values: torch.Tensor) -> np.ndarray:
    """Converts float32 values to the float64 nearest to their shortest text.

    A CSV of them reads back as these numbers, and 0.077 in a file was this number before it became
    a
    float32: scoring from memory and scoring the written file are then the same computation.
    """
    return values.detach().cpu().float().numpy().astype(str).astype(np.float64)
