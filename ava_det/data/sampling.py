"""Which moments a clip is made of: keyframe second, T, tau, alpha -> ticks, and which of them are Slow. Pure numbers.

The time grid has `clip_fps` ticks a second with a tick on the keyframe. The Fast pathway takes alpha * T frames that
are tau / alpha ticks apart; the Slow pathway T of those. With T x tau = 4 x 16, alpha = 8:

    ticks   -32 -30 -28 ...  -16 ...   0 ...  +16 ...  +30      (0 is the keyframe)
    fast      F   F   F  ...   F  ...   F  ...   F  ...   F      32 frames, 2 ticks apart
    slow      S               S        S        S                4 frames, 16 ticks apart   (policy "stride")
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

# The grids of published weights count 30 pictures a second from where AVA movies are cut (`compute_grid_origin`).
EXTRACTED_GRIDS = ("pyslowfast", "mmaction2")
EXTRACTED_FPS = 30

# By how much a cut file's audio begins before the cut: its encoder's lead-in (Vorbis in Matroska, Opus in WebM; MP4
# hides it by an edit list). The file's clock starts there, so the pictures come later. Measured with ffmpeg 5.1.
AUDIO_LEAD = {
    ("pyslowfast", ".mkv"): Fraction(3, 1000),
    ("pyslowfast", ".webm"): Fraction(14, 1000),
    ("mmaction2", ".webm"): Fraction(14, 1000),
}


def compute_clip_ticks(num_frames: int, stride: int) -> np.ndarray:
    """int64 [num_frames]: ticks relative to the keyframe, half of the span before it.

    The frames c - span // 2, c - span // 2 + stride, ... below c + span // 2, as the paper's released models read them.
    """
    return np.arange(num_frames, dtype=np.int64) * stride - num_frames * stride // 2


def compute_slow_indices(num_fast_frames: int, alpha: int, policy: str) -> np.ndarray:
    """int64 [num_fast_frames // alpha]: which of the Fast frames the Slow pathway sees.

    policy "stride": every alpha-th, from the first (the paper, section 3.1). policy "linspace": evenly from the first
    to the last, rounded down (PySlowFast, whose published weights saw that: 32 and 4 give 0, 4, 8, 13, 17, 22, 26, 31).
    """
    num_slow_frames = num_fast_frames // alpha
    if policy == "stride":
        return np.arange(num_slow_frames, dtype=np.int64) * alpha
    # float32, as torch.linspace computes it there: float64 rounds differently for some lengths
    return np.linspace(0, num_fast_frames - 1, num_slow_frames, dtype=np.float32).astype(np.int64)


def compute_clip_seconds(timestamp: float, num_frames: int, stride: int, clip_fps: float) -> np.ndarray:
    """float64 [num_frames]: the moments of a clip around `timestamp`, in the annotation's seconds; may lie outside."""
    return timestamp + compute_clip_ticks(num_frames, stride) / clip_fps


class GridOrigin(NamedTuple):
    """Where the grid of one movie begins, in exact seconds: the moment of picture 0, and the first frame there is."""

    zero: Fraction
    first_frame: Fraction


def compute_grid_origin(
    grid: str, first_frame: Fraction, cut: Fraction, rate: Fraction, has_audio: bool, suffix: str
) -> GridOrigin:
    """Where the pictures begin that the published extraction makes of a movie.

    Both recipes cut the movie, encoding it anew, then write `EXTRACTED_FPS` pictures a second with `ffmpeg -r 30`. The
    cut rounds the moment of its first frame to its own clock: the movie's frame rate for "pyslowfast", 30 a second for
    "mmaction2", which cuts with `-r 30`. The second step counts from the file's start: from the audio, which begins at
    the cut, or without one from that first frame. Measured with ffmpeg 5.1 on videos with numbered frames.

    first_frame: moment of the first frame at or after `cut`. rate: frames a second of the movie.
    """
    clock = rate if grid == "pyslowfast" else Fraction(EXTRACTED_FPS)
    rounded = math.floor((first_frame - cut) * clock + Fraction(1, 2)) / clock  # of the first frame, since the cut
    start = first_frame - rounded if grid == "pyslowfast" else cut  # what the cut file calls 0
    zero = start - AUDIO_LEAD.get((grid, suffix), 0) if has_audio else start + rounded
    return GridOrigin(zero, first_frame)


def compute_grid_moments(
    grid: str, origin: GridOrigin, grid_start_second: float, timestamp: float, num_frames: int, stride: int
) -> list[Fraction]:
    """[num_frames] moments (seconds, exact): the first frame at or after each is what the published weights saw.

    A frame t seconds after the origin becomes picture floor(30 t + 1/2), and the next frame fills a gap: picture k is
    the first frame at or after (k - 1/2) / 30. The keyframe is picture 30 (timestamp - grid_start_second), in
    MMAction2 one later, which adds 1 twice for pictures numbered from 1. No picture precedes picture 0.
    """
    since_start = Fraction(timestamp) - Fraction(grid_start_second)
    keyframe = round(EXTRACTED_FPS * since_start) + (1 if grid == "mmaction2" else 0)
    pictures = (max(keyframe + int(tick), 0) for tick in compute_clip_ticks(num_frames, stride))
    moments = (origin.zero + (picture - Fraction(1, 2)) / EXTRACTED_FPS for picture in pictures)
    return [max(moment, origin.first_frame) for moment in moments]
