"""Which frames a clip is made of, against pictures that ffmpeg extracts as the published weights'
recipes did.
"""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from ava_det.config import load_config
from ava_det.data.build import build_clip_reader
from ava_det.data.clip_reader import ClipReader
from ava_det.data.sampling import (
    compute_audio_lead,
    compute_clip_ticks,
    compute_grid_moments,
    compute_grid_origin,
    compute_pictures,
)
from ava_det.video.file import VideoReader
from ava_det.video.reader import VideoError
from tests.support.numbered_video import read_number, write_numbered_video

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="needs ffmpeg on the command line"
)

FILM = Fraction(24000, 1001)
NTSC = Fraction(30000, 1001)
RATES = {"23.976": FILM, "25": Fraction(25), "29.97": NTSC, "30": Fraction(30)}
CLIP = compute_clip_ticks(32, 2)
CUT = 3.01  # between two frames at every rate, as 900 s is in most movies
NUM_PICTURES = 120

# MMAction2's cut of a Matroska file with sound has its frames 3 ms late, and rounded to
# milliseconds: ffmpeg then fills a third of the gaps with the frame before instead of the one
# after, which at 25 fps can be every sixth picture.
AGREEMENT = {("mmaction2", "mkv", True): 0.83}


def ffmpeg(*arguments: object) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True, timeout=120)


def write_movie(path: Path, rate: Fraction, with_audio: bool) -> None:
    silent = path.with_name(f"silent{path.suffix}") if with_audio else path
    count = int((CUT + NUM_PICTURES / 30 + 1) * rate)
    write_numbered_video(
        silent, [i / rate for i in range(count)], rate=rate, options={"preset": "ultrafast"}
    )
    if with_audio:
        sound = ("-f", "lavfi", "-i", f"anullsrc=r=44100:d={float(count / rate)}")
        ffmpeg("-i", silent, *sound, "-c:v", "copy", "-c:a", "aac", path)


def extract(movie: Path, folder: Path, grid: str) -> tuple[list[int], Path]:
    """The two published steps: the source frame of every picture, and the cut file."""
    cut = folder / f"cut{movie.suffix}"
    rate = ("-r", 30) if grid == "mmaction2" else ()
    ffmpeg("-ss", CUT, "-t", 901, "-i", movie, *rate, "-strict", "experimental", cut)
    ffmpeg("-i", cut, "-r", 30, "-q:v", 1, folder / "%06d.jpg")
    pictures = sorted(folder.glob("*.jpg"))[:NUM_PICTURES]
    return [read_number(np.asarray(cv2.imread(str(path)))) for path in pictures], cut


def read_grid(movie: Path, grid: str, start_second: float = 0.0) -> list[int]:
    """The source frame of every picture, one-frame clips through the reader that datasets and the
    predictor use.
    """
    clips = ClipReader(1, 1, 30.0, np.arange(1), None, grid, CUT)
    shift = 1 if grid == "mmaction2" else 0  # MMAction2's keyframe is one picture later
    with VideoReader(movie, start_second) as reader:
        moments = [CUT + (picture - shift) / 30 for picture in range(shift, NUM_PICTURES)]
        return [read_number(clips.read(reader, moment, None).frames[0]) for moment in moments]


@needs_ffmpeg
@pytest.mark.parametrize("with_audio", [False, True], ids=["silent", "sound"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("grid", ["pyslowfast", "mmaction2"])
def test_every_picture_is_the_extracted_one(
    tmp_path: Path, grid: str, rate: str, suffix: str, with_audio: bool
) -> None:
    movie = tmp_path / f"movie.{suffix}"
    write_movie(movie, RATES[rate], with_audio)
    expected, _ = extract(movie, tmp_path, grid)
    assert len(expected) == NUM_PICTURES
    ours = read_grid(movie, grid)
    expected = expected[-len(ours) :]
    agreement = np.mean(np.array(ours) == expected)
    assert agreement >= AGREEMENT.get((grid, suffix, with_audio), 1.0)
    assert np.abs(np.array(ours) - expected).max() <= 1


@needs_ffmpeg
@pytest.mark.parametrize("with_audio", [False, True], ids=["silent", "sound"])
def test_a_movie_and_its_cut_give_the_same_pictures(tmp_path: Path, with_audio: bool) -> None:
    movie = tmp_path / "movie.mp4"
    write_movie(movie, FILM, with_audio)
    expected, cut = extract(movie, tmp_path, "pyslowfast")
    assert read_grid(cut, "pyslowfast", start_second=CUT) == expected


def pictures(
    grid: str, times: list[Fraction], cut: float, rate: Fraction, has_audio: bool, count: int
) -> list[int]:
    """The frame of each picture from compute_* alone: one-frame clips at successive keyframes."""
    first = next(time for time in times if time >= cut)
    origin = compute_grid_origin(grid, first, Fraction(cut), rate, has_audio, ".mp4")
    moments = [
        compute_grid_moments(grid, origin, cut, cut + k / 30, np.arange(1))[0] for k in range(count)
    ]
    return [next(index for index, time in enumerate(times) if time >= moment) for moment in moments]


@pytest.mark.parametrize(
    ("grid", "rate", "has_audio", "expected"),
    # the first frame of a film at 23.976 after 900 s lies 24 ms after it: slots 0.72, 1.98, 3.23,
    # 4.48, 5.73, ...
    [
        ("pyslowfast", FILM, False, [0, 1, 2, 2, 3, 4, 5, 6, 6, 7]),
        ("pyslowfast", FILM, True, [0, 0, 1, 1, 2, 3, 4, 5, 5, 6]),
        ("mmaction2", FILM, False, [1, 2, 3, 4, 4, 5, 6, 7, 8, 8]),
        ("mmaction2", FILM, True, [0, 1, 2, 3, 4, 4, 5, 6, 7, 8]),
        # every fourth on a boundary
        ("pyslowfast", Fraction(24), False, [0, 1, 2, 2, 3, 4, 5, 6, 6, 7]),
        ("mmaction2", Fraction(24), True, [1, 2, 2, 3, 4, 5, 6, 6, 7, 8]),
        ("pyslowfast", Fraction(25), True, [0, 1, 2, 3, 3, 4, 5, 6, 7, 8]),
        ("pyslowfast", Fraction(30), True, list(range(10))),
        ("mmaction2", Fraction(30), True, list(range(1, 11))),
    ],
)
def test_known_pictures(grid: str, rate: Fraction, has_audio: bool, expected: list[int]) -> None:
    times = [i / rate for i in range(int(900 * rate) - 5, int(901 * rate))]
    first = next(index for index, time in enumerate(times) if time >= 900)
    assert [
        index - first for index in pictures(grid, times, 900.0, rate, has_audio, 10)
    ] == expected


@pytest.mark.parametrize(
    # where ffmpeg 5.1 puts the first frame of an .mkv with Vorbis of that rate
    ("audio_rate", "milliseconds"),
    [
        (8000, 32),
        (11025, 23),
        (16000, 16),
        (22050, 12),
        (24000, 11),
        (32000, 4),
        (44100, 3),
        (48000, 3),
    ],
)
def test_sound_of_a_cut_matroska_file_begins_before_its_pictures(
    audio_rate: int, milliseconds: int
) -> None:
    assert compute_audio_lead("pyslowfast", ".mkv", audio_rate) == Fraction(milliseconds, 1000)
    assert compute_audio_lead("pyslowfast", ".mp4", audio_rate) == 0
    assert compute_audio_lead("mmaction2", ".mkv", audio_rate) == 0


def test_a_frame_that_whole_milliseconds_put_early_still_becomes_a_picture() -> None:
    """Measured at 29.97 fps in a Matroska file with sound, where frame and picture drift past each
    other.
    """
    pictures = compute_pictures(NTSC, 1, 1000, Fraction(3, 1000), 30_000)
    # one frame twice, then one behind
    assert pictures[396:418].tolist() == [396, 397, *range(397, 417)]
    assert np.bincount(np.diff(pictures)).tolist()[2:] == []  # none is left out
    film = compute_pictures(FILM, 0, None, Fraction(0), 30_000)
    assert film[:6].tolist() == [0, 1, 2, 2, 3, 4]
    fast = compute_pictures(Fraction(60), 0, None, Fraction(0), 30_000)
    assert fast[:4].tolist() == [0, 1, 3, 5]


def test_a_clip_is_pictures_around_the_keyframe() -> None:
    origin = compute_grid_origin(
        "pyslowfast", Fraction(900), Fraction(900), Fraction(30), True, ".mp4"
    )
    moments = compute_grid_moments("pyslowfast", origin, 900.0, 902.0, CLIP)
    assert moments == [
        Fraction(900) + (Fraction(picture) - Fraction(1, 2)) / 30 for picture in range(28, 92, 2)
    ]
    early = compute_grid_moments("pyslowfast", origin, 900.0, 900.0, CLIP)
    assert early[:17] == [Fraction(900)] * 17  # no picture before the first
    late = compute_grid_moments("mmaction2", origin, 900.0, 902.0, CLIP)
    assert [b - a for a, b in zip(moments, late, strict=True)] == [Fraction(1, 30)] * 32


def test_the_end_of_the_file_repeats_its_last_frame(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(i, 30) for i in range(40)])
    clips = ClipReader(8, 4, 30.0, np.arange(8), None, "pyslowfast", 0.0)
    with VideoReader(path) as reader:
        frames = clips.read(reader, 1.0, None).frames
    assert [read_number(frame) for frame in frames] == [14, 18, 22, 26, 30, 34, 38, 39]


def test_reading_the_grid_is_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(i, 25) for i in range(200)], options={"g": "250"}, rate=25)
    decoded = 0
    original = VideoReader._decode_next

    def counting(reader: VideoReader) -> bool:
        nonlocal decoded
        more = original(reader)
        decoded += more
        return more

    monkeypatch.setattr(VideoReader, "_decode_next", counting)
    clips = ClipReader(16, 4, 30.0, np.arange(16), None, "mmaction2", 0.0)
    with VideoReader(path) as reader:
        for second in range(8):
            clips.read(reader, second, None)
    assert decoded == 200


@pytest.mark.parametrize(
    ("start", "keyframe", "sentence"),
    [
        (900.0, 2.0, "expected no keyframe before it, received 2"),
        (900.0, 902.0, "expected a video that reaches it"),
    ],
)
def test_a_video_outside_the_grid_is_named(
    tmp_path: Path, start: float, keyframe: float, sentence: str
) -> None:
    path = tmp_path / "short.mp4"
    write_numbered_video(path, [Fraction(i, 30) for i in range(10)])
    clips = ClipReader(4, 4, 30.0, np.arange(4), None, "pyslowfast", start)
    with VideoReader(path) as reader, pytest.raises(VideoError, match=rf"short\.mp4: .*{sentence}"):
        clips.read(reader, keyframe, None)


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("ava/pyslowfast/SLOWFAST_32x2_R101_50_50", "pyslowfast"),
        ("ava/mmaction2/slowonly_r50_16x4_tricks", "mmaction2"),
        ("ava/slowfast_r50_4x16", "seconds"),
    ],
)
def test_the_grid_of_a_config_reaches_the_reader(name: str, grid: str) -> None:
    reader = build_clip_reader(load_config(f"configs/{name}.yaml", ["data.grid_start_second=3"]))
    assert (reader.frame_grid, reader.grid_start_second) == (grid, 3.0)
