"""Frames of a hardware decoder are software's, or software decodes; devices here are made up."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.hwaccel import hwdevices_available

from ava_det.choices import HARDWARE_DECODERS
from ava_det.video import hardware
from ava_det.video.file import VideoReader
from ava_det.video.planes import BT709
from ava_det.video.reader import VideoError
from ava_det.video.writer import VideoWriter
from tests.support import fake_device
from tests.support.numbered_video import read_number, write_numbered_video


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(i, 30) for i in range(40)], options={"g": "12", "bf": "2"})
    return path


def fail(frame: av.VideoFrame) -> av.VideoFrame:
    raise av.error.ExternalError(1, "no surface")


def delay(frame: av.VideoFrame) -> av.VideoFrame:
    late = fake_device.download(frame)
    late.pts += 1
    return late


@pytest.mark.parametrize("matrix", ["bt601", BT709])
@pytest.mark.parametrize("color", ["tagged", "bt601"])
def test_a_device_gives_what_software_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, matrix: str, color: str
) -> None:
    path = tmp_path / "colors.mp4"
    noise = np.random.default_rng(0)
    with VideoWriter(path, 66, 50, 10, matrix=matrix) as writer:
        for index in range(12):
            picture = noise.integers(0, 255, (5, 6, 3), np.uint8).repeat(10, 0).repeat(11, 1)
            writer.write(picture, index / 10)
    moments = np.arange(12) / 10
    with VideoReader(path) as reader:
        expected = reader.read(moments, color=color)
        planes = [picture.planes(matrix) for picture in reader.pictures_nearest(moments)]
    opened = fake_device.install(monkeypatch)
    with VideoReader(path, hwaccel="cuda") as reader:
        assert np.array_equal(reader.read(moments, color=color), expected)
        found = [picture.planes(matrix) for picture in reader.pictures_nearest(moments)]
        assert np.array_equal(found, planes)
        assert reader.notes == ()
    assert opened


def test_seeking_and_reading_again_stay_on_the_device(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = fake_device.install(monkeypatch)
    with VideoReader(video, hwaccel="vaapi") as reader:
        for number in (35, 3, 20, 0):
            assert read_number(reader.read([number / 30 + 1e-4])[0]) == number
        assert [read_number(picture) for _, picture in reader.frames()] == list(range(40))
    assert len(opened) >= 3  # compared, opened, and opened again before the first frame


def test_one_level_is_no_difference(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_device.install(monkeypatch, fake_device.shift(1))
    with VideoReader(video, hwaccel="cuda") as reader:
        assert reader.notes == ()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (fake_device.shift(2), "a frame of the device differs by 2 levels, expected 1"),
        (fail, "the device fails"),
        (lambda frame: frame, "the device gives yuv420p, expected nv12"),
        (delay, "the device gives frames of other times or sizes"),
    ],
)
def test_a_device_that_gives_anything_else_is_not_used(
    video: Path, monkeypatch: pytest.MonkeyPatch, change: fake_device.Change, why: str
) -> None:
    with VideoReader(video) as reader:
        expected = reader.read([0.0, 0.5, 1.0])
    fake_device.install(monkeypatch, change)
    with VideoReader(video, hwaccel="cuda") as reader:
        assert np.array_equal(reader.read([0.0, 0.5, 1.0]), expected)
        [note] = reader.notes
    assert note.startswith(f"is decoded by software, not by cuda: {why}")


def test_a_device_that_loses_frames_is_not_used(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_device.install(monkeypatch)
    real = fake_device.DevicePacket.decode

    def lose(packet: fake_device.DevicePacket) -> list[av.VideoFrame]:
        return [frame for frame in real(packet) if frame.pts < 9000]  # a tenth of a second

    monkeypatch.setattr(fake_device.DevicePacket, "decode", lose)
    with VideoReader(video, hwaccel="cuda") as reader:
        [note] = reader.notes
    assert note.endswith("the device gives another number of frames")


def test_other_formats_are_decoded_by_software(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        for index in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((3, 48, 64), 90, np.uint8), "yuv444p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    fake_device.install(monkeypatch)
    with VideoReader(path, hwaccel="cuda") as reader:
        assert reader.notes == (
            "is decoded by software, not by cuda: its frames are yuv444p, expected yuv420p",
        )


def test_a_kind_that_ffmpeg_does_not_know_is_one_sentence() -> None:
    kind = next(kind for kind in HARDWARE_DECODERS if kind not in hwdevices_available())
    with pytest.raises(VideoError, match=f"hwaccel {kind}: PyAV's FFmpeg was built without it"):
        hardware.require_device(kind)


def test_an_absent_device_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        def create(self, codec: av.Codec) -> None:
            raise av.error.PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(hardware, "hwdevices_available", lambda: ["cuda"])
    monkeypatch.setattr(hardware, "HWAccel", lambda kind: Absent())
    sentence = r"hwaccel cuda: no such device can be opened here \(Operation not permitted\)"
    with pytest.raises(VideoError, match=sentence):
        hardware.require_device("cuda")
