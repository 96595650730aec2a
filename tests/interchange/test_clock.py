"""Frame numbers and seconds, against an independent count of the frames of real files."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_det.interchange.clock import FrameClock, VideoClocks, constant_clock, read_clock
from ava_det.video.file import VideoReader
from ava_det.video.reader import VideoError


def test_frames_are_counted_as_a_decoder_counts_them(synthetic: Path) -> None:
    [path] = sorted((synthetic / "videos").glob("train_00001.mp4"))
    with av.open(str(path)) as container:
        expected = [900 + float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    clock = read_clock(path, 900.0)
    np.testing.assert_allclose(clock.seconds, expected)
    assert clock.size == (192, 144)


@pytest.mark.needs_shared
@pytest.mark.parametrize("name", ["intel_asl_walk.mkv", "torchcodec_nasa_13013.mp4"])
def test_the_clock_of_a_real_video_names_the_frame_that_is_read(
    shared_data: Path, name: str
) -> None:
    path = shared_data / "videos" / name
    clock = read_clock(path, 0.0)
    with VideoReader(path) as reader:
        pictures = [picture for _, picture in reader.frames()]
        assert len(pictures) == len(clock.seconds)
        for moment in np.linspace(0, clock.seconds[-1], 17) + 0.003:  # off the ties
            assert (reader.read([moment])[0] == pictures[clock.frame_at(moment)]).all()


@given(
    gaps=st.lists(st.floats(0.001, 1.0), min_size=1, max_size=40),
    every=st.floats(0.05, 3.0),
    step=st.integers(1, 5),
)
def test_keyframes_are_frames_nearest_to_their_moments(
    gaps: list[float], every: float, step: int
) -> None:
    clock = FrameClock("v", np.concatenate(([0.0], np.cumsum(gaps))))
    frames = range(0, len(clock.seconds), step)
    chosen = clock.choose_keyframes(every, frames)
    assert list(chosen) == sorted(chosen)
    assert set(chosen) <= set(frames)
    assert chosen[0] == 0.0
    for frame, timestamp in chosen.items():
        # either this frame is the one read for its timestamp, or the timestamp is the frame's own
        # to the microsecond
        assert clock.frame_at(timestamp) == frame or abs(timestamp - clock.seconds[frame]) <= 1e-6
    if step == 1 and len(set(gaps)) == 1:
        last = clock.seconds[-1]
        assert len(chosen) >= min(int(last / every), len(frames) // 2)


def test_frames_that_a_video_lacks(synthetic: Path) -> None:
    clock = constant_clock("walk", 25.0, 100, 900.0)
    assert (
        clock.second_of(50),
        clock.frame_at(901.0),
        clock.frame_at(0.0),
        clock.frame_at(1e6),
    ) == (902.0, 25, 0, 99)
    with pytest.raises(ValueError, match=r"walk has the frames 0\.\.99, found frame 100"):
        clock.second_of(100)
    assert clock.choose_keyframes(1.0, []) == {}
    with pytest.raises(
        ValueError, match=r"x\.xml: expected the videos \(--videos\) or their frame rate \(--fps\)"
    ):
        VideoClocks(None, None, 0.0).find("walk", "x.xml")
    clocks = VideoClocks(synthetic / "videos", None, 900.0)
    assert clocks.find("train_00000", "x.xml") is clocks.find("train_00000", "y.xml")
    with pytest.raises(VideoError, match=r"x\.xml: expected a video walk in "):
        clocks.find("walk", "x.xml")


def test_a_single_frame_shows_the_moment_next_to_it() -> None:
    clock = FrameClock("walk", np.arange(300) * 1001 / 30000)
    assert clock.choose_keyframes(1.0, [30]) == {30: 1.0}
    assert clock.choose_keyframes(1.0, [40]) == {}


def test_the_first_name_of_a_video_that_is_there(synthetic: Path) -> None:
    clocks = VideoClocks(synthetic / "videos", None, 900.0)
    assert clocks.choose(["frame", "train_00001", "train_00000"], "x.json") == "train_00001"
    assert clocks.choose(["walk"], "x.json") == "walk"
    with pytest.raises(VideoError, match=r"x\.json: expected a frame .*\(frame, img\), found none"):
        clocks.choose(["frame", "img"], "x.json")
    with pytest.raises(ValueError, match=r"x\.json: expected the videos \(--videos\) to tell"):
        VideoClocks(None, 25.0, 0.0).choose(["frame", "walk"], "x.json")


def test_a_damaged_file_is_not_counted_past_the_damage(synthetic: Path, tmp_path: Path) -> None:
    data = bytearray((synthetic / "videos/train_00000.mp4").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    (tmp_path / "bad.mp4").write_bytes(data)
    with pytest.raises(
        VideoError, match=r"bad\.mp4: damaged, so frames cannot be counted beyond \d+"
    ):
        read_clock(tmp_path / "bad.mp4", 0.0)
