"""Computes the times of a clip's frames, and which of the frames the Slow pathway gets.

The time grid has `clip_fps` ticks a second with a tick on the keyframe. The Fast pathway takes
alpha * T frames that are tau / alpha ticks apart; the Slow pathway takes T of them. With T x tau =
4 x 16 and alpha = 8, by the policy "stride":

    ticks   -32 -30 -28 ...  -16 ...   0 ...  +16 ...  +30      (0 is the keyframe)
    fast      F   F   F  ...   F  ...   F  ...   F  ...   F      32 frames, 2 ticks apart
    slow      S               S        S        S                4 frames, 16 ticks apart
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ava_det.video.reader import EXTRACTED_FPS

# The grids of published weights: EXTRACTED_FPS pictures a second from where AVA movies are cut
# (`compute_grid_origin`).
EXTRACTED_GRIDS = ("pyslowfast", "mmaction2")

OPUS_LEAD = Fraction(14, 1000)
PICTURES_AT_ONCE = 30_000  # a movie cut from 900 to 1801 s has 27,030


def compute_clip_ticks(num_frames: int, stride: int) -> np.ndarray:
    """Computes the ticks of a clip's frames relative to the keyframe.

    The frames c - span // 2, c - span // 2 + stride, ... below c + span // 2, as the paper's
    released models read them.

    Args:
        num_frames: Frames of the clip.
        stride: Ticks between two frames.

    Returns:
        int64 [num_frames].
    """
    return np.arange(num_frames, dtype=np.int64) * stride - num_frames * stride // 2


def compute_slow_indices(num_fast_frames: int, alpha: int, policy: str) -> np.ndarray:
    """Chooses the Fast frames that the Slow pathway gets.

    Args:
        num_fast_frames: Frames of the Fast pathway.
        alpha: Fast frames for each Slow frame.
        policy: "stride" takes every alpha-th frame from the first (the paper, section 3.1).
            "linspace" takes frames evenly from the first to the last, rounded down, as in
            PySlowFast's training of its published weights (32 and 4 give 0, 4, 8, 13, 17, 22, 26,
            31).

    Returns:
        int64 [num_fast_frames // alpha], indices of Fast frames.
    """
    num_slow_frames = num_fast_frames // alpha
    if policy == "stride":
        return np.arange(num_slow_frames, dtype=np.int64) * alpha
    # float32, as torch.linspace computes it there: float64 rounds differently for some lengths
    return np.linspace(0, num_fast_frames - 1, num_slow_frames, dtype=np.float32).astype(np.int64)


def compute_flow_ticks(num_frames: int, stride: int, stack: int, gap: int) -> np.ndarray:
    """Computes the ticks at which the pairs of a clip's optical flow begin.

    A frame of the stream is a stack of fields, each of which begins where the one before it ends:
    from the tick t - (stack // 2) * gap on, around the frame's tick t. One field goes from t to
    t + gap; ten (Simonyan and Zisserman, 2014) from t - 5 to t + 5.

    Args:
        num_frames: Frames of the stream.
        stride: Ticks between two frames.
        stack: Fields of a frame.
        gap: Ticks between the two frames of a pair.

    Returns:
        int64 [num_frames * stack], the fields of a frame one after the other, relative to the
        keyframe.
    """
    fields = (np.arange(stack, dtype=np.int64) - stack // 2) * gap
    return (compute_clip_ticks(num_frames, stride)[:, None] + fields).reshape(-1)


def compute_clip_seconds(timestamp: float, ticks: np.ndarray, clip_fps: float) -> np.ndarray:
    """Computes the annotation times of ticks; some may lie outside the video.

    Args:
        timestamp: Annotation time of the keyframe, in seconds.
        ticks: int64 [T], relative to the keyframe.
        clip_fps: Ticks a second.

    Returns:
        float64 [T], seconds.
    """
    return timestamp + ticks / clip_fps


class GridOrigin(NamedTuple):
    """Describes where the grid of one movie begins, and how the file cut from it counts time.

    Attributes:
        zero: Annotation time that is 0 in the cut file, in seconds, exact.
        first_frame: Annotation time of the cut file's first frame, in seconds, exact.
        frame_clock: Where not None, the cut file's frames are those nearest to zero + n /
            frame_clock, from n = first_number on, and their times are n / frame_clock.
        first_number: The first n.
        file_clock: Where not None, the cut file's times are whole numbers of 1 / file_clock
            seconds.
        shift: Seconds added to the cut file's times.
    """

    zero: Fraction
    first_frame: Fraction
    frame_clock: Fraction | None = None
    first_number: int = 0
    file_clock: int | None = None
    shift: Fraction = Fraction(0)

    def find_moment(self, picture: int) -> Fraction:
        """Returns the time at or after which the first frame becomes `picture`."""
        if self.frame_clock is None:
            return self.zero + (picture - Fraction(1, 2)) / EXTRACTED_FPS
        count = PICTURES_AT_ONCE * (picture // PICTURES_AT_ONCE + 1)
        numbers = compute_pictures(
            self.frame_clock, self.first_number, self.file_clock, self.shift, count
        )
        return self.zero + (int(numbers[picture]) - Fraction(1, 2)) / self.frame_clock


@lru_cache(maxsize=16)
def compute_pictures(
    frame_clock: Fraction, first_number: int, file_clock: int | None, shift: Fraction, count: int
) -> np.ndarray:
    """Computes which frame of a cut file `ffmpeg -r 30` writes as each picture.

    A frame t seconds into the file belongs to picture floor(30 t + 1/2), and fills the pictures
    since the last frame. Where rounded times put two frames into one picture, the second becomes
    the next
    one: none is dropped. Above 30 frames a second some must be dropped: there the first frame that
    belongs to a picture or a later one becomes it.

    Args:
        frame_clock: Frames a second of the cut file.
        first_number: Number of its first frame.
        file_clock: As in `GridOrigin`.
        shift: As in `GridOrigin`.
        count: Number of pictures, from the first.

    Returns:
        int64 [count], numbers of frames.
    """
    numbers = np.arange(
        first_number, first_number + math.ceil(count / EXTRACTED_FPS * frame_clock) + 2
    )
    clock = frame_clock.numerator
    per = frame_clock.denominator
    if file_clock is None:
        times = numbers * per
        unit = clock
    else:
        times = (2 * file_clock * numbers * per + clock) // (2 * clock)
        unit = file_clock
    above = shift.numerator
    below = shift.denominator
    pictures = (2 * EXTRACTED_FPS * (times * below + above * unit) + unit * below) // (
        2 * unit * below
    )
    if frame_clock <= EXTRACTED_FPS:
        lag = np.maximum.accumulate(pictures - numbers)
        pictures = lag + numbers
    shown: np.ndarray = numbers[
        np.searchsorted(pictures, np.arange(count)).clip(max=len(numbers) - 1)
    ]
    return shown


def compute_audio_lead(grid: str, suffix: str, audio_rate: int) -> Fraction:
    """Computes the seconds by which a cut file's audio begins before the cut.

    This is the lead-in of its encoder. The file's clock starts there, so the pictures come later.
    Matroska gets Vorbis: half a short block, of 512 or (from 26 kHz on) 256 samples, in whole
    milliseconds. WebM gets Opus; MP4 hides the lead-in by an edit list. Measured with ffmpeg 5.1.

    Args:
        grid: "pyslowfast" or "mmaction2".
        suffix: The movie's suffix, such as ".mkv".
        audio_rate: Samples a second.
    """
    if suffix == ".webm":
        return OPUS_LEAD
    if grid == "pyslowfast" and suffix == ".mkv":
        samples = 256 if audio_rate < 26_000 else 128
        return Fraction(round(1000 * samples / audio_rate), 1000)
    return Fraction(0)


def compute_grid_origin(
    grid: str,
    first_frame: Fraction,
    cut: Fraction,
    rate: Fraction,
    has_audio: bool,
    suffix: str,
    audio_rate: int = 44_100,
) -> GridOrigin:
    """Computes where the pictures begin that the published extraction makes of a movie.

    Both recipes cut the movie, encoding it anew, then write `EXTRACTED_FPS` pictures a second with
    `ffmpeg -r 30`. The cut rounds the time of its first frame to its own clock: the movie's frame
    rate for "pyslowfast", 30 a second for "mmaction2", which cuts with `-r 30`. The second step
    counts from the file's start: from the audio, which begins at the cut, or without one from that
    first frame. Measured with ffmpeg 5.1 on videos with numbered frames.

    Args:
        grid: "pyslowfast" or "mmaction2".
        first_frame: Annotation time of the first frame at or after `cut`, in seconds.
        cut: Annotation time of the cut, in seconds.
        rate: Frames a second of the movie.
        has_audio: Whether the movie has sound.
        suffix: The movie's suffix, such as ".mkv".
        audio_rate: Samples a second of its sound.
    """
    lead = compute_audio_lead(grid, suffix, audio_rate)
    if grid == "mmaction2":
        rounded = Fraction(
            math.floor((first_frame - cut) * EXTRACTED_FPS + Fraction(1, 2)), EXTRACTED_FPS
        )
        return GridOrigin(cut - lead if has_audio else cut + rounded, first_frame)
    file_clock = 1000 if suffix in (".mkv", ".webm") else None
    # of the first frame, from the cut
    number = math.floor((first_frame - cut) * rate + Fraction(1, 2))
    begin = number / rate
    if file_clock is not None:
        begin = Fraction(math.floor(begin * file_clock + Fraction(1, 2)), file_clock)
    shift = lead if has_audio else -begin
    return GridOrigin(first_frame - number / rate, first_frame, rate, number, file_clock, shift)


def compute_grid_moments(
    grid: str,
    origin: GridOrigin,
    grid_start_second: float,
    timestamp: float,
    ticks: np.ndarray,
) -> list[Fraction]:
    """Computes exact times; published weights were trained on the first frame at or after each.

    A frame t seconds after the origin becomes picture floor(30 t + 1/2), and the next frame fills a
    gap: picture k is the first frame at or after (k - 1/2) / 30, except where times are rounded
    (`compute_pictures`). The keyframe is picture 30 (timestamp - grid_start_second); in MMAction2
    it is one later, as that project adds 1 twice for pictures numbered from 1. No picture precedes
    picture 0.

    Args:
        grid: "pyslowfast" or "mmaction2".
        origin: Where the grid of the movie begins.
        grid_start_second: Annotation time of the cut, in seconds.
        timestamp: Annotation time of the keyframe, in seconds.
        ticks: int64 [T], pictures from the keyframe's.

    Returns:
        [T], annotation times in seconds.
    """
    since_start = Fraction(timestamp) - Fraction(grid_start_second)
    keyframe = round(EXTRACTED_FPS * since_start) + (1 if grid == "mmaction2" else 0)
    pictures = (max(keyframe + int(tick), 0) for tick in ticks)
    moments = (origin.find_moment(picture) for picture in pictures)
    return [max(moment, origin.first_frame) for moment in moments]
