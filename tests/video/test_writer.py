"""Playable or absent: what the written mp4 is, and what is left after an error."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ava_det.files import is_full
from ava_det.video.file import VideoReader
from ava_det.video.writer import VideoWriter, count_threads


def write(path: Path, width: int, height: int, fps: float, seconds: list[float]) -> None:
    with VideoWriter(path, width, height, fps) as writer:
        for index, moment in enumerate(seconds):
            writer.write(np.full((height, width, 3), (40, 200 - 5 * index, 40), np.uint8), moment)


def write_noise(path: Path, noise: np.ndarray) -> None:
    with VideoWriter(path, 320, 240, 25) as writer:
        for index in range(40):
            writer.write(np.roll(noise, 7 * index, axis=0), index / 25)


@pytest.fixture
def small_files() -> Iterator[None]:
    """Files of this process hold 50 kB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    ("width", "height", "rate"),
    [
        (64, 48, Fraction(30)),
        (65, 49, Fraction(30000, 1001)),
        (48, 65, Fraction(24000, 1001)),
        (1, 1, Fraction(10)),
    ],
)
def test_every_player_can_play_it(tmp_path: Path, width: int, height: int, rate: Fraction) -> None:
    path = tmp_path / "new folder" / "out.mp4"
    # rounded, as mkv does
    write(path, width, height, float(rate), [round(float(i / rate), 3) for i in range(12)])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (width + width % 2, height + height % 2)
        assert stream.average_rate == rate
        frames = list(container.decode(video=0))
        assert [frame.time for frame in frames] == pytest.approx(
            [float(i / rate) for i in range(12)], abs=1e-5
        )
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # plays before it has arrived
    assert [entry.name for entry in path.parent.iterdir()] == ["out.mp4"]


def test_colors_come_back(tmp_path: Path) -> None:
    colors = [(40, 200, 40), (220, 30, 30), (20, 60, 230), (128, 128, 128)]
    with VideoWriter(tmp_path / "out.mp4", 64, 64, 10) as writer:
        for index, color in enumerate(colors):
            writer.write(np.full((64, 64, 3), color, np.uint8), index / 10)
    with VideoReader(tmp_path / "out.mp4") as reader:
        for (_, frame), color in zip(reader.frames(), colors, strict=True):
            assert np.abs(frame.astype(int) - color).max() <= 6


def test_a_variable_rate_stays_what_it_was(tmp_path: Path) -> None:
    # two frames at one moment: the second comes a tick later
    moments = [0.0, 0.033, 0.2, 0.2, 0.75, 1.0]
    write(tmp_path / "out.mp4", 64, 48, 30, moments)
    with av.open(str(tmp_path / "out.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx(moments, abs=1.1e-3)
    assert (np.diff(times) > 0).all()


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"an older video")

    def stop_half_way() -> None:
        with VideoWriter(path, 64, 48, 30) as writer:
            writer.write(np.zeros((48, 64, 3), np.uint8), 0.0)
            raise RuntimeError("decoder")

    with pytest.raises(RuntimeError, match="decoder"):
        stop_half_way()
    assert path.read_bytes() == b"an older video"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path: Path, small_files: None) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    with pytest.raises(OSError, match=r"cannot be written.*'.*/out\.mp4'") as caught:
        write_noise(tmp_path / "out.mp4", noise)
    assert is_full(caught.value) and not list(tmp_path.iterdir())


def test_who_was_overtaken_spoils_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    suspended = VideoWriter(path, 64, 48, 30)
    suspended.write(np.zeros((48, 64, 3), np.uint8), 0.0)
    write(path, 64, 48, 30, [0.0, 0.1])
    content = path.read_bytes()
    with pytest.raises(OSError, match=r"out\.mp4"), suspended:
        suspended.write(np.zeros((48, 64, 3), np.uint8), 0.1)
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]


def test_threads_are_half_of_the_cores_that_a_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    for allowed, threads in ((1, 1), (2, 1), (9, 4)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, count=allowed: set(range(count)))
        assert count_threads() == threads
    monkeypatch.delattr("os.sched_getaffinity")  # as on macOS
    assert count_threads() == 32


def test_no_frame_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no frame"), VideoWriter(tmp_path / "out.mp4", 64, 48, 30):
        pass
    assert not list(tmp_path.iterdir())


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"out\.avi: expected a file name that ends in \.mp4"):
        VideoWriter(tmp_path / "out.avi", 64, 48, 30)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        VideoWriter(tmp_path / "file" / "out.mp4", 64, 48, 30)
    with (
        pytest.raises(ValueError, match="expected frames"),
        VideoWriter(tmp_path / "out.mp4", 64, 48, 30) as writer,
    ):
        writer.write(np.zeros((64, 48, 3), np.uint8), 0.0)


@pytest.mark.parametrize("fps", [1 / 3600, 1 / 86_400, 0.4, 240.0, 1000.0])
def test_rates_at_the_edges(tmp_path: Path, fps: float) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, 64, 48, fps) as writer:
        for number in range(3):
            writer.write(np.full((48, 64, 3), 60 * number, np.uint8), number / fps)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        moments = [frame.time for frame in container.decode(stream)]
        assert moments == pytest.approx([number / fps for number in range(3)], abs=1e-3)
        assert float(stream.duration * stream.time_base) == pytest.approx(
            3 / fps, rel=0.01, abs=1e-3
        )
        assert float(stream.average_rate) == pytest.approx(fps, rel=0.01)


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, 64, 48, 10) as writer:
        writer.write(np.full((48, 64, 3), 90, np.uint8), 0.0)
    with av.open(str(path)) as container:
        assert float(container.streams.video[0].duration * container.streams.video[0].time_base) > 0
        assert len(list(container.decode(video=0))) == 1


@pytest.mark.parametrize("height", [48, 50, 54])
def test_planes_of_every_height_come_back(tmp_path: Path, height: int) -> None:
    path = tmp_path / "out.mp4"
    levels = [40, 90, 150, 220]
    with VideoWriter(path, 64, height, 10) as writer:
        for index, level in enumerate(levels):
            planes = np.full((height * 3 // 2, 64), 128, np.uint8)
            planes[:height] = level
            planes[height - 8 : height] = 16  # a dark line at the bottom
            writer.write_planes(planes, index / 10)
    with av.open(str(path)) as container:
        for frame, level in zip(container.decode(video=0), levels, strict=True):
            planes = frame.to_ndarray()
            assert planes.shape == (height * 3 // 2, 64)
            assert np.abs(planes[: height - 12].astype(int) - level).max() <= 4
            assert np.abs(planes[height - 4 : height].astype(int) - 16).max() <= 4
            assert np.abs(planes[height:].astype(int) - 128).max() <= 4
