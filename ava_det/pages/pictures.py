"""Turns pictures into text that a page can hold."""

from __future__ import annotations

import base64

import cv2
import numpy as np

QUALITY = 80  # of a JPEG, 0..100


def encode_jpeg(picture: np.ndarray, quality: int = QUALITY) -> str:
    """Encodes RGB uint8 [H, W, 3] as a JPEG in a `data:` address, for an `img` element.

    Args:
        picture: The picture.
        quality: Of the JPEG, 0..100.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1]
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
