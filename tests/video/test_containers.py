"""Files by names of any kind, and which video stream of a file is read."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest

from ava_det.video.containers import is_video_container
from ava_det.video.folder import open_video
from ava_det.video.reader import VideoError
from ava_det.video.writer import VideoWriter
from tests.support.video_streams import BLUE, RED, write_streams


def read_color(path: Path, stream: int | None = None) -> tuple[int, str | None]:
    """Number of frames, what was said about the choice; the color is checked to be one of two."""
    with open_video(path, stream=stream) as reader:
        frames = [frame for _, frame in reader.frames()]
        red, _, blue = frames[0].reshape(-1, 3).mean(axis=0)
        assert max(red, blue) > 150
        return len(frames) if blue > red else -len(frames), next(iter(reader.notes), None)


@pytest.mark.parametrize("container", ["mkv", "mov", "mp4"])
@pytest.mark.parametrize("covers", [set(), {0}])
def test_a_cover_is_no_film(tmp_path: Path, container: str, covers: set[int]) -> None:
    path = tmp_path / f"film.{container}"
    write_streams(path, [RED, BLUE], ["mjpeg", "mpeg4"], covers)
    assert read_color(path) == (5, None)
    assert read_color(path, 0)[0] == -1 or covers  # FFmpeg may list a cover last


def test_a_film_of_pictures_alone_is_read(tmp_path: Path) -> None:
    path = write_streams(tmp_path / "film.avi", [BLUE], ["mjpeg"])
    assert read_color(path) == (1, None)


def test_of_two_cameras_the_first_is_taken_and_said_or_the_chosen_one(tmp_path: Path) -> None:
    path = write_streams(tmp_path / "two.mkv", [RED, BLUE], ["mpeg4", "mpeg4"])
    frames, choice = read_color(path)
    assert frames == -5
    assert choice is not None
    assert choice.startswith("holds several video streams (0: mpeg4 64x48; 1: mpeg4 64x48): 0 is")
    assert read_color(path, 0) == (-5, None)
    assert read_color(path, 1) == (5, None)
    for wrong in (2, -1):
        with pytest.raises(VideoError, match=rf"1: mpeg4 64x48\), received stream {wrong}"):
            open_video(path, stream=wrong)
    with pytest.raises(VideoError, match="folder of pictures has no video stream"):
        open_video(tmp_path, stream=0)


def test_a_stream_without_a_decoder_is_a_sentence(tmp_path: Path) -> None:
    path = write_streams(tmp_path / "film.mp4", [BLUE], ["libx264"])
    path.write_bytes(path.read_bytes().replace(b"avc1", b"evc1").replace(b"avcC", b"evcC"))
    with pytest.raises(VideoError, match=r"film\.mp4: "):
        open_video(path)


NAMES = [
    "2024-01-01T12:30:05.mp4",
    "file:a.mp4",
    "concat:b.mp4",
    "-dash.mp4",
    "50%.mp4",
    "%03d.mp4",
    "with space.mp4",
    "日本語 видео é.mp4",
    "new\nline.mp4",
    "q?m*[x].mp4",
    os.fsdecode(b"latin\xe9.mp4"),
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_is_written_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(
        tmp_path
    )  # a relative name: FFmpeg takes what stands before a colon for a protocol
    with VideoWriter(name, 64, 48, 10) as writer:
        for index in range(3):
            writer.write(np.full((48, 64, 3), 90, np.uint8), index / 10)
    assert os.listdir() == [name]
    with open_video(name) as reader:
        assert len(list(reader.frames())) == 3
    assert is_video_container(name)


def test_titles_in_other_encodings_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "caf\u00e9"
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), "rgb24")
        container.mux([*stream.encode(picture), *stream.encode()])
    path.write_bytes(path.read_bytes().replace("caf\u00e9".encode(), b"caf\xe9!"))
    with open_video(path) as reader:
        assert len(list(reader.frames())) == 1
