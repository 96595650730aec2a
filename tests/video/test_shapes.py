"""Pixels that are not square, and sizes that change: what is seen, shown and drawn has the shape of
the scene.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ava_det.data.clip_reader import ClipReader
from ava_det.video.file import VideoReader
from ava_det.video.pictures import fit_picture
from ava_det.video.planes import BT601, planes_to_rgb
from tests.support.numbered_video import draw_number, read_number

FPS = 10


def write_shaped(
    path: Path, aspect: Fraction, rotation: int = 0, size: tuple[int, int] = (64, 48)
) -> None:
    """Six numbered frames whose pixels have that width by their height."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(draw_number(number, *size), format="rgb24")
            frame.pts = number
            frame.time_base = Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("aspect", "rotation", "size"),
    [
        (Fraction(2), 0, (128, 48)),
        (Fraction(64, 45), 0, (92, 48)),
        (Fraction(8, 9), 0, (64, 54)),
        (Fraction(2), 90, (48, 128)),
        (Fraction(1, 2), 270, (96, 64)),
        (Fraction(2), 180, (128, 48)),
    ],
)
def test_pictures_have_square_pixels(
    tmp_path: Path, aspect: Fraction, rotation: int, size: tuple[int, int]
) -> None:
    path = tmp_path / "video.mp4"
    write_shaped(path, aspect, rotation)
    width, height = size
    stored = (48, 64) if rotation % 180 else (64, 48)
    with VideoReader(path) as reader:
        assert (reader.width, reader.height, reader.stored_size) == (width, height, stored)
        assert reader.pixel_aspect == aspect
        assert reader.read([0.1]).shape == (1, height, width, 3)
        short = 24
        long = int(max(size) / min(size) * 24)
        assert reader.read([0.1], 24).shape[1:3] == (
            (short, long) if width > height else (long, short)
        )
        # what published weights saw was cut as it is stored
        assert reader.read_at_or_after([Fraction(1, 10)]).shape[1:3] == stored[::-1]
        pictures = []
        reader.subscribe(0.0, pictures.append)
        reader.advance(1.0)
        for number, picture in enumerate(pictures):
            planes = picture.planes(BT601)
            assert planes.shape == (height * 3 // 2, width)
            seen = planes_to_rgb(planes, BT601)
            expected = picture.rgb(None)
            assert np.abs(seen.astype(int) - expected).mean() < 4
            upright = np.rot90(expected, -rotation // 90)
            assert read_number(cv2.resize(np.ascontiguousarray(upright), (64, 48))) == number


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(200, 199)])
def test_square_pixels_are_left_as_they_are(tmp_path: Path, aspect: Fraction) -> None:
    path = tmp_path / "video.mp4"
    write_shaped(path, aspect)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    with VideoReader(path) as reader:
        assert (reader.width, reader.height) == reader.stored_size == (64, 48)
        for frame, picture in zip(frames, reader.read(np.arange(6) / FPS), strict=True):
            plain = cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2RGB_I420)
            np.testing.assert_array_equal(picture, plain)
        small = reader.read([0.2], 24)[0]
        plain = cv2.cvtColor(frames[2].to_ndarray(), cv2.COLOR_YUV2RGB_I420)
        np.testing.assert_array_equal(
            small, cv2.resize(plain, (32, 24), interpolation=cv2.INTER_LINEAR)
        )


def test_boxes_are_placed_on_the_pictures_that_are_read(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_shaped(path, Fraction(2))
    sizes = {}
    with VideoReader(path) as reader:
        for grid in ("seconds", "pyslowfast"):
            clips = ClipReader(1, 1, 30.0, np.arange(1), None, grid, 0.0)
            sizes[grid] = (
                clips.find_size(reader),
                clips.read(reader, 0.2, None).size,
            )
    assert sizes == {"seconds": ((128, 48), (128, 48)), "pyslowfast": ((64, 48), (64, 48))}


def write_changing(path: Path, sizes: list[tuple[int, int]]) -> None:
    """VP8, each size for five frames: what WebRTC sends when the line gets worse or a phone is
    turned.
    """
    with av.open(str(path), "w") as container:
        packets: list[av.Packet] = []
        for part, size in enumerate(sizes):
            context = av.CodecContext.create("libvpx", "w")
            context.width, context.height, context.pix_fmt = *size, "yuv420p"
            context.time_base = Fraction(1, FPS)
            context.options = {"deadline": "realtime", "cpu-used": "8"}
            for number in range(5 * part, 5 * part + 5):
                frame = av.VideoFrame.from_ndarray(draw_number(number, *size), format="rgb24")
                frame.pts = number
                frame.time_base = Fraction(1, FPS)
                packets += context.encode(frame.reformat(format="yuv420p"))
            packets += context.encode(None)
        stream = container.add_stream("libvpx", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *sizes[0], "yuv420p"
        for packet in packets:
            packet.time_base = Fraction(1, FPS)
            packet.stream = stream
            container.mux(packet)


def test_frames_after_a_change_are_fitted_into_the_first_size(tmp_path: Path) -> None:
    path = tmp_path / "video.mkv"
    write_changing(path, [(64, 48), (48, 64), (128, 96)])
    with VideoReader(path) as reader:
        assert (reader.width, reader.height) == (64, 48)
        pictures = []
        reader.subscribe(0.0, pictures.append)
        reader.advance(10.0)
        assert len(pictures) == 15
        for number, picture in enumerate(pictures):
            seen = picture.rgb(None)
            assert seen.shape == (48, 64, 3)
            assert picture.rgb(24).shape == (24, 32, 3)
            assert picture.planes(BT601).shape == (72, 64)
            if 5 <= number < 10:  # 36 x 48 in the middle, bars beside it
                assert seen[:, :14].max() == seen[:, -14:].max() == 0
                seen = cv2.resize(seen[:, 14:50], (64, 48))
            assert read_number(seen) == number
        [note] = reader.notes
        assert note.startswith("its pictures change from 64x48 to 48x64 at 0.5 s")


def test_a_picture_keeps_its_shape_between_bars() -> None:
    white = np.full((10, 20, 3), 255, np.uint8)
    fitted = fit_picture(white, (10, 10), (40, 20))  # pixels half as wide as high
    assert fitted.shape == (20, 40, 3)
    assert fitted[:, 10:30].min() == 255
    assert fitted[:, :10].max() == fitted[:, 30:].max() == 0
