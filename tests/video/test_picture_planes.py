"""Frames as planes: what the decoder gave where that can be, and the same picture where it
cannot.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ava_det.video.file import VideoReader
from ava_det.video.folder import open_video
from ava_det.video.planes import BT601, BT709, planes_to_rgb
from ava_det.video.reader import FrameReader, Picture
from ava_det.video.writer import VideoWriter
from ava_det.visualization.png import write_png
from tests.support.numbered_video import draw_number, write_numbered_video


def read_pictures(reader: FrameReader) -> list[Picture]:
    pictures: list[Picture] = []
    reader.subscribe(0.0, pictures.append)
    reader.advance(100.0)
    return pictures


def write_tagged(path: Path, width: int, height: int, tag: int) -> None:
    """Three frames of color noise, with `tag` as their matrix (H.273)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.width = width
        stream.height = height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = tag
        noise = np.random.default_rng(0)
        for index in range(3):
            planes = noise.integers(16, 236, (height * 3 // 2, width), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = index
            frame.time_base = Fraction(1, 10)
            frame.colorspace = tag
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("tag", "height", "matrix"),
    [(1, 48, BT709), (5, 48, BT601), (6, 48, BT601), (2, 48, BT601), (2, 720, BT709)],
)
def test_planes_are_what_was_encoded(tmp_path: Path, tag: int, height: int, matrix: str) -> None:
    """Untagged high definition is what players take it for."""
    path = tmp_path / "tagged.mp4"
    write_tagged(path, 1280 if height == 720 else 64, height, tag)
    with VideoReader(path) as reader:
        assert reader.matrix == matrix
        noise = np.random.default_rng(0)
        for picture in read_pictures(reader):
            planes = picture.planes(matrix)
            expected = noise.integers(16, 236, planes.shape, dtype=np.uint8)
            assert np.array_equal(planes, expected)
            planes[:] = 0  # the caller's own
            assert np.array_equal(picture.planes(matrix), expected)


def test_another_matrix_is_the_same_picture(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", 64, 48, 10, matrix=BT709) as writer:
        writer.write(np.full((48, 64, 3), (200, 40, 90), np.uint8), 0.0)
    with VideoReader(tmp_path / "out.mp4") as reader:
        assert reader.matrix == BT709
        [picture] = read_pictures(reader)
        for matrix in (BT601, BT709):
            assert (
                np.abs(
                    planes_to_rgb(picture.planes(matrix), matrix).astype(int) - (200, 40, 90)
                ).max()
                <= 6
            )


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_video_has_upright_planes(tmp_path: Path, rotation: int) -> None:
    path = tmp_path / "turned.mp4"
    write_numbered_video(path, [Fraction(index, 10) for index in range(4)], rotation=rotation)
    with VideoReader(path) as reader:
        for picture in read_pictures(reader):
            seen = planes_to_rgb(picture.planes(BT601), BT601)
            assert seen.shape == (reader.height, reader.width, 3)
            assert np.abs(seen.astype(int) - picture.rgb(None)).mean() < 2


def test_a_picture_of_odd_size_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    for number in (1, 2):
        write_png(folder / f"cut_{number:06d}.png", draw_number(number)[:47, :63])
    with open_video(folder) as reader:
        for picture in read_pictures(reader):
            planes = picture.planes(reader.matrix)
            assert planes.shape == (72, 64)
            seen = planes_to_rgb(planes, reader.matrix)[:47, :63]
            assert np.abs(seen.astype(int) - picture.rgb(None)).mean() < 3
