"""Writes video files with several video streams of one color each."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RED = (200, 0, 0)
BLUE = (0, 0, 200)


def write_streams(
    path: Path,
    colors: list[tuple[int, int, int]],
    codecs: list[str],
    covers: Collection[int] = (),
) -> Path:
    """Writes five frames of each color as a video stream of its own.

    Args:
        path: The file; its suffix chooses the container.
        colors: RGB 0..255, one per stream.
        codecs: One per stream.
        covers: The numbers of streams that are marked as covers, as players show them with music.

    Returns:
        The path.
    """
    with av.open(str(path), "w") as container:
        streams = []
        for number, codec in enumerate(codecs):
            stream = container.add_stream(codec, rate=10)
            stream.width = 64
            stream.height = 48
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            if number in covers:
                stream.disposition = av.stream.Disposition.attached_pic
            streams.append(stream)
        for index in range(5):
            for stream, color in zip(streams, colors, strict=True):
                if index and stream.name == "mjpeg":
                    continue
                picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), color, np.uint8), "rgb24")
                picture.pts = index
                picture.time_base = Fraction(1, 10)
                container.mux(stream.encode(picture))
        for stream in streams:
            container.mux(stream.encode())
    return path
