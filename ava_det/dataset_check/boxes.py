"""Finds wrong boxes.

These are boxes in pixels, with swapped corners, as x,y,w,h, without area, outside the frame, or of
the whole frame.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ava_det.dataset_check.findings import ERROR, NOTE, WARNING, Finding, find_rows
from ava_det.formats.annotations import AvaRows

# Larger coordinates are pixels: a box that leaves the frame has fractions only a little over 1.
PIXELS = 2.0
ROUNDING = 0.001  # a box may be this far outside the frame without any finding
SLIGHT = 0.05  # up to this far, a detector that does not clip explains it
WHOLE_FRAME = 0.98  # both sides at least this: 0.07 % of AVA's boxes
MANY_WHOLE_FRAMES = 0.1  # of all boxes

# severity, which rows have the fault (bool [R]), problem, remedy
Fault = tuple[str, np.ndarray, str, str]


def check_boxes(split: str, rows: AvaRows, pictured: bool = True) -> list[Finding]:
    """Checks the box columns of annotations or of a box file.

    Args:
        split: The name of the split.
        rows: Its rows.
        pictured: Whether the rows are of the annotations, so that the sheet can show them.

    Returns:
        A finding for each kind of fault.
    """
    finite = np.isfinite(rows.boxes).all(axis=1)
    boxes = np.where(finite[:, None], rows.boxes, 0)
    has_box = ~np.isnan(rows.boxes).all(axis=1)
    findings = []
    for severity, faulty, problem, remedy in _list_faults(boxes, finite, has_box):
        problem += _show(boxes, faulty)
        findings += find_rows(severity, split, rows, faulty, problem, remedy, pictured)
    return findings


def _list_faults(boxes: np.ndarray, finite: np.ndarray, has_box: np.ndarray) -> Iterator[Fault]:
    """Yields every kind of fault of boxes [R, 4], which are 0 where they are not `finite`."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    pixels = finite & (np.abs(boxes) > PIXELS).any(axis=1)
    inverted = finite & ~pixels & ((width < 0) | (height < 0))
    corners = finite & ~pixels & ~inverted
    empty = corners & ((width == 0) | (height == 0))
    beyond = np.fmax(-boxes, boxes - 1).max(axis=1)
    outside = corners & ~empty & (beyond > ROUNDING)
    slightly = outside & (beyond <= SLIGHT)
    whole = corners & (width >= WHOLE_FRAME) & (height >= WHOLE_FRAME)

    problem = "coordinates that are not finite numbers"
    yield ERROR, has_box & ~finite, problem, "write the boxes again"
    problem = "boxes in pixels, expected fractions of the frame 0..1"
    remedy = "divide x by the frame's width and y by its height (in percent: both by 100)"
    yield ERROR, pixels, problem, remedy
    yield ERROR, inverted, *_explain_inverted(boxes[finite & ~pixels])
    yield ERROR, empty, "boxes without area", "delete these rows or draw the boxes again"
    remedy = "check the frame size the boxes were divided by"
    yield ERROR, outside & ~slightly, "boxes outside the frame", remedy
    yield WARNING, slightly, "boxes slightly outside the frame", "clip them to 0..1"
    many = whole.sum() > MANY_WHOLE_FRAMES * max(int(has_box.sum()), 1) and whole.sum() > 2
    severity = ERROR if many else NOTE
    remedy = "look at them"
    if many:
        remedy = "annotate the persons; a box made up where none was found teaches nothing"
    yield severity, whole, "boxes of the whole frame or nearly", remedy


def _explain_inverted(boxes: np.ndarray) -> tuple[str, str]:
    """Returns the problem and the remedy of inverted boxes, given all boxes as fractions [N, 4]."""
    if _looks_like_xywh(boxes):
        return (
            "boxes look like x,y,width,height: x2 + x1 and y2 + y1 never pass 1, and some "
            "x2 < x1 or y2 < y1",
            "write x1,y1,x1+width,y1+height in every row, not only in these",
        )
    return (
        "corners swapped (x2 < x1 or y2 < y1)",
        "write x1,y1,x2,y2: the upper left corner first",
    )


def _show(boxes: np.ndarray, faulty: np.ndarray) -> str:
    """Formats the first faulty box, as the end of a sentence."""
    rows = np.flatnonzero(faulty)
    return ": " + ",".join(f"{value:g}" for value in boxes[rows[0]]) if len(rows) else ""


def _looks_like_xywh(boxes: np.ndarray) -> bool:
    """Returns whether several boxes are inverted as corners, and all fit the frame as x,y,w,h."""
    inverted = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    fits = (boxes[:, :2] + boxes[:, 2:] <= 1 + 2 * ROUNDING).all(axis=1)
    return bool(inverted.sum() >= 2 and fits.mean() > 0.99)
