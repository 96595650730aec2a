"""Planes and RGB: there and back, against FFmpeg, turned, and of odd sizes."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from ava_det.video.planes import (
    BT601,
    BT709,
    convert_color,
    planes_to_rgb,
    rgb_to_planes,
    rotate_planes,
    split_planes,
)

FFMPEG = {BT601: Colorspace.ITU601, BT709: Colorspace.ITU709}


def make_blocks(height: int, width: int) -> np.ndarray:
    """Random colors, each two pixels wide and high, so that planes of half the size lose
    nothing.
    """
    blocks = np.random.default_rng(0).integers(
        0, 256, (-(-height // 2), -(-width // 2), 3), dtype=np.uint8
    )
    return blocks.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]


@pytest.mark.parametrize("matrix", [BT601, BT709])
def test_there_and_back(matrix: str) -> None:
    picture = make_blocks(38, 50)
    planes = rgb_to_planes(picture, matrix)
    assert planes.shape == (57, 50)
    assert np.abs(planes_to_rgb(planes, matrix).astype(int) - picture).max() <= 4


@pytest.mark.parametrize("matrix", [BT601, BT709])
def test_ffmpeg_reads_the_same_colors(matrix: str) -> None:
    picture = make_blocks(36, 64)
    frame = av.VideoFrame.from_ndarray(rgb_to_planes(picture, matrix), format="yuv420p")
    seen = frame.to_ndarray(
        format="rgb24", src_colorspace=FFMPEG[matrix], src_color_range=ColorRange.MPEG
    )
    # chroma is smoothed over edges: most pixels, not all
    middle = np.abs(seen.astype(int) - picture)
    assert np.median(middle) <= 3
    for color in ((255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (20, 200, 90)):
        flat = rgb_to_planes(np.full((8, 8, 3), color, np.uint8), matrix)
        assert (
            np.abs(
                np.array([part[0, 0] for part in split_planes(flat)]) - convert_color(color, matrix)
            ).max()
            <= 1
        )


def test_an_odd_side_is_repeated() -> None:
    picture = make_blocks(7, 5)
    planes = rgb_to_planes(picture, BT709)
    y, u, v = split_planes(planes)
    assert (y.shape, u.shape, v.shape) == ((8, 6), (4, 3), (4, 3))
    assert np.array_equal(y[7], y[6])
    assert np.array_equal(y[:, 5], y[:, 4])


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_planes_is_turning_the_picture(turns: int) -> None:
    picture = make_blocks(36, 64)
    turned = rotate_planes(rgb_to_planes(picture, BT601), turns)
    expected = rgb_to_planes(np.ascontiguousarray(np.rot90(picture, turns)), BT601)
    assert np.abs(turned.astype(int) - expected).max() <= 1
    y, _, _ = split_planes(turned)
    y[:] = 7  # a view: what is drawn on it is in the planes
    assert (turned[: y.shape[0]] == 7).all()
