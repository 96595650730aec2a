"""Computes the overlap of pairs of boxes and of tubes, on CPU or CUDA.

The IoU of two tubes is the mean IoU of their boxes over the shared frames, times the share of time
that they share. Box IoUs are computed on the device, element by element; they are added up on the
CPU in numpy's order, so that both devices give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ava_det.evaluation.tubes.table import TubeTable, expand

_CHUNK_ROWS = 1 << 20  # boxes that are compared at once: 100 MB


@dataclass(frozen=True, eq=False)
class TubeOverlaps:
    """Holds how P pairs of tubes overlap.

    Attributes:
        space: float [P], mean IoU over the shared frames; 0 where none is shared.
        shared: int64 [P], last minus first shared frame; negative where none is shared.
        joint: int64 [P], last minus first frame of the two.
    """

    space: np.ndarray
    shared: np.ndarray
    joint: np.ndarray

    def combine(self, time: str) -> np.ndarray:
        """Multiplies space and time by a rule of `TubeProtocol.time`: float [P], NaN for 0 / 0."""
        kind = self.space.dtype
        if time == "ignored":
            return self.space
        counted = 0 if time == "distance" else 1
        shared = (self.shared + counted).astype(kind)
        joint = (self.joint + counted).astype(kind)
        with np.errstate(invalid="ignore", divide="ignore"):
            if time == "counted two":
                values = self.space * shared / joint
                return np.asarray(np.where(self.shared <= 0, kind.type(0), values))
            values = self.space * (shared / joint)
        return np.asarray(np.where(self.shared < 0, kind.type(0), values))


def compute_box_ious(boxes: Tensor, others: Tensor, pixels: str) -> Tensor:
    """Computes intersection over union row by row, in the published order of operations.

    Args:
        boxes: [R, 4] xyxy in pixels.
        others: [R, 4].
        pixels: A rule of `TaskRules.pixels`.

    Returns:
        [R]; NaN where both boxes have no area.
    """
    low = torch.maximum(boxes[:, :2], others[:, :2])
    one = 0 if pixels == "continuous" else 1
    if pixels == "touching":
        size = torch.minimum(boxes[:, 2:], others[:, 2:]) - low
        apart = (size < 0).any(1)
        size = (size + 1).masked_fill_(apart[:, None], 0)
    else:
        size = (torch.minimum(boxes[:, 2:] + one, others[:, 2:] + one) - low).clamp_(min=0)
    intersection = size[:, 0] * size[:, 1]
    sides = boxes[:, 2:] - boxes[:, :2] + one
    other_sides = others[:, 2:] - others[:, :2] + one
    area = sides[:, 0] * sides[:, 1]
    other_area = other_sides[:, 0] * other_sides[:, 1]
    return intersection / (area + other_area - intersection)


def compute_pair_ious(
    boxes: np.ndarray,
    others: np.ndarray,
    rows: np.ndarray,
    other_rows: np.ndarray,
    pixels: str,
    device: str,
) -> np.ndarray:
    """Computes the IoU of chosen pairs of boxes, in float64 unless both lists are float32.

    Args:
        boxes: [N, 4] xyxy.
        others: [M, 4] xyxy.
        rows: int64 [P], into `boxes`.
        other_rows: int64 [P], into `others`.
        pixels: A rule of `TaskRules.pixels`.
        device: Where to compute.

    Returns:
        [P], NaN where both boxes have no area.
    """
    kind = np.result_type(boxes, others)
    left = torch.from_numpy(np.ascontiguousarray(boxes, kind)).to(device)
    right = torch.from_numpy(np.ascontiguousarray(others, kind)).to(device)
    values = np.empty(len(rows), kind)
    for begin in range(0, len(rows), _CHUNK_ROWS):
        part = slice(begin, begin + _CHUNK_ROWS)
        a, b = (torch.from_numpy(r[part]).to(device) for r in (rows, other_rows))
        values[part] = compute_box_ious(left[a], right[b], pixels).cpu().numpy()
    return values


def compute_tube_overlaps(
    tubes: TubeTable,
    others: TubeTable,
    rows: np.ndarray,
    other_rows: np.ndarray,
    pixels: str,
    device: str = "cpu",
) -> TubeOverlaps:
    """Compares chosen pairs of tubes.

    Args:
        tubes: T tubes.
        others: Other tubes, or the same.
        rows: int64 [P], into `tubes`.
        other_rows: int64 [P], into `others`.
        pixels: A rule of `TaskRules.pixels`.
        device: Where to compare boxes.

    Raises:
        ValueError: Within the shared extent of a pair one tube has a frame that the other lacks.
    """
    first = np.maximum(tubes.first[rows], others.first[other_rows])
    last = np.minimum(tubes.last[rows], others.last[other_rows])
    joint = np.maximum(tubes.last[rows], others.last[other_rows]) - np.minimum(
        tubes.first[rows], others.first[other_rows]
    )
    kind = np.result_type(tubes.boxes, others.boxes)
    space = np.zeros(len(rows), kind)
    meet = np.flatnonzero(last >= first)
    begin, counts = _find_rows(tubes, rows[meet], first[meet], last[meet])
    other_begin, other_counts = _find_rows(others, other_rows[meet], first[meet], last[meet])
    if (counts != other_counts).any() or (counts != last[meet] - first[meet] + 1).any():
        raise ValueError(_describe_gap(first[meet], last[meet], counts, other_counts))
    ends = np.cumsum(counts)
    at = 0
    while at < len(meet):
        done = int(ends[at - 1]) if at else 0
        stop = max(int(np.searchsorted(ends, done + _CHUNK_ROWS, side="right")), at + 1)
        part = slice(at, stop)
        ious = compute_pair_ious(
            tubes.boxes,
            others.boxes,
            expand(begin[part], counts[part]),
            expand(other_begin[part], counts[part]),
            pixels,
            device,
        )
        space[meet[part]] = _mean_of_spans(ious, counts[part])
        at = stop
    return TubeOverlaps(space, last - first, joint)


def _find_rows(
    table: TubeTable, tubes: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns where each tube has frames first .. last: its first row, and their number."""
    if (table.last - table.first + 1 == np.diff(table.starts)).all():
        return table.starts[tubes] + first - table.first[tubes], last - first + 1
    width = int(table.frames.max(initial=0)) + 2
    owner = np.repeat(np.arange(len(table)), np.diff(table.starts))
    keys = owner * width + table.frames
    begin = np.searchsorted(keys, tubes * width + first)
    return begin, np.searchsorted(keys, tubes * width + last, side="right") - begin


def _describe_gap(
    first: np.ndarray, last: np.ndarray, counts: np.ndarray, other_counts: np.ndarray
) -> str:
    wrong = int(np.argmax((counts != last - first + 1) | (other_counts != last - first + 1)))
    return (
        "expected a box in every frame of a tube, found a tube with a gap between frames "
        f"{first[wrong]} and {last[wrong]}; fill it in, or cut the tube in two"
    )


def _mean_of_spans(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means of consecutive spans, with the bits of numpy's mean of each span alone.

    A zero before each span makes `reduceat` add the span up in the order of `np.mean`.
    """
    ends = np.cumsum(counts)
    starts = ends - counts
    numbers = np.arange(len(counts))
    padded = np.zeros(len(values) + len(counts), values.dtype)
    padded[np.arange(len(values)) + np.repeat(numbers + 1, counts)] = values
    with np.errstate(invalid="ignore"):
        sums = np.add.reduceat(padded, starts + numbers) if len(counts) else padded
    return np.asarray(sums / counts.astype(values.dtype))
