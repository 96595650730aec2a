"""What a check found: how bad it is, where, what is wrong, how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ava_det.formats.annotations import AvaRows

ERROR, WARNING, NOTE = SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    severity: error (spoils training or evaluation), warning (look at it) or note (good to know).
    where: file:line, or a video id and second, of the first place. count: how many places there
    are. split, rows: the rows of that split's annotations it is about, for pictures; empty where
    there is nothing to see.
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
    """One finding for all rows where `faulty` (bool [R]) holds, at the first of them; none where it
    never does.
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
    """file:line of a row, or its number in a file that has no lines."""
    path, number = rows.place(row)
    return f"{Path(path).name}{':' if rows.row_noun == 'line' else f', {rows.row_noun} '}{number}"


def quote_first(values: Iterable[object], limit: int = 5) -> str:
    """The first few of some things, and how many more there are."""
    texts = [str(value) for value in values]
    more = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + more
