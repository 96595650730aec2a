"""Writes cached features as a table that opens in any spreadsheet.

Each row says where a box is, what it is labeled, and which other box looks most like it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ava_det.files import atomic_path
from ava_det.structures import Keyframe

COLUMNS = (
    "split",
    "video_id",
    "timestamp",
    "x1",
    "y1",
    "x2",
    "y2",
    "labels",
    "nearest_video_id",
    "nearest_timestamp",
    "nearest_labels",
    "similarity",
    "component_1",
    "component_2",
)
CHUNK = 1024  # boxes compared with all others at a time


@dataclass
class Row:
    """Describes a labeled box.

    Attributes:
        split: Its split, such as `train`.
        keyframe: Its keyframe.
        box: x1, y1, x2, y2 as fractions of the frame.
        labels: Names of its actions, separated by semicolons.
    """

    split: str
    keyframe: Keyframe
    box: list[float]
    labels: str


def write_table(
    path: str | Path,
    splits: Mapping[str, tuple[Sequence[Keyframe], Tensor]],
    label_map: Mapping[int, str],
) -> None:
    """Writes a CSV with a header and one row for each box of all splits.

    The nearest box is the most similar of another keyframe, by cosine similarity of features scaled
    to mean 0 and variance 1; where its labels differ, one of the two may be wrong. The components
    are the first two principal ones of all boxes: a map of the set.

    Args:
        path: The CSV file.
        splits: Name -> keyframes, and the features [N, D] of their boxes in order.
        label_map: Action id -> name.
    """
    rows = []
    for name, (keyframes, _) in splits.items():
        rows += _rows(name, keyframes, label_map)
    features = torch.cat([vectors for _, vectors in splits.values()]).float()
    scaled = (features - features.mean(dim=0)) / features.std(dim=0, correction=0).clamp_min(1e-12)
    nearest, similarity = _find_nearest(scaled, [id(row.keyframe) for row in rows])
    components = _compute_components(scaled)
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row, other, value, place in zip(
            rows, nearest, similarity, components.tolist(), strict=True
        ):
            writer.writerow(
                [
                    row.split,
                    *_name_keyframe(row.keyframe),
                    *(f"{coordinate:.4f}" for coordinate in row.box),
                    row.labels,
                    *_describe_nearest(rows[other] if other >= 0 else None, value),
                    *(f"{coordinate:.4f}" for coordinate in place),
                ]
            )


def _name_keyframe(keyframe: Keyframe) -> list[str]:
    return [keyframe.video_id, f"{keyframe.timestamp:g}"]


def _describe_nearest(nearest: Row | None, similarity: float) -> list[str]:
    """Returns the four columns of the nearest box, empty where there is none."""
    if nearest is None:
        return ["", "", "", ""]
    return [*_name_keyframe(nearest.keyframe), nearest.labels, f"{similarity:.4f}"]


def _rows(split: str, keyframes: Sequence[Keyframe], label_map: Mapping[int, str]) -> list[Row]:
    rows = []
    for keyframe in keyframes:
        labels = (
            keyframe.labels if keyframe.labels is not None else torch.zeros(len(keyframe.boxes), 0)
        )
        for box, actions in zip(keyframe.boxes.tolist(), labels, strict=True):
            ids = (actions.nonzero().flatten() + 1).tolist()
            rows.append(Row(split, keyframe, box, "; ".join(label_map.get(i, str(i)) for i in ids)))
    return rows


def _find_nearest(scaled: Tensor, groups: Sequence[int]) -> tuple[list[int], list[float]]:
    """Finds for each row the most similar one of another group.

    Returns:
        Its index, -1 where there is none, and the cosine of the two.
    """
    unit = torch.nn.functional.normalize(scaled, dim=1)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    group_of = torch.tensor([numbers[group] for group in groups])
    nearest = []
    values = []
    for start in range(0, len(unit), CHUNK):
        cosines = unit[start : start + CHUNK] @ unit.T
        cosines[group_of[start : start + CHUNK, None] == group_of[None]] = -2.0
        best = cosines.max(dim=1)
        nearest += torch.where(best.values > -2, best.indices, -1).tolist()
        values += best.values.tolist()
    return nearest, values


def _compute_components(scaled: Tensor) -> Tensor:
    """Computes coordinates [N, 2] along the two directions of largest variance.

    The sign makes the largest coordinate positive.
    """
    if min(scaled.shape) < 2:
        return torch.zeros(len(scaled), 2)
    wide = scaled.double()
    places: Tensor = wide @ torch.linalg.eigh(wide.T @ wide).eigenvectors[:, [-1, -2]]
    largest = places.gather(0, places.abs().argmax(dim=0, keepdim=True))
    return places * torch.where(largest < 0, -1.0, 1.0)
