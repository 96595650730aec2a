"""Whole movies, cut at 900 s by ffmpeg as PySlowFast's recipe has it: the same source frames, the
same pixels.

Slow: every movie has a quarter of an hour of frames before its cut.
"""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ava_det.data.clip_reader import ClipReader
from ava_det.video.file import VideoReader
from ava_det.video.folder import FrameFolder
from ava_det.video.reader import FrameReader
from tests.support.numbered_video import STRIPES, read_number

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg on the command line"),
]

CUT = 900
END = 952
WIDTH = 128
HEIGHT = 96  # the upper half carries the number, the lower a moving picture
RATES = {
    "23.976": Fraction(24000, 1001),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
    "30": Fraction(30),
}
# Samples a second, None for a silent movie; 44100 in all others.
SOUND = {("24", "mkv"): None, ("30", "mp4"): None, ("25", "mkv"): 16_000, ("29.97", "mkv"): 48_000}
TAGGED = {"23.976", "25", "30"}  # BT.709; the others have no tag


def ffmpeg(*arguments: object) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True, timeout=600)


def draw_planes(number: int) -> np.ndarray:
    """A yuv420p picture, uint8 [1.5 H, W]: eight stripes that say the number, soft waves of color
    below.
    """
    luma = np.empty((HEIGHT, WIDTH), np.uint8)
    bits = [(number >> bit) & 1 for bit in range(STRIPES)]
    luma[: HEIGHT // 2] = np.repeat(np.array(bits, np.uint8) * 219 + 16, WIDTH // STRIPES)
    y, x = np.mgrid[: HEIGHT // 2, :WIDTH]
    luma[HEIGHT // 2 :] = 126 + 60 * np.sin(x / 9 + number / 7) * np.cos(y / 6)
    chroma = 128 + 40 * np.sin(np.arange(WIDTH * HEIGHT // 2) / 500 + number / 11)
    # the stripes stay gray
    chroma[: len(chroma) // 4] = chroma[len(chroma) // 2 : -len(chroma) // 4] = 128
    return np.concatenate([luma.ravel(), chroma.astype(np.uint8)]).reshape(HEIGHT * 3 // 2, WIDTH)


def write_movie(path: Path, rate: Fraction, tagged: bool, audio_rate: int | None) -> None:
    """Frames 0 to END seconds; those before the cut, which nobody sees, are all alike."""
    silent = path.with_name("silent.mp4")
    with av.open(str(silent), "w") as container:
        stream = container.add_stream(
            "libx264", rate=rate, options={"preset": "veryfast", "crf": "15"}
        )
        stream.width = WIDTH
        stream.height = HEIGHT
        stream.pix_fmt = "yuv420p"
        if tagged:
            stream.codec_context.colorspace = av.video.reformatter.Colorspace.ITU709
        blank = draw_planes(0)
        for number in range(int(END * rate)):
            planes = draw_planes(number) if number / rate > CUT - 2 else blank
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = number
            frame.time_base = 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    sound = (
        ["-f", "lavfi", "-i", f"anullsrc=r={audio_rate}:d={END}", "-c:a", "aac"]
        if audio_rate
        else []
    )
    ffmpeg("-i", silent, *sound, "-c:v", "copy", path)
    silent.unlink()


def extract(movie: Path) -> Path:
    """The two published steps; the folder of pictures."""
    folder = movie.parent / "frames" / movie.stem
    cut = movie.parent / f"cut{movie.suffix}"
    folder.mkdir(parents=True)
    ffmpeg("-ss", CUT, "-t", 901, "-i", movie, "-strict", "experimental", cut)
    ffmpeg("-i", cut, "-r", 30, "-q:v", 1, folder / f"{movie.stem}_%06d.jpg")
    return folder


def number_of(picture: np.ndarray) -> int:
    return read_number(picture[: HEIGHT // 2])


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("rate", RATES)
def test_a_whole_movie_gives_the_frames_and_pixels_of_its_jpegs(
    tmp_path: Path, rate: str, suffix: str
) -> None:
    movie = tmp_path / f"movie.{suffix}"
    write_movie(movie, RATES[rate], rate in TAGGED, SOUND.get((rate, suffix), 44_100))
    folder = extract(movie)
    extracted = [
        number_of(np.asarray(cv2.imread(str(path)))) for path in sorted(folder.glob("*.jpg"))
    ]
    assert len(extracted) > 30 * (END - CUT - 1)

    def read(reader: FrameReader, clips: ClipReader, timestamp: float) -> np.ndarray:
        return clips.read(reader, timestamp, None).frames

    one = ClipReader(1, 1, 30.0, np.arange(1), None, "pyslowfast", frame_color="bt601")
    count = 30 * (END - CUT - 2)
    with VideoReader(movie) as reader:
        ours = [number_of(read(reader, one, CUT + k / 30)[0]) for k in range(count)]
    same = np.mean(np.array(ours) == extracted[:count])
    print(f"{rate} {suffix}: {same:.4%} of {count} pictures are the same frame")
    assert same >= 0.999

    clip = ClipReader(32, 2, 30.0, np.arange(32), None, "pyslowfast", frame_color="bt601")
    differences = []
    agreement = []
    with VideoReader(movie) as reader, FrameFolder(folder, start_second=CUT) as pictures:
        for second in range(CUT + 2, END - 3):
            from_movie = read(reader, clip, second)
            from_pictures = read(pictures, clip, second)
            numbers = [
                [number_of(picture) for picture in part] for part in (from_movie, from_pictures)
            ]
            # the keyframe
            assert numbers[0][16] == numbers[1][16] == extracted[30 * (second - CUT)]
            agreement.append(np.mean(np.equal(numbers[0], numbers[1])))
            differences.append(np.abs(from_movie.astype(int) - from_pictures)[:, HEIGHT // 2 :])
    print(
        f"{rate} {suffix}: clips {np.mean(agreement):.4%}, pixel difference "
        f"{np.median(differences)}"
    )
    assert np.mean(agreement) >= 0.999
    assert np.median(differences) <= 2
