"""Turns a foreground mask into one part per person.

Parts that belong together are joined, and blobs of several persons are cut. All lengths are
relative to the blob or to the frame, so the rules are the same at any resolution. They were tuned
on the training videos of the synthetic dataset, never on its validation videos.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

JOIN_GAP = 0.03  # parts of one person are at most this far apart, in frame heights
# A blob this much wider than tall is somebody lying: it has no upright neighbors to cut between.
FLAT = 1.6
# Two persons side by side: each has a column that is filled to at least PEAK of the blob's height,
# and between them is a column that is filled to at most VALLEY of the lower of these two.
PEAK = 0.5
VALLEY = 0.6
# Beside somebody upright, a lying body stays below STEP of the blob's height over a width of at
# least LONG of it, and the upright person is at least UPRIGHT times as tall as wide.
STEP = 0.5
LONG = 0.4
UPRIGHT = 1.3


@dataclass(frozen=True)
class Part:
    """Describes a piece of a mask.

    Attributes:
        x: Column of the frame of the mask's upper left pixel.
        y: Row of the frame of the mask's upper left pixel.
        mask: bool [h, w], tight on all sides.
    """

    x: int
    y: int
    mask: np.ndarray

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Returns (x1, y1, x2, y2) in pixels of the frame, half-open."""
        height, width = self.mask.shape
        return self.x, self.y, self.x + width, self.y + height


def find_persons(mask: np.ndarray, min_area: int) -> list[Part]:
    """Finds the parts of a foreground mask that are probably one person each.

    Persons one in front of the other stay one part, because a silhouette does not separate them.

    Args:
        mask: uint8 [H, W] of 0 and 1.
        min_area: Parts of fewer pixels are dropped.
    """
    gap = max(1, round(JOIN_GAP * mask.shape[0]))
    joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((2 * gap + 1, gap + 1), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    persons: list[Part] = []
    for i in range(1, count):
        x, y, width, height, area = (int(v) for v in stats[i])
        if area < min_area:
            continue
        window = (slice(y, y + height), slice(x, x + width))
        blob = _tighten(x, y, (mask[window] > 0) & (labels[window] == i))
        persons += [part for part in _split(blob) if np.count_nonzero(part.mask) >= min_area]
    return persons


def _tighten(x: int, y: int, mask: np.ndarray) -> Part | None:
    """Makes a part of a mask whose upper left pixel is at (x, y); None for an empty mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return None
    top = int(rows[0])
    left = int(columns[0])
    return Part(x + left, y + top, mask[top : rows[-1] + 1, left : columns[-1] + 1])


def _split(part: Part | None) -> list[Part]:
    """Cuts a part between two persons side by side, and the halves again."""
    if part is None:
        return []
    cut = _find_step(part.mask)
    if cut is None and part.mask.shape[1] < FLAT * part.mask.shape[0]:
        cut = _find_valley(part.mask)
    if cut is None:
        return [part]
    left = _tighten(part.x, part.y, part.mask[:, :cut])
    right = _tighten(part.x + cut, part.y, part.mask[:, cut:])
    return _split(left) + _split(right)


def _find_step(mask: np.ndarray) -> int | None:
    """Finds the column between somebody upright and somebody lying.

    There the outline drops, and stays low over a long distance.
    """
    height = mask.shape[0]
    outline = height - mask.argmax(axis=0)
    tall = np.flatnonzero(mask.any(axis=0) & (outline > STEP * height))
    first = int(tall[0])
    last = int(tall[-1]) + 1
    if (last - first) * UPRIGHT >= height:
        return None
    for cut, low in ((first, mask[:, :first]), (last, mask[:, last:])):
        low_rows = np.flatnonzero(low.any(axis=1))
        if low.shape[1] >= LONG * height and low.shape[1] > low_rows[-1] + 1 - low_rows[0]:
            return cut
    return None


def _find_valley(mask: np.ndarray) -> int | None:
    """Finds the emptiest column between two persons who stand side by side."""
    height, width = mask.shape
    filled = mask.sum(axis=0, dtype=np.float32)[None]
    filled = cv2.blur(filled, (height // 24 * 2 + 1, 1), borderType=cv2.BORDER_CONSTANT)[0]
    lower_peak = np.minimum(
        np.maximum.accumulate(filled), np.maximum.accumulate(filled[::-1])[::-1]
    )
    ratio = np.where(lower_peak >= PEAK * height, filled / np.maximum(lower_peak, 1), 1.0)
    cut = int(ratio.argmin())
    return cut if 0 < cut < width and ratio[cut] < VALLEY else None
