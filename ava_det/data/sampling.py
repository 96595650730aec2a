"""Which moments a clip is made of: keyframe second, T, tau, alpha -> ticks, and which of them are Slow. Pure numbers.

The time grid has `clip_fps` ticks a second with a tick on the keyframe. The Fast pathway takes alpha * T frames that
are tau / alpha ticks apart; the Slow pathway T of those. With T x tau = 4 x 16, alpha = 8:

    ticks   -32 -30 -28 ...  -16 ...   0 ...  +16 ...  +30      (0 is the keyframe)
    fast      F   F   F  ...   F  ...   F  ...   F  ...   F      32 frames, 2 ticks apart
    slow      S               S        S        S                4 frames, 16 ticks apart   (policy "stride")
"""

from __future__ import annotations

import numpy as np


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
