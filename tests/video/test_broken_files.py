"""Files that are cut, damaged or hold no picture: what is there is read, what is not is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from ava_det.data.clip_reader import ClipReader
from ava_det.data.dataset import ClipDataset
from ava_det.data.transforms import Augmentation
from ava_det.structures import Keyframe
from ava_det.video.file import VideoReader
from ava_det.video.reader import VideoError
from ava_det.video.sources import find_videos
from tests.support.numbered_video import draw_number, read_number, write_numbered_video

KEY_PICTURES = {"g": "25", "bf": "0"}


def damage(path: Path, first: float, last: float) -> None:
    """Overwrites a share of the file with noise."""
    content = bytearray(path.read_bytes())
    first = int(first * len(content))
    last = int(last * len(content))
    content[first:last] = np.random.default_rng(0).bytes(last - first)
    path.write_bytes(content)


def read_seconds(folder: Path, seconds: int) -> tuple[dict[int, int], dict[int, str]]:
    """One-frame clips at whole seconds of the folder's only video: frame number, or the reason why
    there is none.
    """
    keyframes = [
        Keyframe("video", float(t), torch.zeros(0, 4), None, torch.zeros(0)) for t in range(seconds)
    ]
    clips = ClipReader(1, 1, 30.0, np.arange(1), None)
    dataset = ClipDataset(keyframes, find_videos(folder), 0.0, clips, lambda _: Augmentation(48), 0)
    numbers = {}
    reasons = {}
    for second in range(seconds):
        try:
            numbers[second] = read_number(dataset.read(second, 0).frames[0].numpy())
        except VideoError as error:
            reasons[second] = str(error)
    return numbers, reasons


def test_a_damaged_stretch_costs_its_own_clips(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(i, 25) for i in range(250)], options=KEY_PICTURES, rate=25)
    damage(path, 0.4, 0.6)
    numbers, reasons = read_seconds(tmp_path, 10)
    assert {0, 1, 2, 9} <= set(numbers)
    assert all(abs(number - 25 * second) <= 12 for second, number in numbers.items())
    assert len(reasons) >= 2
    assert all("video.mp4: damaged around" in reason for reason in reasons.values())


def test_a_file_cut_short_loses_what_its_header_promises(tmp_path: Path) -> None:
    whole = tmp_path / "whole" / "video.mkv"
    whole.parent.mkdir()
    write_numbered_video(
        whole, [Fraction(i, 25) for i in range(250)], options=KEY_PICTURES, rate=25
    )
    path = tmp_path / "video.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with VideoReader(path) as reader:
        assert reader.find_end() == pytest.approx(10, abs=0.1)  # the header's word
    numbers, reasons = read_seconds(tmp_path, 10)
    assert numbers[0] == 0
    assert numbers[2] == 50
    assert set(reasons) >= {6, 7, 8, 9}
    assert all("expected keyframes within 0.." in reason for reason in reasons.values())
    # at most a second past the end
    assert all(number - 25 * second >= -25 for second, number in numbers.items())


def test_a_gap_in_a_sound_file_holds_its_frame(tmp_path: Path) -> None:
    # 4 s without a frame, as screen recordings
    moments = [Fraction(i, 25) for i in [*range(25), *range(125, 150)]]
    write_numbered_video(tmp_path / "video.mp4", moments, options=KEY_PICTURES, rate=25)
    numbers, reasons = read_seconds(tmp_path, 6)
    assert numbers == {0: 0, 1: 24, 2: 24, 3: 25, 4: 25, 5: 25}
    assert reasons == {}


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 8000), np.float32), format="fltp", layout="mono"
        )
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match=r"sound\.mkv: holds no video stream"):
        VideoReader(path)


def test_of_two_video_streams_the_first_is_read(tmp_path: Path) -> None:
    path = tmp_path / "video.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width = 64
            stream.height = 48
            stream.pix_fmt = "yuv420p"
        for index in range(50):
            for stream, number in zip(streams, (index, 200 - index), strict=True):
                frame = av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")
                frame.pts = index
                frame.time_base = Fraction(1, 25)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    with VideoReader(path) as reader:
        assert [read_number(picture) for picture in reader.read([0.0, 1.0, 1.96])] == [0, 25, 49]


def test_a_file_without_a_duration_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "video.mkv"
    write_numbered_video(path, [Fraction(i, 25) for i in range(50)], options=KEY_PICTURES, rate=25)
    live = tmp_path / "live.mkv"
    with av.open(str(path)) as source, av.open(str(live), "w", options={"live": "1"}) as target:
        copied = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
    with VideoReader(live) as reader:
        assert reader.duration is None
        assert reader.find_end() == pytest.approx(2, abs=0.05)
        assert read_number(reader.read([1.0])[0]) == 25


def test_a_clock_that_jumps_back_gives_no_moment_twice(tmp_path: Path) -> None:
    """As in recordings joined end to end: what comes after the jump is not read as an earlier
    moment.
    """
    part = tmp_path / "part.ts"
    write_numbered_video(part, [Fraction(i, 25) for i in range(50)], options=KEY_PICTURES, rate=25)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part.read_bytes() * 2)
    with VideoReader(joined) as reader:
        moments, pictures = zip(*reader.frames(), strict=True)
        assert list(moments) == sorted(set(moments))
        assert [read_number(picture) for picture in pictures[:50]] == list(range(50))
        assert [read_number(picture) for picture in reader.read([0.0, 0.4, 1.0])] == [0, 10, 25]
