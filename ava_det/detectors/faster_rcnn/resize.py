"""Resizes frames for the network by Detectron2's rule.

Pillow does it, whose antialiased bilinear filter Detectron2 uses. OpenCV's and torch's filters give
other pixels, and with them other boxes.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

SHORT_SIDE = 800
LONG_SIDE = 1333  # both sides are those of Detectron2's published detectors


def compute_size(height: int, width: int, short_side: int, long_side: int) -> tuple[int, int]:
    """Computes the size of a resized frame.

    Args:
        height: Of the frame.
        width: Of the frame.
        short_side: Wanted short side of the result.
        long_side: Largest long side of the result; where it is reached the short side is smaller.

    Returns:
        (height, width).
    """
    scale = short_side / min(height, width)
    new_height, new_width = (
        (short_side, scale * width) if height < width else (scale * height, short_side)
    )
    if max(new_height, new_width) > long_side:
        scale = long_side / max(new_height, new_width)
        new_height = new_height * scale
        new_width = new_width * scale
    return max(1, int(new_height + 0.5)), max(1, int(new_width + 0.5))


def resize_frame(
    frame: np.ndarray, short_side: int = SHORT_SIDE, long_side: int = LONG_SIDE
) -> np.ndarray:
    """Resizes a frame: uint8 [H, W, 3] to uint8 [H', W', 3].

    Args:
        frame: In any channel order.
        short_side: See `compute_size`.
        long_side: See `compute_size`.
    """
    height, width = compute_size(frame.shape[0], frame.shape[1], short_side, long_side)
    image = Image.fromarray(np.ascontiguousarray(frame))
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR))
