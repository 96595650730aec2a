"""Writes suggestions as a CSV, the best first."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from ava_det.files import atomic_path
from ava_det.formats.timestamps import format_timestamp
from ava_det.structures import Keyframe
from ava_det.suggest.selection import Reasons, Suggestion

COLUMNS = ("rank", "video", "second", *Reasons._fields, "score")


def write_suggestions(
    path: str | Path, keyframes: Sequence[Keyframe], suggestions: Sequence[Suggestion]
) -> None:
    """Writes a header and a row for each suggestion, whole or not at all.

    Reasons are relative to the highest of all keyframes; `score` is their weighted sum.

    Args:
        path: The CSV file.
        keyframes: Of the pool.
        suggestions: The chosen ones.
    """
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for rank, one in enumerate(suggestions, 1):
            keyframe = keyframes[one.index]
            values = (*one.shares, one.score)
            second = format_timestamp(keyframe.timestamp)
            writer.writerow(
                [rank, keyframe.video_id, second, *(f"{value:.4f}" for value in values)]
            )
