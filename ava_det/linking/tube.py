"""Defines what all linkers give, and how they compare boxes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class LinkedTube(NamedTuple):
    """Holds one tube of one class of one video.

    Attributes:
        score: Of the tube.
        rows: Float64 [n, 6]: frame from 1, xyxy in pixels, score of the box; a row for every frame
            of the extent, in rising order.
    """

    score: float
    rows: np.ndarray


def compute_tubelet_iou(first: np.ndarray, second: np.ndarray, pixel: int) -> np.ndarray:
    """Computes the mean IoU of pairs of tubelets over their frames.

    Args:
        first: [N, K, 4], xyxy in pixels.
        second: [1, K, 4] or [N, K, 4].
        pixel: Added to every width and height: 1 where corners are pixel indices.

    Returns:
        [N] of the arrays' type; 0 for boxes without an area.
    """
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    sides = np.maximum(high - low + first.dtype.type(pixel), 0)
    shared = sides[..., 0] * sides[..., 1]
    union = _compute_area(first, pixel) + _compute_area(second, pixel) - shared
    safe = np.where(union > 0, union, 1)
    overlaps: np.ndarray = (shared / safe).mean(axis=-1)
    return overlaps


def _compute_area(boxes: np.ndarray, pixel: int) -> np.ndarray:
    sides = boxes[..., 2:] - boxes[..., :2] + boxes.dtype.type(pixel)
    area: np.ndarray = sides[..., 0] * sides[..., 1]
    return area


def interpolate_rows(rows: np.ndarray) -> np.ndarray:
    """Fills the frames between the rows of a tube.

    Args:
        rows: [n, C]: the frame, rising, then numbers that change in a straight line in between.

    Returns:
        Float64 [last - first + 1, C], a row for every frame.
    """
    rows = np.asarray(rows, dtype=np.float64)
    frames = np.arange(rows[0, 0], rows[-1, 0] + 1)
    columns = [np.interp(frames, rows[:, 0], column) for column in rows.T[1:]]
    return np.stack([frames, *columns], axis=1)
