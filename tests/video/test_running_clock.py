"""Clocks that start again, jump or are missing: every frame is there, once, at a moment of its
own.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ava_det.inference.predictor import Predictor
from ava_det.video.declared_end import holds_another_file
from ava_det.video.decoding import FrameDecoder
from ava_det.video.file import VideoReader
from ava_det.video.writer import VideoWriter
from tests.support.numbered_video import draw_number, read_number, write_numbered_video
from tests.support.scripted_predictor import ScriptedDetector, make_predictor

FPS = 25
WITH_B = {"g": "25", "bf": "3"}


def write_part(
    path: Path, first: int, count: int, begin: float = 0.0, codec: str = "libx264"
) -> bytes:
    """A recording of `count` frames from number `first` on, whose clock begins at `begin`
    seconds.
    """
    rate = FPS
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            codec, rate=rate, options=WITH_B if codec == "libx264" else {"g": "12"}
        )
        stream.width = 64
        stream.height = 48
        stream.pix_fmt = "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(draw_number(first + number), format="rgb24")
            frame.pts = round(begin * rate) + number
            frame.time_base = Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def check_numbers(path: Path, count: int) -> VideoReader:
    """Frames 0, 1, ... each 1 / FPS s after the one before, in one pass and by seeking."""
    with VideoReader(path) as reader:
        moments, pictures = zip(*reader.frames(), strict=True)
        np.testing.assert_allclose(moments, np.arange(count) / FPS, atol=2e-3)
        assert [read_number(picture) for picture in pictures] == [
            index % 256 for index in range(count)
        ]
        assert reader.find_end() == pytest.approx(count / FPS, abs=0.01)
        assert reader.lost == ()
        assert len(reader.frame_seconds()) == count
    with VideoReader(path) as reader:
        for index in np.random.default_rng(0).permutation(count)[:12].tolist():
            reader.release_buffers()
            assert read_number(reader.read([index / FPS])[0]) == index % 256
    return reader


@pytest.mark.parametrize(
    ("begin", "suffix", "codec"),
    [
        ((0.0, 0.0), "ts", "libx264"),
        ((0.0, 500.0), "ts", "libx264"),
        ((500.0, 0.0), "ts", "libx264"),
        ((0.0, 0.0, 0.0), "mpg", "mpeg2video"),
        ((0.0, 0.0), "mkv", "libx264"),
        ((0.0, 0.0), "webm", "libvpx"),
    ],
)
def test_joined_recordings_go_on_over_the_join(
    tmp_path: Path, begin: tuple[float, ...], suffix: str, codec: str
) -> None:
    joined = tmp_path / f"joined.{suffix}"
    parts = [
        write_part(tmp_path / f"{number}.{suffix}", 60 * number, 60, start, codec)
        for number, start in enumerate(begin)
    ]
    joined.write_bytes(b"".join(parts))
    [note] = check_numbers(joined, 60 * len(parts)).notes
    more = " and in 1 more places" if len(parts) == 3 else ""
    assert note.startswith(f"its clock starts again or jumps at 2.4 s{more}")


def test_a_playlist_with_a_break(tmp_path: Path) -> None:
    for number, begin in enumerate((300.0, 0.0)):
        write_part(tmp_path / f"{number}.ts", 50 * number, 50, begin)
    path = tmp_path / "list.m3u8"
    path.write_text(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n0.ts\n"
        "#EXT-X-DISCONTINUITY\n#EXTINF:2.0,\n1.ts\n#EXT-X-ENDLIST\n"
    )
    check_numbers(path, 100)


def test_a_recording_of_one_part_is_read_as_before(tmp_path: Path) -> None:
    """Gaps in its clock are true, up to those that no recording has."""
    path = tmp_path / "gap.ts"
    moments = [
        Fraction(index, FPS) for index in [*range(25), *range(150, 175)]
    ]  # five seconds without a frame
    write_numbered_video(path, moments, options=WITH_B, rate=FPS)
    with VideoReader(path) as reader:
        assert reader.notes == ()
        assert [moment for moment, _ in reader.frames()][25] == pytest.approx(6.0)


@pytest.mark.parametrize("suffix", ["avi", "h264", "mp4"])
def test_frames_without_times_of_their_own_keep_their_order(tmp_path: Path, suffix: str) -> None:
    """An AVI has no presentation times; a copy of it has made up ones; a raw stream has none at
    all.
    """
    path = tmp_path / f"video.{'h264' if suffix == 'h264' else 'avi'}"
    write_part(path, 0, 60)
    if suffix == "mp4":
        path = copy_as_read(path, tmp_path / "copy.mp4")
    reader = check_numbers(path, 60)
    assert reader.fps == FPS
    expected_notes = [f"holds no times: its frames are counted, {FPS} a second"]
    assert list(reader.notes) == (expected_notes if suffix == "h264" else [])


def copy_as_read(source: Path, target: Path) -> Path:
    """As `ffmpeg -i source -c copy target`: packets with the times of their decoding."""
    with av.open(str(source)) as given, av.open(str(target), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.pts = packet.dts
                packet.stream = stream
                container.mux(packet)
    return target


def test_the_rate_of_digital_video_is_not_that_of_its_clock(tmp_path: Path) -> None:
    path = tmp_path / "tape.dv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("dvvideo", rate=25)
        stream.width = 720
        stream.height = 576
        stream.pix_fmt = "yuv420p"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(draw_number(number, 720, 576), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    with VideoReader(path) as reader:
        assert (reader.fps, reader.frame_rate, reader.stored_size) == (25, 25, (720, 576))
        assert len(list(reader.frames())) == 10


def write_with_empty_packets(path: Path, count: int, empty: set[int]) -> None:
    """VP8 whose packets `empty` hold nothing: the frame before is shown once more."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libvpx", rate=FPS, options={"deadline": "realtime", "cpu-used": "8"}
        )
        stream.width = 64
        stream.height = 48
        stream.pix_fmt = "yuv420p"
        for number in range(count):
            if number in empty:
                packet = av.Packet(0)
                packet.pts = packet.dts = number
                packet.time_base = Fraction(1, FPS)
                packet.stream = stream
                container.mux(packet)
                continue
            frame = av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")
            frame.pts = number
            frame.time_base = Fraction(1, FPS)
            container.mux(stream.encode(frame))


def test_an_empty_packet_shows_its_frame_again(tmp_path: Path) -> None:
    path = tmp_path / "still.nut"
    write_with_empty_packets(path, 30, set(range(1, 10)) | {20})
    with VideoReader(path) as reader:
        moments, pictures = zip(*reader.frames(), strict=True)
        assert len(reader.frame_seconds()) == 30
        assert reader.lost == ()
    np.testing.assert_allclose(moments, np.arange(30) / FPS, atol=1e-3)
    assert [read_number(picture) for picture in pictures] == [0] * 10 + [
        *range(10, 20),
        19,
        *range(21, 30),
    ]


def test_an_error_of_the_decoder_is_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "video.mp4"
    write_numbered_video(
        path, [Fraction(i, FPS) for i in range(100)], options={"g": "10", "bf": "0"}, rate=FPS
    )
    original = FrameDecoder._packets

    class Failing:
        """A packet whose decoding fails in another way than by invalid data."""

        size = 1
        dts = 0
        pts = 0

        def decode(self) -> list[av.VideoFrame]:
            raise av.error.ArgumentError(22, "Invalid argument")

    def with_one_bad(decoder: FrameDecoder):  # type: ignore[no-untyped-def]
        for number, item in enumerate(original(decoder)):
            yield (Failing(), False) if number == 45 else item

    monkeypatch.setattr(FrameDecoder, "_packets", with_one_bad)
    with VideoReader(path) as reader:
        numbers = [read_number(picture) for _, picture in reader.frames()]
        after = numbers[45]  # the next key picture
        assert numbers == [*range(45), *range(after, 100)]
        assert 45 < after <= 50
        assert len(reader.lost) == 1


def test_something_behind_a_matroska_file_is_seen(tmp_path: Path) -> None:
    part = write_part(tmp_path / "part.mkv", 0, 30)
    (tmp_path / "joined.mkv").write_bytes(part * 2)
    found = [
        holds_another_file(tmp_path / name, "matroska,webm") for name in ("part.mkv", "joined.mkv")
    ]
    assert found == [False, True]
    (tmp_path / "cut.mkv").write_bytes(part[:3])
    assert not holds_another_file(tmp_path / "cut.mkv", "matroska,webm")


def test_it_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "joined.ts"
    part = write_part(tmp_path / "part.ts", 0, 50)
    path.write_bytes(part * 2)
    predictor: Predictor = make_predictor(ScriptedDetector({}))
    assert len(list(predictor(path))) == 4
    assert capsys.readouterr().err.count(f"warning: {path}: its clock starts again") == 1


def test_sound_goes_on_over_the_join(tmp_path: Path) -> None:
    part = tmp_path / "part.ts"
    with av.open(str(part), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options=WITH_B)
        video.width = 64
        video.height = 48
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        for number in range(50):
            container.mux(video.encode(av.VideoFrame.from_ndarray(draw_number(number), "rgb24")))
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 640), np.float32), "fltp", "mono")
            sound.rate = 16_000
            sound.pts = 640 * number
            container.mux(audio.encode(sound))
        container.mux(video.encode())
        container.mux(audio.encode())
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part.read_bytes() * 2)
    with VideoReader(joined) as reader:
        sound_of = (joined, reader.clock_start)
        with VideoWriter(tmp_path / "out.mp4", 64, 48, FPS, sound_of) as writer:
            for moment, picture in reader.frames():
                writer.write(picture, moment)
    assert writer.sound_fault is None
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.audio[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(4, abs=0.2)
