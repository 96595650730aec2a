"""Draws the panel of a person: a header in the person's color, then actions over score bars."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ava_det.video.planes import compute_matrix
from ava_det.visualization.text import Color, put_text, text_width

# Eight hues that most kinds of color vision distinguish (after Okabe and Ito), lightened for video.
PERSON_COLORS: tuple[Color, ...] = (
    (86, 180, 233),
    (240, 173, 40),
    (50, 190, 145),
    (225, 135, 185),
    (240, 228, 90),
    (250, 120, 60),
    (120, 150, 255),
    (170, 220, 110),
)
# AVA v2.2's label types by the largest action id of each.
GROUP_COLORS: tuple[tuple[int, str, Color], ...] = (
    (14, "pose", (94, 201, 255)),
    (63, "object manipulation", (255, 186, 73)),
    (80, "person interaction", (255, 125, 160)),
)
OTHER_COLOR: Color = (190, 195, 205)
PANEL_COLOR: Color = (20, 22, 28)
PANEL_OPACITY = 0.7


@dataclass(frozen=True)
class Row:
    """Describes one action of a panel.

    Attributes:
        name: Of the action.
        score: 0..1.
        color: Of the bar.
    """

    name: str
    score: float
    color: Color


@dataclass(frozen=True, eq=False)
class Panel:
    """Describes a drawn panel, of even width and height.

    Attributes:
        image: RGB uint8 [h, w, 3].
        alpha: Opacity, float32 [h, w] in 0..1.
    """

    image: np.ndarray
    alpha: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """Returns width and height in pixels."""
        return self.image.shape[1], self.image.shape[0]


@dataclass(frozen=True)
class Layer:
    """Describes a panel over one plane, in 8-bit fixed point: plane = (plane * keep + ink) / 256.

    Attributes:
        ink: uint16 [h, w] or [h, w, 3].
        keep: uint16, of the same shape.
    """

    ink: np.ndarray
    keep: np.ndarray


def compute_text_size(width: int, height: int) -> int:
    """Computes the text height for a frame: 2.6 % of its short side, at least 11 pixels.

    Smaller text could not be read.

    Args:
        width: Of the frame, in pixels.
        height: Of the frame, in pixels.
    """
    return max(11, round(0.026 * min(width, height)))


def person_color(person: int) -> Color:
    """Returns the color of a track id, the same in every frame and every video."""
    return PERSON_COLORS[(person - 1) % len(PERSON_COLORS)]


def group_color(action_id: int) -> Color:
    """Returns the color of an AVA action id's group; gray beyond AVA's 80."""
    return next((color for last, _, color in GROUP_COLORS if action_id <= last), OTHER_COLOR)


@lru_cache(maxsize=64)
def render_panel(header: tuple[str, str], rows: tuple[Row, ...], color: Color, text: int) -> Panel:
    """Draws a panel.

    Panels are cached and drawn once for every change of content, not once a frame, because text is
    most of the cost of an overlay.

    Args:
        header: Left and right text of the header.
        rows: The actions below.
        color: Of the header.
        text: Text height, in pixels.
    """
    pad = max(3, round(0.4 * text))
    bar = max(2, round(0.18 * text))
    head = round(1.45 * text)
    step = round(1.5 * text) + bar
    small = max(10, round(0.85 * text))
    scores = [f"{row.score:.2f}" for row in rows]
    left = [text_width(header[0], text, 650), *(text_width(row.name, text) for row in rows)]
    right = [text_width(score, small) for score in (header[1], *scores)]
    width = max(a + b for a, b in zip(left, right, strict=True)) + 4 * pad
    height = head + len(rows) * step + (pad if rows else 0)
    width = width + width % 2
    height = height + height % 2  # planes of color are half the size
    image = np.full((height, width, 3), PANEL_COLOR, np.uint8)
    image[:head] = color
    dark = (10, 12, 16)
    baseline = round(head / 2 + 0.35 * text)  # capital letters are 0.7 of the size high
    put_text(image, header[0], pad, baseline, dark, text, 650)
    put_text(image, header[1], width - pad - text_width(header[1], small), baseline, dark, small)
    for index, (row, score) in enumerate(zip(rows, scores, strict=True)):
        top = head + index * step
        baseline = top + round(1.2 * text)
        put_text(image, row.name, pad, baseline, (255, 255, 255), text)
        put_text(
            image, score, width - pad - text_width(score, small), baseline, (205, 210, 220), small
        )
        y1 = top + round(1.5 * text)
        y2 = top + round(1.5 * text) + bar
        image[y1:y2, pad : width - pad] = (62, 66, 76)
        image[y1:y2, pad : pad + round(row.score * (width - 2 * pad))] = row.color
    contrast = (
        np.abs(image.astype(np.float32) - np.array(PANEL_COLOR, np.float32)).max(axis=2) / 110
    )
    # Letters and bars stay opaque.
    alpha = PANEL_OPACITY + (1 - PANEL_OPACITY) * contrast.clip(max=1)
    alpha[:head] = 1
    return Panel(image, alpha * _rounded_mask(height, width, max(2, round(0.3 * text))))


@lru_cache(maxsize=64)
def compute_layers(panel: Panel, matrix: str | None) -> tuple[Layer, ...]:
    """Computes the layers of a panel over an RGB picture, or over each plane of a YUV picture.

    Args:
        panel: The panel.
        matrix: Name of the YUV matrix, see ava_det/video/planes.py; None for RGB.
    """
    cover = panel.alpha[..., None]
    ink = panel.image * cover
    if matrix is None:
        return (_make_layer(ink, cover.repeat(3, axis=2)),)
    to_yuv = compute_matrix(matrix)
    ink = cv2.transform(ink, to_yuv[:, :3]) + cover * to_yuv[:, 3]
    half_ink, half_cover = (
        cv2.resize(part, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        for part in (ink, panel.alpha)
    )
    return (
        _make_layer(ink[..., 0], panel.alpha),
        _make_layer(half_ink[..., 1], half_cover),
        _make_layer(half_ink[..., 2], half_cover),
    )


def _make_layer(ink: np.ndarray, cover: np.ndarray) -> Layer:
    """Makes a layer in fixed point.

    Args:
        ink: What is added, 0..255.
        cover: Which part of the picture below is hidden, 0..1.
    """
    return Layer(
        np.rint(256 * ink + 127).astype(np.uint16), np.rint(256 * (1 - cover)).astype(np.uint16)
    )


def _rounded_mask(height: int, width: int, radius: int) -> np.ndarray:
    """Draws a rectangle with round, antialiased corners: float32 [height, width] in 0..1."""
    sharp = 4
    big = np.zeros((height * sharp, width * sharp), np.uint8)
    reach = radius * sharp
    right = width * sharp - 1
    bottom = height * sharp - 1
    cv2.rectangle(big, (reach, 0), (right - reach, bottom), 255, cv2.FILLED)
    cv2.rectangle(big, (0, reach), (right, bottom - reach), 255, cv2.FILLED)
    for x in (reach, right - reach):
        for y in (reach, bottom - reach):
            cv2.circle(big, (x, y), reach, 255, cv2.FILLED)
    mask: np.ndarray = cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA)
    return mask.astype(np.float32) / 255
