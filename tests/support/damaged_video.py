"""A video whose middle is noise."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from tests.support.numbered_video import write_numbered_video

FPS = 25
SECONDS = 12


def write_damaged(path: Path) -> Path:
    """12 s with a key picture a second; a third of the bytes in the middle are noise."""
    moments = [Fraction(index, FPS) for index in range(FPS * SECONDS)]
    write_numbered_video(path, moments, options={"g": str(FPS), "bf": "0"}, rate=FPS)
    content = bytearray(path.read_bytes())
    first = len(content) * 2 // 5
    last = len(content) * 3 // 5
    content[first:last] = np.random.default_rng(0).bytes(last - first)
    path.write_bytes(content)
    return path
