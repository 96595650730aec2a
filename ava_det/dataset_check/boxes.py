"""Boxes that nobody can have meant: pixels, swapped corners, x,y,w,h, no area, outside the frame,
all of the frame.
"""

from __future__ import annotations

import numpy as np

from ava_det.dataset_check.findings import ERROR, NOTE, WARNING, Finding, find_rows
from ava_det.formats.annotations import AvaRows

# a fraction may pass 1 a little where a box leaves the frame; pixels are beyond this at once
PIXELS = 2.0
ROUNDING = 0.001
SLIGHT = 0.05  # how far beyond the frame is nothing, and how far is a detector that does not clip
WHOLE_FRAME = 0.98  # both sides at least this: 0.07 % of AVA's boxes
MANY_WHOLE_FRAMES = 0.1


def check_boxes(split: str, rows: AvaRows, pictured: bool = True) -> list[Finding]:
    """Findings about the box columns of annotations or of a box file; a row is in one finding at
    most.
    """
    has_box = ~np.isnan(rows.boxes).all(axis=1)
    finite = np.isfinite(rows.boxes).all(axis=1)
    boxes = np.where(finite[:, None], rows.boxes, 0)
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    pixels = finite & (np.abs(boxes) > PIXELS).any(axis=1)
    inverted = finite & ~pixels & ((width < 0) | (height < 0))
    corners = finite & ~pixels & ~inverted
    empty = corners & ((width == 0) | (height == 0))
    beyond = np.fmax(-boxes, boxes - 1).max(axis=1)
    outside = corners & ~empty & (beyond > ROUNDING)
    found = []

    def add(severity: str, faulty: np.ndarray, problem: str, remedy: str) -> None:
        found.extend(
            find_rows(
                severity, split, rows, faulty, problem + _show(boxes, faulty), remedy, pictured
            )
        )

    add(
        ERROR, has_box & ~finite, "coordinates that are not finite numbers", "write the boxes again"
    )
    size = "x by the frame's width and y by its height (in percent: both by 100)"
    add(ERROR, pixels, "boxes in pixels, expected fractions of the frame 0..1", f"divide {size}")
    whole = corners & (width >= WHOLE_FRAME) & (height >= WHOLE_FRAME)
    if _looks_like_xywh(boxes[finite & ~pixels]):
        problem = "boxes look like x,y,width,height: x2 + x1 and y2 + y1 never pass 1, and some x2 < x1 or y2 < y1"
        add(
            ERROR,
            inverted,
            problem,
            "write x1,y1,x1+width,y1+height in every row, not only in these",
        )
    else:
        add(
            ERROR,
            inverted,
            "corners swapped (x2 < x1 or y2 < y1)",
            "write x1,y1,x2,y2: the upper left corner first",
        )
    add(ERROR, empty, "boxes without area", "delete these rows or draw the boxes again")
    add(
        ERROR,
        outside & (beyond > SLIGHT),
        "boxes outside the frame",
        "check the frame size the boxes were divided by",
    )
    add(
        WARNING,
        outside & (beyond <= SLIGHT),
        "boxes slightly outside the frame",
        "clip them to 0..1",
    )
    many = whole.sum() > MANY_WHOLE_FRAMES * max(int(has_box.sum()), 1) and whole.sum() > 2
    remedy = (
        "annotate the persons; a box made up where none was found teaches nothing"
        if many
        else "look at them"
    )
    add(ERROR if many else NOTE, whole, "boxes of the whole frame or nearly", remedy)
    return found


def _show(boxes: np.ndarray, faulty: np.ndarray) -> str:
    rows = np.flatnonzero(faulty)
    return ": " + ",".join(f"{value:g}" for value in boxes[rows[0]]) if len(rows) else ""


def _looks_like_xywh(boxes: np.ndarray) -> bool:
    """Among boxes as fractions: several are inverted as corners, and every one lies in the frame as
    x, y, w, h.
    """
    inverted = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    fits = (boxes[:, :2] + boxes[:, 2:] <= 1 + 2 * ROUNDING).all(axis=1)
    return bool(inverted.sum() >= 2 and fits.mean() > 0.99)
