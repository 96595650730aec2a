"""Lines of text in pictures, by the fonts that OpenCV 5 has, or by Pillow's beside OpenCV 4."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]

HAS_OUTLINE_FONTS = hasattr(cv2, "FontFace")  # since OpenCV 5
BOLD = 600  # the weight from which Pillow's font, which has one weight, gets a stroke


def text_width(text: str, size: int, weight: int = 450) -> int:
    """Returns the width of a line of text in pixels."""
    if HAS_OUTLINE_FONTS:
        return int(cv2.getTextSize((0, 0), text, (0, 0), _opencv_font(), size, weight)[2])
    return round(_pillow_font(size).getlength(text)) + 2 * _stroke(size, weight)


def put_text(
    image: np.ndarray,
    text: str,
    x: int,
    baseline: int,
    color: Color,
    size: int,
    weight: int = 450,
) -> None:
    """Writes one antialiased line of text, in place.

    Args:
        image: RGB uint8 [H, W, 3].
        text: The line.
        x: Left end, in pixels.
        baseline: y of the baseline, in pixels.
        color: RGB.
        size: Text height, in pixels.
        weight: Of the font; 400 is regular, 700 bold.
    """
    if HAS_OUTLINE_FONTS:
        cv2.putText(image, text, (x, baseline), color, _opencv_font(), size, weight)
        return
    picture = Image.fromarray(image)
    ImageDraw.Draw(picture).text(
        (x, baseline),
        text,
        fill=color,
        font=_pillow_font(size),
        anchor="ls",
        stroke_width=_stroke(size, weight),
        stroke_fill=color,
    )
    image[:] = np.asarray(picture)


@lru_cache(maxsize=1)
def _opencv_font() -> Any:
    return cv2.FontFace("sans")


@lru_cache(maxsize=32)
def _pillow_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _stroke(size: int, weight: int) -> int:
    """Returns the pixels by which a bold line is thicker; a fine print has none."""
    return 1 if weight >= BOLD and size >= 16 else 0
