"""HDR made SDR: known lights, the table against the formula, and files of the standard range left
alone.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ava_det.video.file import VideoReader
from ava_det.video.planes import BT709, planes_to_rgb
from ava_det.video.tone import HLG, PQ, map_tones

BT709_TAG = 1
BT2020_TAG = 9
BT2020_10 = 14


def code_pq(light: float) -> float:
    """SMPTE ST 2084, of cd/m2."""
    power = (light / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def show(gray: float, transfer: int) -> float:
    """0..1 of a gray."""
    red, green, blue = map_tones(np.full(3, gray), transfer)
    assert red == pytest.approx(green, abs=2e-3) == pytest.approx(blue, abs=2e-3)
    return float(red)


def test_known_grays() -> None:
    """Below the knee light stays what it is, relative to a white of 203 cd/m2; the peak becomes
    white.
    """
    for light in (1.0, 10.0, 50.0):
        assert show(code_pq(light), PQ) == pytest.approx((light / 203) ** (1 / 2.4), abs=2e-3)
    assert show(code_pq(1000), PQ) == pytest.approx(1, abs=1e-3)
    assert show(1.0, PQ) == pytest.approx(1, abs=1e-3)
    assert show(1.0, HLG) == pytest.approx(1, abs=1e-3)
    assert show(0.0, PQ) == show(0.0, HLG) == pytest.approx(0, abs=1e-3)
    # BT.2408: reference white is 58 % of PQ and 75 % of HLG
    assert show(0.58, PQ) == pytest.approx(show(0.75, HLG), abs=0.01)
    assert 0.85 < show(0.75, HLG) < 0.95


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_tones_keep_their_order_and_the_colors_of_bt709_stay(transfer: int) -> None:
    ramp = np.array([show(value, transfer) for value in np.linspace(0, 1, 50)])
    assert (np.diff(ramp) >= -1e-6).all()
    # a red of BT.709 in BT.2020 (BT.2087), 100 cd/m2 at its strongest component
    light = np.array([0.6274, 0.0691, 0.0164]) / 0.6274 * 100
    if transfer == PQ:
        red, green, blue = map_tones(np.array([code_pq(value) for value in light]), PQ)
        assert red > 0.7
        assert max(green, blue) < 0.12


def write_colors(
    path: Path, transfer: int, colors: list[tuple[int, int, int]], matrix: int = BT2020_TAG
) -> None:
    """A second of 10 bit patches of equal width, coded colors of 0..1023."""
    width = 32 * len(colors)
    height = 64
    picture = np.repeat(np.array(colors, np.float64)[None, :, None], 32, axis=2).reshape(
        1, width, 3
    )
    red, green, blue = (
        np.broadcast_to(picture[..., index], (height, width)) / 1023 for index in range(3)
    )
    luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    planes = [
        64 + 876 * luma,
        512 + 896 * (blue - luma) / 1.8814,
        512 + 896 * (red - luma) / 1.4746,
    ]
    frame = av.VideoFrame(width, height, "yuv420p10le")
    for index, (plane, values) in enumerate(zip(frame.planes, planes, strict=True)):
        rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        step = 2 if index else 1
        rows[:, : plane.width] = values[::step, ::step].round()
        plane.update(rows.tobytes())
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx265", rate=10, options={"x265-params": "log-level=none:qp=1"}
        )
        stream.width = width
        stream.height = height
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        context.colorspace = matrix
        context.color_primaries = BT2020_TAG
        context.color_trc = transfer
        context.color_range = 1
        for number in range(3):
            frame.pts = number
            frame.time_base = Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


COLORS = [
    (0, 0, 0),
    (300, 300, 300),
    (520, 500, 480),
    (600, 400, 300),
    (300, 500, 350),
    (700, 700, 700),
]


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_file_looks_like_the_formula(tmp_path: Path, transfer: int) -> None:
    path = tmp_path / "video.mp4"
    write_colors(path, transfer, COLORS)
    expected = 255 * map_tones(np.array(COLORS) / 1023, transfer)
    with VideoReader(path) as reader:
        assert reader.matrix == BT709
        picture = reader.read([0.1])[0]
        pictures = []
        reader.subscribe(0.0, pictures.append)
        reader.advance(1.0)
        drawn = planes_to_rgb(pictures[0].planes(BT709), BT709)
        for seen in (picture, drawn):
            middles = seen[32, 16::32].astype(float)
            assert np.abs(middles - expected).mean() < 1.5
            assert np.abs(middles - expected).max() < 8
        small = reader.read([0.1], 32)[0]
        assert np.abs(small[16, 8::16].astype(float) - expected).mean() < 2
        name = "PQ" if transfer == PQ else "HLG"
        assert list(reader.notes) == [
            f"its colors are HDR ({name}): they are mapped to the standard range"
        ]


@pytest.mark.parametrize("transfer", [BT709_TAG, BT2020_10])
def test_ten_bits_of_the_standard_range_stay_what_they_were(tmp_path: Path, transfer: int) -> None:
    path = tmp_path / "video.mp4"
    write_colors(path, transfer, COLORS)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    with VideoReader(path) as reader:
        assert reader.notes == ()
        for frame, picture in zip(frames, reader.read([0.0, 0.1, 0.2]), strict=True):
            np.testing.assert_array_equal(picture, frame.to_ndarray(format="rgb24"))
        small = reader.read([0.0], 32)[0]
        plain = cv2.resize(
            frames[0].to_ndarray(format="rgb24"), (96, 32), interpolation=cv2.INTER_LINEAR
        )
        np.testing.assert_array_equal(small, plain)


def test_a_turned_hdr_video_is_upright(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    turned = tmp_path / "turned.mp4"
    write_colors(path, HLG, COLORS)
    with av.open(str(path)) as given, av.open(str(turned), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        stream.set_display_rotation(90)
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    with VideoReader(path) as plain, VideoReader(turned) as reader:
        assert (reader.width, reader.height) == (plain.height, plain.width)
        np.testing.assert_array_equal(reader.read([0.1])[0], np.rot90(plain.read([0.1])[0]))
