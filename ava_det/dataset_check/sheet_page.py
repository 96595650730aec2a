"""Writes the sheet of a check as one self-contained page: the findings, and keyframes with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from ava_det.dataset_check.examination import Examination
from ava_det.dataset_check.report import format_verdict
from ava_det.files import write_text
from ava_det.pages import encode_jpeg, render_page
from ava_det.visualization import LabeledTile

WIDTH = 480  # of a picture on the page, in pixels

FAULTY = "Faulty boxes are red, with the reason below."
RANDOM = "Random keyframes: look whether boxes and labels fit."


def write_sheet_page(
    path: str | Path, name: str, examination: Examination, tiles: Sequence[LabeledTile]
) -> None:
    """Writes the page, which loads nothing from elsewhere.

    Args:
        path: The file.
        name: What was checked, for the head of the page.
        examination: What was found.
        tiles: The keyframes to show, from `choose_tiles`.
    """
    page = render_page(
        "sheet.html",
        title=f"check of {name}",
        name=name,
        verdict=format_verdict(examination.findings),
        findings=examination.findings,
        note=FAULTY if any(tile.reason for tile in tiles) else RANDOM,
        tiles=[_describe(tile) for tile in tiles],
    )
    write_text(path, page)


def _describe(tile: LabeledTile) -> dict[str, Any]:
    """Converts a tile to what the template shows."""
    picture = tile.picture
    if picture is not None:
        height = max(round(picture.shape[0] * WIDTH / picture.shape[1]), 1)
        picture = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)
    faulty = tile.faulty.tolist()
    corners = tile.boxes.round(5).tolist()
    boxes = [
        (x1, y1, round(max(x2 - x1, 0), 5), round(max(y2 - y1, 0), 5), bad)
        for (x1, y1, x2, y2), bad in zip(corners, faulty, strict=True)
    ]
    places = tile.boxes[:, :2].clip(0, 0.95) * 100  # of the numbers, in percent of the picture
    return {
        "title": tile.title,
        "picture": None if picture is None else encode_jpeg(picture),
        "boxes": boxes,
        "places": places.round(2).tolist(),
        "labels": list(zip(tile.labels, faulty, strict=True)),
        "reasons": tile.reason.splitlines(),
    }
