"""Writes AVA CSV files, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from ava_det.files import atomic_path
from ava_det.formats.ava_csv.rows import COLUMNS


def write_rows(
    path: str | Path,
    video_ids: np.ndarray,
    timestamps: np.ndarray,
    boxes: np.ndarray,
    action_ids: np.ndarray | None,
    scores: np.ndarray,
) -> None:
    """Writes an AVA CSV, whole or not at all.

    Floats are written in the fewest digits that read back as the same float32 or float64, so that a
    written and re-read file keeps its order and its ties.

    Args:
        path: The file.
        video_ids: str [R].
        timestamps: str [R], from `format_timestamp`.
        boxes: [R, 4], normalized xyxy.
        action_ids: int [R], 1-based, or None for an empty column.
        scores: [R].
    """
    nothing = pl.repeat(None, len(scores), dtype=pl.String, eager=True)
    actions = nothing if action_ids is None else pl.Series(np.asarray(action_ids))
    columns = [
        pl.Series(list(video_ids), dtype=pl.String),
        pl.Series(list(timestamps), dtype=pl.String),
    ]
    columns += [pl.Series(np.ascontiguousarray(boxes[:, column])) for column in range(4)]
    columns += [actions, pl.Series(np.asarray(scores))]
    frame = pl.DataFrame(
        [column.alias(name) for column, name in zip(columns, COLUMNS, strict=True)]
    )
    with atomic_path(path) as temporary:
        frame.write_csv(temporary, include_header=False, quote_style="necessary")
