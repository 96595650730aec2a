"""Writes pictures as PNG files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ava_det.files import atomic_path


def write_png(path: str | Path, picture: np.ndarray) -> None:
    """Writes RGB uint8 [H, W, 3] as a PNG, complete or not at all.

    Raises:
        ValueError: The file name does not end in .png, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path}: expected a file name that ends in .png")
    data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    try:
        with atomic_path(path) as temporary:
            Path(temporary).write_bytes(data.tobytes())
    except OSError as error:
        raise ValueError(f"{path}: cannot be written ({error.strerror})") from None
