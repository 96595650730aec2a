"""Draws label sheets: keyframes with what is written about each person, and what is wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ava_det.visualization.panel import PANEL_COLOR
from ava_det.visualization.surface import Surface
from ava_det.visualization.text import Color, put_text, text_width

WIDTH = 480
HEIGHT = 300
GAP = 14
TEXT = 15
LINE = 21
COLUMNS = 3
SOUND: Color = (86, 180, 233)
FAULTY: Color = (255, 96, 84)
TITLE: Color = (240, 243, 248)
PLAIN: Color = (190, 196, 208)
MAX_REASON_LINES = 4
MAX_PERSONS = 4


@dataclass(frozen=True)
class LabeledTile:
    """Describes one keyframe of a label sheet.

    Attributes:
        picture: RGB uint8 [H, W, 3], None where there is none to show.
        boxes: float [N, 4], xyxy in fractions of the frame.
        labels: What is written about each box.
        faulty: Which boxes are wrong, bool [N].
        title: Where the keyframe is from.
        reason: What is wrong, or nothing.
    """

    picture: np.ndarray | None
    boxes: np.ndarray
    labels: Sequence[str]
    faulty: np.ndarray
    title: str
    reason: str = ""


def draw_label_sheet(tiles: Sequence[LabeledTile]) -> np.ndarray:
    """Draws the tiles in rows, each with its text below: RGB uint8 [H, W, 3].

    Raises:
        ValueError: There is no tile.
    """
    if not tiles:
        raise ValueError("a label sheet needs at least one keyframe, received none")
    columns = min(COLUMNS, len(tiles))
    drawn = [(_draw_picture(tile), _lines(tile)) for tile in tiles]
    strips = []
    for start in range(0, len(drawn), columns):
        row = drawn[start : start + columns]
        height = GAP + HEIGHT + max(len(lines) for _, lines in row) * LINE + 6
        strip = np.full((height, columns * (WIDTH + GAP) + GAP, 3), PANEL_COLOR, np.uint8)
        for column, (picture, lines) in enumerate(row):
            x = GAP + column * (WIDTH + GAP)
            strip[GAP : GAP + HEIGHT, x : x + WIDTH] = picture
            for number, (text, color) in enumerate(lines, 1):
                put_text(strip, text, x, GAP + HEIGHT + number * LINE - 4, color, TEXT)
        strips.append(strip)
    return np.concatenate(strips)


def _draw_picture(tile: LabeledTile) -> np.ndarray:
    """Draws the keyframe with its numbered boxes: uint8 [HEIGHT, WIDTH, 3].

    The picture keeps its aspect and is centered.
    """
    canvas = np.full((HEIGHT, WIDTH, 3), (36, 40, 48), np.uint8)
    if tile.picture is None:
        x = (WIDTH - text_width("no picture", TEXT)) // 2
        put_text(canvas, "no picture", x, HEIGHT // 2, PLAIN, TEXT)
        return canvas
    height, width = tile.picture.shape[:2]
    scale = min(WIDTH / width, HEIGHT / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(
        tile.picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    pixels = tile.boxes * np.array([*size, *size])
    corners = np.hstack(
        (np.minimum(pixels[:, :2], pixels[:, 2:]), np.maximum(pixels[:, :2], pixels[:, 2:]))
    )
    for index in np.argsort(tile.faulty, kind="stable"):  # the faulty ones on top
        color = FAULTY if tile.faulty[index] else SOUND
        Surface.of_rgb(small).draw_box(corners[index], color, TEXT)
        _draw_number(small, f"#{index + 1}", corners[index], color)
    x = (WIDTH - size[0]) // 2
    y = (HEIGHT - size[1]) // 2
    canvas[y : y + size[1], x : x + size[0]] = small
    return canvas


def _draw_number(picture: np.ndarray, text: str, box: np.ndarray, color: Color) -> None:
    """Draws a number above the upper left corner of a box, within the picture.

    There it hides no face.
    """
    width = text_width(text, TEXT - 1, 650) + 8
    height = TEXT + 4
    x = int(np.clip(box[0], 0, max(picture.shape[1] - width, 0)))
    y = int(np.clip(box[1] - height, 0, max(picture.shape[0] - height, 0)))
    picture[y : y + height, x : x + width] = color
    put_text(picture, text, x + 4, y + height - 5, (10, 12, 16), TEXT - 1, 650)


def _lines(tile: LabeledTile) -> list[tuple[str, Color]]:
    """Lists the lines below a picture: title, reason, and one a person, faulty ones first."""
    reasons = [line for part in tile.reason.splitlines() for line in _wrap(part)]
    lines = [(_cut(tile.title), TITLE), *((line, FAULTY) for line in reasons[:MAX_REASON_LINES])]
    order = np.argsort(~tile.faulty, kind="stable")
    for index in order[:MAX_PERSONS]:
        lines.append((_cut(f"#{index + 1}: {tile.labels[index]}"), PLAIN))
    if len(order) > MAX_PERSONS:
        lines.append((f"and {len(order) - MAX_PERSONS} more", PLAIN))
    return lines


def _wrap(text: str) -> list[str]:
    """Splits a text into lines that fit below a picture."""
    fits = max(int(len(text) * WIDTH / max(text_width(text, TEXT), 1) * 0.95), 10)
    return textwrap.wrap(text, fits)


def _cut(text: str) -> str:
    """Shortens a line that is wider than its tile, with an ellipsis."""
    while len(text) > 4 and text_width(text, TEXT) > WIDTH:
        text = text.removesuffix("...")[:-1].rstrip() + "..."
    return text
