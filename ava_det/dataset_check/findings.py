"""Defines a finding of a check: its severity, its place, the problem and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ava_det.formats.annotations import AvaRows

ERROR, WARNING, NOTE = SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """Describes one line of the table of faults.

    Attributes:
        severity: `error` (spoils training or evaluation), `warning` (look at it) or `note` (good
            to know).
        where: The first place: file:line, or a video id and second, or a config key.
        problem: What is wrong.
        remedy: How to fix it.
        count: The number of places.
        split: The split whose annotations the finding is about; empty for other findings.
        rows: The rows of these annotations, which the sheet can show; empty for other findings.
    """

    severity: str
    where: str
    problem: str
    remedy: str
    count: int = 1
    split: str = ""
    rows: tuple[int, ...] = ()


def find_rows(
    severity: str,
    split: str,
    rows: AvaRows,
    faulty: np.ndarray,
    problem: str,
    remedy: str,
    pictured: bool = True,
) -> list[Finding]:
    """Makes one finding of all faulty rows, at the first of them.

    Args:
        severity: As in `Finding`.
        split: The name of the split.
        rows: The rows of an annotation or box file, R of them.
        faulty: Bool [R].
        problem: What is wrong with the faulty rows.
        remedy: How to fix it.
        pictured: Whether the rows are of the annotations, so that the sheet can show them.

    Returns:
        A list of one finding; empty where no row is faulty.
    """
    indices = np.flatnonzero(faulty)
    if not len(indices):
        return []
    where = place(rows, int(indices[0]))
    return [
        Finding(
            severity,
            where,
            problem,
            remedy,
            len(indices),
            split,
            tuple(indices.tolist()) if pictured else (),
        )
    ]


def place(rows: AvaRows, row: int) -> str:
    """Formats the place of a row: file:line, or its number in a file that has no lines."""
    path, number = rows.place(row)
    return f"{Path(path).name}{':' if rows.row_noun == 'line' else f', {rows.row_noun} '}{number}"


def quote_first(values: Iterable[object], limit: int = 5) -> str:
    """Lists the first `limit` values, and how many more there are."""
    texts = [str(value) for value in values]
    more = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + more
