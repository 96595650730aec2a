"""Writes the splits of an import and says what is in them."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path

import numpy as np

from ava_det.formats.annotations import AvaRows, write_annotations
from ava_det.interchange.earlier import add_rows
from ava_det.interchange.labeled import LabeledBox
from ava_det.messages.counts import format_count


def write_split(
    path: Path,
    new: AvaRows,
    earlier: AvaRows | None,
    chosen: Sequence[LabeledBox],
    imported: Set[str],
) -> list[str]:
    """Writes one split, with the rows of earlier imports whose videos are not imported again.

    Args:
        path: The CSV.
        new: The imported rows of this split.
        earlier: The rows of earlier imports; None where there are none.
        chosen: The imported persons of this split.
        imported: The ids of all imported videos.

    Returns:
        The lines to print.
    """
    if not chosen and not (earlier and imported & set(earlier.video_names)):
        return []
    rows = add_rows(earlier, new, imported)
    if not len(rows):
        path.unlink()
        return [f"{path}: removed, its videos are in the other split now"]
    write_annotations(path, rows)
    stay = len(rows.video_names) - len(new.video_names)
    note = f"; with {format_count(stay, 'video')} of earlier imports it has "
    more = note + describe_total(rows) if stay else ""
    return [describe_split(path, chosen) + more]


def describe_total(rows: AvaRows) -> str:
    """Describes all rows of a split by their counts."""
    keyframes = np.stack((rows.video_index, rows.timestamps.round(6)), axis=1)
    persons = np.concatenate(
        (keyframes, rows.boxes, np.nan_to_num(rows.person_ids, nan=-1)[:, None]), axis=1
    )
    persons = persons[~np.isnan(rows.boxes).any(axis=1)]
    return (
        f"{format_count(len(np.unique(rows.video_index)), 'video')}, "
        f"{format_count(len(np.unique(keyframes, axis=0)), 'keyframe')}, "
        f"{format_count(len(np.unique(persons, axis=0)), 'box')}"
    )


def describe_split(path: Path, boxes: Sequence[LabeledBox]) -> str:
    """Describes a split by its counts, in one line."""
    persons = [box for box in boxes if box.corners is not None]
    keyframes = {(box.video_id, box.timestamp) for box in boxes}
    videos = len({box.video_id for box in boxes})
    idle = sum(not box.actions for box in persons)
    return (
        f"{path}: {format_count(videos, 'video')}, {format_count(len(keyframes), 'keyframe')}, "
        f"{format_count(len(persons), 'box')}, {idle} of them without an action"
    )
