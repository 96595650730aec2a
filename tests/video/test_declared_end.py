"""Files cut off at their end, or with another file behind it: what is not read is said."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from ava_det.video.containers import open_container
from ava_det.video.declared_end import describe_end
from ava_det.video.decoding import FrameDecoder
from ava_det.video.file import VideoReader
from ava_det.video.reader import VideoError
from tests.support.numbered_video import draw_number, read_number, write_numbered_video

NUM_FRAMES = 100
MOMENTS = [Fraction(number, 25) for number in range(NUM_FRAMES)]
KINDS = {
    "mp4": ("libx264", {"movflags": "faststart"}),
    "mov": ("libx264", {"movflags": "faststart"}),
    "mkv": ("libx264", {}),
    "webm": ("libvpx", {}),
    "avi": ("mpeg4", {}),
    "flv": ("flv", {}),
    "wmv": ("wmv2", {}),
    "ogv": ("libvpx", {}),
}


def write_kind(folder: Path, suffix: str, options: dict[str, str] | None = None) -> Path:
    """Writes four seconds of numbered frames into a container of that suffix.

    Args:
        folder: Where `whole.SUFFIX` is written.
        suffix: Of the file.
        options: Of the container; by default its index comes first where it has one.
    """
    codec, usual = KINDS[suffix]
    path = folder / f"whole.{suffix}"
    with av.open(str(path), "w", options=usual if options is None else options) as container:
        stream = container.add_stream(codec, rate=25, options={"g": "25", "bf": "0"})
        stream.width = 64
        stream.height = 48
        stream.pix_fmt = "yuv420p"
        for number in range(NUM_FRAMES):
            frame = av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")
            frame.pts = number
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def say_end(path: Path) -> list[str]:
    with open_container(path) as container:
        return describe_end(path, container.format.name)


@pytest.mark.parametrize("suffix", KINDS)
def test_a_file_cut_off_says_so(tmp_path: Path, suffix: str) -> None:
    path = write_kind(tmp_path, suffix)
    assert say_end(path) == []
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    (said,) = say_end(cut)
    assert "cut off" in said
    with VideoReader(cut) as reader:
        assert 0 < sum(1 for _ in reader.frames()) < NUM_FRAMES
        assert said in reader.notes


@pytest.mark.parametrize("suffix", ["mp4", "flv", "wmv"])
def test_a_file_behind_the_first_is_reported(tmp_path: Path, suffix: str) -> None:
    path = write_kind(tmp_path, suffix)
    joined = tmp_path / f"joined.{suffix}"
    joined.write_bytes(path.read_bytes() * 2)
    (said,) = say_end(joined)
    assert f"appended to it after {path.stat().st_size} bytes" in said
    with VideoReader(joined) as reader:
        assert sum(1 for _ in reader.frames()) == NUM_FRAMES


def test_joined_avi_files_are_read_to_the_end_of_the_last(tmp_path: Path) -> None:
    path = write_kind(tmp_path, "avi")
    joined = tmp_path / "joined.avi"
    joined.write_bytes(path.read_bytes() * 2)
    assert say_end(joined) == []
    with VideoReader(joined) as reader:
        assert reader.find_end() == pytest.approx(2 * NUM_FRAMES / 25, abs=0.05)
        numbers = [read_number(reader.read([number / 25])[0]) for number in (150, 20, 199, 100)]
        assert numbers == [50, 20, 99, 0]


def test_a_fragmented_recording_and_one_with_its_index_last_are_whole(tmp_path: Path) -> None:
    assert say_end(write_kind(tmp_path, "mp4", {"movflags": "frag_keyframe+empty_moov"})) == []
    assert say_end(write_kind(tmp_path, "mp4", {})) == []
    avi = write_kind(tmp_path, "avi")
    for length in (b"\xff" * 4, bytes(4)):  # of a recorder that never came to write it
        avi.write_bytes(avi.read_bytes()[:4] + length + avi.read_bytes()[8:])
        assert say_end(avi) == []
    live = write_kind(tmp_path, "mkv", {"live": "1"})
    live.write_bytes(live.read_bytes()[:-500])  # declares no length
    assert say_end(live) == []


def test_an_mp4_without_its_index_says_what_is_missing(tmp_path: Path) -> None:
    path = write_kind(tmp_path, "mp4", {})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoError, match=r"whole\.mp4: cannot be opened .*its index \(moov\)"):
        VideoReader(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "it is empty, or holds zeros only"),
        (bytes(5000), "it is empty, or holds zeros only"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "a pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html>", "it is a web page"),
        (b"nothing of the kind", "Invalid data"),
    ],
)
def test_a_file_that_is_no_video_says_what_it_is(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=rf"video\.mp4: cannot be opened .*{expected}"):
        VideoReader(path)


def test_a_missing_file_and_a_folder_keep_the_reason_of_ffmpeg(tmp_path: Path) -> None:
    for path in (tmp_path / "none.mp4", tmp_path):
        with pytest.raises(VideoError, match="cannot be opened as a video"):
            open_container(path)


def test_frames_whose_time_repeats_are_reported(tmp_path: Path) -> None:
    path = write_kind(tmp_path, "mp4", {"movflags": "frag_keyframe+empty_moov"})
    joined = tmp_path / "joined.mp4"
    joined.write_bytes(path.read_bytes() * 2)
    with VideoReader(joined) as reader:
        assert not any("repeats" in note for note in reader.notes)
        assert sum(1 for _ in reader.frames()) == NUM_FRAMES
        assert any(
            "repeats or goes back are left out, the first at 4.0 s" in n for n in reader.notes
        )


def test_joined_transport_streams_are_read_from_where_they_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going back opens nothing again and reads on from a key picture, as in a single file."""
    part = tmp_path / "part.ts"
    write_numbered_video(part, MOMENTS, options={"g": "25", "bf": "2"}, rate=25)
    path = tmp_path / "joined.ts"
    path.write_bytes(part.read_bytes() * 3)
    with VideoReader(path) as reader:
        read = []
        original = FrameDecoder._read

        def count(decoder: FrameDecoder, every_stream: bool = False) -> Iterator[Any]:
            for packet in original(decoder, every_stream):
                read.append(packet.pos)
                yield packet

        monkeypatch.setattr(FrameDecoder, "_read", count)
        monkeypatch.setattr(FrameDecoder, "reopen", None)
        for number in (290, 130, 210, 60, 280):
            assert read_number(reader.read([number / 25])[0]) == number % NUM_FRAMES
        assert len(read) < 5 * 40
