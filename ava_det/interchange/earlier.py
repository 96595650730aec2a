"""Keeps what earlier imports have left in a folder.

A later import adds to it, and removes nothing without a message.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np

from ava_det.formats.annotations import (
    AvaRows,
    concatenate_rows,
    format_timestamp,
    load_annotations,
    timestamp_key,
)
from ava_det.interchange.labeled import LabeledBox

SPLITS = ("train", "val")


def load_earlier(folder: Path) -> dict[str, AvaRows]:
    """Reads the train.csv and val.csv of a folder, as far as they are there, by split."""
    paths = {name: folder / f"{name}.csv" for name in SPLITS}
    return {name: load_annotations(path) for name, path in paths.items() if path.is_file()}


def check_nothing_lost(
    earlier: Iterable[AvaRows], boxes: Iterable[LabeledBox], label_map: Mapping[int, str] | None
) -> None:
    """Refuses an import after which labeled rows would be gone, or would mean other actions.

    The rows of a video are replaced as a whole, so an import must have all keyframes of its videos.

    Args:
        earlier: The rows of the folder.
        boxes: What is imported.
        label_map: The map that is there or was given; None where ids would be numbered anew.

    Raises:
        ValueError: A keyframe would be lost, or the ids of the rows that stay are not known.
    """
    imported: dict[str, set[str]] = {}
    for box in boxes:
        imported.setdefault(box.video_id, set()).add(timestamp_key(box.timestamp))
    for rows in earlier:
        for row, (video_id, second) in enumerate(
            zip(rows.video_ids, rows.timestamps.tolist(), strict=True)
        ):
            if video_id in imported and timestamp_key(second) not in imported[video_id]:
                keyframe = f"{video_id},{format_timestamp(second)}"
                raise ValueError(
                    f"{rows.where(row)}: the keyframe {keyframe} of an earlier import would be "
                    "lost, this one lacks "
                    f"it: give all files of {video_id} at once, or another --output, or delete "
                    "the row"
                )
            if video_id not in imported and label_map is None:
                raise ValueError(
                    f"{rows.path}: rows of an earlier import without their labelmap.pbtxt: give "
                    "it as --label-map, "
                    "or another --output"
                )
            action_id = int(rows.action_ids[row])
            if video_id not in imported and action_id and label_map and action_id not in label_map:
                raise ValueError(
                    f"{rows.where(row)}: the label map has no id {action_id}, which this row of "
                    "an earlier import "
                    "has: give the map of both, or another --output"
                )


def add_rows(earlier: AvaRows | None, rows: AvaRows, imported: Collection[str]) -> AvaRows:
    """Joins the rows of an earlier import, without videos imported again, and the new rows."""
    if earlier is None:
        return rows
    names = [name for name in earlier.video_names if name not in imported]
    places = {name: number for number, name in enumerate(names)}
    index = np.array([places.get(name, -1) for name in earlier.video_names], dtype=np.int32)
    index = index[earlier.video_index]
    kept = index >= 0
    chosen = AvaRows(
        names,
        index[kept],
        earlier.timestamps[kept],
        earlier.boxes[kept],
        earlier.action_ids[kept],
        earlier.ids_or_scores[kept],
        path=earlier.path,
    )
    return concatenate_rows([chosen, rows])
