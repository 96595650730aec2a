"""Videos whose every frame carries its own number as eight black and white stripes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

STRIPES = 8


def draw_number(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """uint8 RGB [H, W, 3]."""
    bits = [(number >> bit) & 1 for bit in range(STRIPES)]
    row = np.repeat(np.array(bits, dtype=np.uint8) * 255, width // STRIPES)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def read_number(picture: np.ndarray) -> int:
    """The number in a decoded picture of any size."""
    stripes = picture.mean(axis=(0, 2)).reshape(STRIPES, -1).mean(axis=1) > 127
    return int(sum(int(on) << bit for bit, on in enumerate(stripes)))


def write_numbered_video(
    path: Path,
    moments: list[Fraction],
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    rotation: int = 0,
    rate: Fraction | int = 30,
) -> None:
    """One frame for each moment (seconds); the first need not be at 0. rate: frames a second, as
    the header says.
    """
    # a second; MPEG-4's own clock is coarse, and an AVI counts frames
    ticks = 30 if codec == "mpeg4" else 90000
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width = 64
        stream.height = 48
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, ticks)
        if rotation:
            stream.set_display_rotation(rotation)
        for number, moment in enumerate(moments):
            frame = av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")
            frame.pts = round(moment * ticks)
            frame.time_base = Fraction(1, ticks)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_pictures(folder: Path, count: int, pattern: str = "{name}_{number:06d}.jpg") -> Path:
    """The same frames as a folder of pictures, numbered from 1."""
    folder.mkdir(parents=True)
    for index in range(count):
        path = folder / pattern.format(name=folder.name, number=index + 1)
        assert cv2.imwrite(str(path), draw_number(index)[:, :, ::-1])
    return folder
