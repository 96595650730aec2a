"""Draws on an RGB picture, or on the YUV planes that decoders return and encoders take.

On planes only what is drawn is converted. ava_det/video/planes.py describes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ava_det.video.planes import convert_color, split_planes
from ava_det.visualization.panel import PANEL_COLOR, Panel, compute_layers
from ava_det.visualization.text import Color

FINE = 4  # bits of a coordinate below the pixel, so that an interpolated box moves smoothly
# The three points of the stroke at each corner of a box (upper left, upper right, lower right,
# lower left), relative to the corner, in lengths of the stroke.
CORNERS = np.array([[[dx, 0], [0, 0], [0, dy]] for dx, dy in ((1, 1), (-1, 1), (-1, -1), (1, -1))])


@dataclass(frozen=True)
class _Stroke:
    """Describes antialiased lines of one thickness, and the darker ones beneath them.

    Attributes:
        lines: int32 [P, 2] each, whose coordinates have FINE bits below the pixel.
        is_closed: Whether the last point of a line is joined to the first.
        thickness: In pixels.
        dark_thickness: Of the lines beneath, pixels.
    """

    lines: list[np.ndarray]
    is_closed: bool
    thickness: int
    dark_thickness: int

    def draw(
        self, planes: Sequence[np.ndarray], shades: Sequence[tuple[int, ...]], thickness: int
    ) -> None:
        """Draws the lines on planes, of which all but the first are half as fine."""
        for index, (plane, shade) in enumerate(zip(planes, shades, strict=True)):
            half = index > 0
            thick = -(-thickness // 2) if half else thickness
            cv2.polylines(
                plane, self.lines, self.is_closed, shade, thick, cv2.LINE_AA, shift=FINE + half
            )


@dataclass(frozen=True)
class Surface:
    """Describes a picture that is drawn on in place.

    Attributes:
        planes: RGB uint8 [H, W, 3] alone, or Y [H, W] and, half as high and wide, U and V.
        width: Of the picture, in pixels; where it is odd, Y has one more.
        height: Of the picture, in pixels; where it is odd, Y has one more.
        matrix: Name of the YUV matrix; None for RGB.
    """

    planes: tuple[np.ndarray, ...]
    width: int
    height: int
    matrix: str | None = None

    @classmethod
    def of_rgb(cls, picture: np.ndarray) -> Surface:
        """Makes a surface of RGB uint8 [H, W, 3], contiguous."""
        return cls((picture,), picture.shape[1], picture.shape[0])

    @classmethod
    def of_planes(cls, planes: np.ndarray, width: int, height: int, matrix: str) -> Surface:
        """Makes a surface of contiguous planes, of a picture of `width` x `height` pixels."""
        return cls(split_planes(planes), width, height, matrix)

    def draw_box(self, box: np.ndarray, color: Color, text: int) -> None:
        """Draws a box: a thin outline with stronger corners.

        A dark line beneath keeps it visible on any background.

        Args:
            box: float [4], xyxy in pixels.
            color: RGB.
            text: Text height in pixels, which the width of the lines follows.
        """
        line = max(1, round(text / 12))
        left, top, right, bottom = box.tolist()  # plain numbers: np.clip takes longer than a line
        x1 = min(max(left, 0), self.width) + line / 2
        y1 = min(max(top, 0), self.height) + line / 2
        x2 = min(max(right, 0), self.width) - line / 2 - 1
        y2 = min(max(bottom, 0), self.height) - line / 2 - 1
        if x2 <= x1 or y2 <= y1:
            return
        reach = min(0.25 * min(x2 - x1, y2 - y1), 1.2 * text)
        outline = np.array([[[x1, y1], [x2, y1], [x2, y2], [x1, y2]]])
        corners = outline[0][:, None] + reach * CORNERS
        strokes = [_Stroke(_to_fixed(outline), True, line, line + 1)]
        if reach > 0.5 * text:  # on a tiny box the corners would touch one another
            strokes.insert(0, _Stroke(_to_fixed(corners), False, 2 * line, 2 * line + 2))
        dark: Sequence[tuple[int, ...]] = [PANEL_COLOR]
        shades: Sequence[tuple[int, ...]] = [color]
        if self.matrix is not None:
            # In the planes of color, half as fine, the line above covers the dark one.
            dark = [convert_color(PANEL_COLOR, self.matrix)[:1]]
            shades = [(shade,) for shade in convert_color(color, self.matrix)]
        for stroke in strokes:
            stroke.draw(self.planes[:1], dark, stroke.dark_thickness)
        for stroke in strokes:
            stroke.draw(self.planes, shades, stroke.thickness)

    def blend(self, panel: Panel, corner: tuple[int, int]) -> None:
        """Draws a panel over the picture.

        Args:
            panel: The panel.
            corner: Its top left corner (x, y), even numbers of pixels.
        """
        for index, (plane, layer) in enumerate(
            zip(self.planes, compute_layers(panel, self.matrix), strict=True)
        ):
            x, y = (value // 2 for value in corner) if index else corner
            # On a tiny frame the area is smaller than the panel.
            area = plane[y : y + layer.ink.shape[0], x : x + layer.ink.shape[1]]
            height, width = area.shape[:2]
            area[:] = (area * layer.keep[:height, :width] + layer.ink[:height, :width]) >> 8


def _to_fixed(points: np.ndarray) -> list[np.ndarray]:
    """Converts lines [N, P, 2], pixels, to what OpenCV draws, with FINE bits below the pixel."""
    return list(np.rint(points * 2**FINE).astype(np.int32))
