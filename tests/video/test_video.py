from __future__ import annotations

import gc
import shutil
import subprocess
import weakref
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ava_det.video.file import VideoReader
from ava_det.video.reader import VideoError
from ava_det.video.sources import find_videos
from tests.support.numbered_video import read_number, write_numbered_video

RATES = {
    "10": Fraction(10),
    "23.976": Fraction(24000, 1001),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
}
LONG_GOP = {"g": "250", "bf": "3"}


def nearest(times: np.ndarray, moments: np.ndarray) -> list[int]:
    """The obvious way: for each moment the nearest time, the earlier of two."""
    return [int(np.argmin(np.abs(times - moment))) for moment in moments]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    "options", [LONG_GOP, {"g": "12", "bf": "0"}], ids=["long-gop", "short-gop"]
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_nearest_frame_is_read_wherever_it_is(
    tmp_path: Path, rate: str, options: dict[str, str], suffix: str
) -> None:
    moments = [i / RATES[rate] for i in range(200)]
    path = tmp_path / f"video.{suffix}"
    write_numbered_video(path, moments, options=options)
    digits = 3 if suffix == "mkv" else 6  # Matroska counts milliseconds
    times = np.array([round(float(moment), digits) for moment in moments]) + 900
    random = np.random.default_rng(0)
    with VideoReader(path, start_second=900) as reader:
        for center in [900.0, times[-1], *random.uniform(898, times[-1] + 2, 25)]:
            wanted = center + np.arange(-16, 16, 2) / 30 + 1e-4  # never half-way between two frames
            assert [read_number(picture) for picture in reader.read(wanted)] == nearest(
                times, wanted
            )


def test_variable_rate_and_a_late_first_frame(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    gaps = [Fraction(int(gap), 1000) for gap in random.integers(20, 200, 99)]
    moments = [Fraction(3, 2) + sum(gaps[:i], Fraction(0)) for i in range(100)]
    path = tmp_path / "video.mp4"
    write_numbered_video(path, moments, options=LONG_GOP)
    # the first frame is at start_second
    times = np.array([float(moment - moments[0]) for moment in moments])
    with VideoReader(path) as reader:
        for center in random.uniform(0, times[-1], 20):
            wanted = center + np.arange(-8, 8) / 30
            assert [read_number(picture) for picture in reader.read(wanted)] == nearest(
                times, wanted
            )


def full_decode(path: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    """Every frame without our reader: seconds since the first, and RGB by the same conversion of
    the planes.
    """
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    seconds = np.array([frame.time - frames[0].time for frame in frames])
    return seconds, [cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2RGB_I420) for frame in frames]


FILES = [  # codec, container, and options with and without B-frames
    ("libx264", "mp4", {"g": "250", "bf": "3"}),
    ("libx264", "mkv", {"g": "24", "bf": "2", "x264-params": "open-gop=1"}),
    ("libx264", "avi", {"g": "60", "bf": "0"}),
    ("mpeg4", "avi", {"g": "60"}),
    ("mpeg4", "mp4", {"g": "60", "bf": "2"}),
    ("libvpx", "webm", {"g": "60", "deadline": "realtime", "cpu-used": "8"}),
    ("libvpx-vp9", "webm", {"g": "60", "deadline": "realtime", "cpu-used": "8"}),
    ("libvpx-vp9", "mkv", {"g": "60", "deadline": "realtime", "cpu-used": "8"}),
]


@pytest.mark.parametrize("rate", [*RATES, "30"])
@pytest.mark.parametrize(
    ("codec", "suffix", "options"), FILES, ids=[f"{codec}-{end}" for codec, end, _ in FILES]
)
def test_pixels_equal_a_full_decode_at_start_middle_and_end(
    tmp_path: Path, codec: str, suffix: str, options: dict[str, str], rate: str
) -> None:
    path = tmp_path / f"video.{suffix}"
    exact = RATES.get(rate, Fraction(30))
    moments = [i / exact for i in range(150)]
    # an AVI counts frames, MPEG-4 has a coarse clock: both need whole ticks
    if codec == "mpeg4" or suffix == "avi":
        moments = (
            [Fraction(round(moment * 30), 30) for moment in moments] if exact != 10 else moments
        )
    write_numbered_video(
        path, moments, codec=codec, options=options, rate=30 if suffix == "avi" else exact
    )
    times, pictures = full_decode(path)
    with VideoReader(path) as reader:
        for center in (times[-1], 0.0, times[-1] / 2, 0.3 * times[-1], times[-1] + 1):
            wanted = center + np.arange(-16, 16, 4) / 30 + 1e-4
            expected = np.stack([pictures[index] for index in nearest(times, wanted)])
            np.testing.assert_array_equal(reader.read(wanted), expected)


def test_one_pass_decodes_every_frame_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(i, 15) for i in range(150)], options=LONG_GOP)
    decoded = 0
    original = VideoReader._decode_next

    def counting(reader: VideoReader) -> bool:
        nonlocal decoded
        more = original(reader)
        decoded += more
        return more

    monkeypatch.setattr(VideoReader, "_decode_next", counting)
    with VideoReader(path) as reader:
        for second in range(10):
            reader.read(second + np.arange(-32, 32, 4) / 30)
        assert len(reader._pictures) < 50
    assert decoded == 150


def test_frames_gives_all_of_them_in_order(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(i, 25) for i in range(40)], options=LONG_GOP)
    with VideoReader(path, start_second=10) as reader:
        reader.read([10.5])
        seen = [(round(moment, 4), read_number(picture)) for moment, picture in reader.frames()]
    assert seen == [(round(10 + i / 25, 4), i) for i in range(40)]


def test_size_rate_duration_and_resize(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(i, 25) for i in range(50)])
    with VideoReader(path) as reader:
        assert (reader.width, reader.height, round(reader.fps), reader.duration) == (
            64,
            48,
            25,
            pytest.approx(2, abs=0.05),
        )
        assert reader.read([0.0, 1.0], short_side=24).shape == (2, 24, 32, 3)
        assert len(reader.sample(5)) == 5


def test_a_rotated_phone_video_is_upright(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(i, 30) for i in range(10)], rotation=90)
    with VideoReader(path) as reader:
        assert (reader.width, reader.height) == (48, 64)
        turned = reader.read([5 / 30])[0]
    # the display matrix of 90 turns the picture counter-clockwise: turn it back and read the
    # stripes
    assert read_number(np.rot90(turned, -1)) == 5


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be opened"),
        (b"not a video at all" * 100, "cannot be opened"),
        (None, "no such"),
    ],
)
def test_what_is_no_video_is_said_in_one_sentence(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "bad.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=rf"bad\.mp4: {sentence}"):
        VideoReader(path)


def test_a_folder_maps_ids_to_files(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.mkv", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert {key: path.name for key, path in find_videos(tmp_path).items()} == {
        "one": "one.mp4",
        "two": "two.mkv",
    }
    (tmp_path / "one.webm").write_bytes(b"")
    with pytest.raises(VideoError, match="same video id"):
        find_videos(tmp_path)
    with pytest.raises(VideoError, match="no such folder"):
        find_videos(tmp_path / "elsewhere")


def test_real_videos_equal_a_full_decode(shared_data: Path) -> None:
    for name in ("torchcodec_nasa_13013.mp4", "intel_asl_walk.mkv"):
        path = shared_data / "videos" / name
        with VideoReader(path) as whole:
            moments, pictures = zip(*whole.frames(), strict=True)
        times = np.array(moments)
        random = np.random.default_rng(0)
        with VideoReader(path) as reader:
            for center in random.uniform(-2, times[-1] + 2, 10):
                wanted = center + np.arange(-32, 32, 4) / 30
                expected = np.stack([pictures[i] for i in nearest(times, wanted)])
                np.testing.assert_array_equal(reader.read(wanted), expected)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg on the command line")
def test_pixels_agree_with_ffmpeg(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(i, 25) for i in range(30)], options=LONG_GOP)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    theirs = np.frombuffer(raw, np.uint8).reshape(-1, 48, 64, 3)
    with VideoReader(path) as reader:
        ours = np.stack([picture for _, picture in reader.frames()])
    assert len(ours) == len(theirs) == 30
    # two roundings of the same matrix
    assert np.abs(ours.astype(int) - theirs.astype(int)).mean() < 2


def test_a_header_without_a_duration_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(i, 25) for i in range(50)])
    with VideoReader(path, start_second=900) as reader:
        reader.duration = None
        assert reader.find_end() == pytest.approx(902, abs=0.01)
        numbers = [read_number(picture) for picture in reader.sample(5)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] > 40


def test_a_closed_video_is_freed_at_once(tmp_path: Path) -> None:
    """Its decoder holds megabytes, and the garbage collector may not come by for hundreds of
    videos.
    """
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(i, 25) for i in range(40)])
    gc.disable()
    try:
        reader = VideoReader(path)
        reader.read([0.2, 0.5], short_side=32)
        freed = weakref.ref(reader)
        reader.close()
        del reader
        assert freed() is None
    finally:
        gc.enable()
