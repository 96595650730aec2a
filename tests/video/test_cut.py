"""Pieces of videos: which frames are in them, and whether their packets are those of the source."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ava_det.video.cut import cut_video
from ava_det.video.reader import VideoError
from tests.support.numbered_video import draw_number, read_number, write_numbered_video

FPS = 10


def read_numbers(path: Path) -> list[tuple[int, float]]:
    """The number and the time of every frame."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [(read_number(frame.to_ndarray(format="rgb24")), float(frame.time)) for frame in frames]


def make_video(path: Path, codec: str = "libx264", every: int = 10, first: int = 3) -> Path:
    """first: where its clock begins."""
    moments = [Fraction(number, FPS) + first for number in range(100)]
    options = {"g": str(every), "bf": "2", "x264-params": "scenecut=0:open-gop=0"}
    options = options if codec == "libx264" else {"g": str(every)}
    write_numbered_video(path, moments, codec, options, rate=FPS)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_packets_are_copied_from_the_key_picture_before(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / f"s{suffix}")
    start, is_copied = cut_video(source, tmp_path / "c.mp4", 3.45, 5.0)
    assert (start, is_copied) == (pytest.approx(3.0, abs=2e-3), True)
    found = read_numbers(tmp_path / "c.mp4")
    assert [number for number, _ in found][:20] == list(range(30, 50))
    assert len(found) <= 23  # pictures after the end on which others depend
    assert [time for _, time in found][:20] == pytest.approx(np.arange(20) / FPS, abs=2e-3)
    with av.open(str(source)) as container:
        own = {bytes(packet) for packet in container.demux(video=0)}
    with av.open(str(tmp_path / "c.mp4")) as container:
        assert {bytes(packet) for packet in container.demux(video=0)} <= own


@pytest.mark.parametrize("kind", ["a.ts", "a.avi", "rare.mp4"])
def test_frames_are_encoded_where_packets_cannot_be_copied(tmp_path: Path, kind: str) -> None:
    """Clocks that jump, bad times, and a key picture more than five seconds before."""
    source = tmp_path / kind
    codec = "mpeg4" if kind == "a.avi" else "libx264"
    make_video(source, codec, every=100 if kind == "rare.mp4" else 10, first=0)
    start, is_copied = cut_video(source, tmp_path / "c.mp4", 7.5, 8.5)
    assert not is_copied
    found = read_numbers(tmp_path / "c.mp4")
    assert start == pytest.approx(7.5, abs=0.02)
    assert [number for number, _ in found] == list(range(75, 85))
    assert next(time for _, time in found) == 0


def test_a_folder_and_the_ends_of_a_video(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(60):
        cv2.imwrite(str(folder / f"f_{number:06d}.png"), draw_number(number)[:, :, ::-1])
    assert cut_video(folder, tmp_path / "c.mp4", 1.0, 1.5) == (1.0, False)
    assert [number for number, _ in read_numbers(tmp_path / "c.mp4")] == list(range(30, 45))
    source = make_video(tmp_path / "s.mp4")
    assert cut_video(source, tmp_path / "c.mp4", -5, 0.35)[0] == pytest.approx(0.0, abs=1e-3)
    assert [number for number, _ in read_numbers(tmp_path / "c.mp4")][:4] == [0, 1, 2, 3]
    cut_video(source, tmp_path / "c.mp4", 9.5, 99)
    assert [number for number, _ in read_numbers(tmp_path / "c.mp4")] == list(range(90, 100))


def test_sound_stays_beside_its_pictures(tmp_path: Path) -> None:
    """A beep at second 4 of a video with a key picture a second."""
    options = {"g": "10", "bf": "0", "x264-params": "scenecut=0"}
    for codec, is_copied in (("aac", True), ("pcm_s16le", False)):
        source = tmp_path / f"{codec}.mkv"
        with av.open(str(source), "w") as container:
            video = container.add_stream("libx264", rate=FPS, options=options)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            sound = container.add_stream(codec, rate=16000, layout="mono")
            for number in range(80):
                picture = av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")
                container.mux(video.encode(picture))
                wave = np.zeros((1, 1600), np.int16)
                if number == 40:
                    wave[:] = 20000 * np.sin(np.arange(1600) * 0.3)
                piece = av.AudioFrame.from_ndarray(wave, "s16", "mono")
                piece.sample_rate, piece.pts = 16000, number * 1600
                container.mux(sound.encode(piece))
            container.mux(video.encode())
            container.mux(sound.encode())
        assert cut_video(source, tmp_path / "c.mp4", 3.0, 6.0) == (3.0, is_copied)
        with av.open(str(tmp_path / "c.mp4")) as container:
            pieces = [(one.time, one.to_ndarray()) for one in container.decode(audio=0)]
        loud = [time for time, wave in pieces if np.abs(wave).max() > 0.1]
        assert 0.9 < loud[0] < 1.05 and loud[-1] < 1.2, (codec, loud)


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError):
        cut_video(tmp_path / "x.mp4", tmp_path / "c.mp4", 0, 1)
    assert not (tmp_path / "c.mp4").exists()
