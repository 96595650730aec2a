"""Estimates the empty scene behind the persons of a video from a fixed camera.

A median over the video is the usual choice, and it fails where somebody stands in the same place
most of the time: six people one after the other at one table. What they cover differs from person
to person, while the background comes back after each of them. So the background of a pixel is the
value that is seen in the most *stretches* of the video, not in the most frames.
"""

from __future__ import annotations

import numpy as np

# Gray levels by which two samples of the same background may differ (codec noise, flicker).
SAME_LEVEL = 12
NUM_STRETCHES = 8  # parts of the video that vote separately, see compute_background
MAX_CANDIDATES = 16  # samples tried as the background; one that comes back is among them
BLOCK = 2048  # pixels computed at once: all their samples fit into the cache of a core


def compute_gain(frame: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Computes how much brighter a frame is than the background.

    The gain is the median over pixels of the ratio, so persons hardly change it.

    Args:
        frame: float32 [H, W, 3].
        background: float32 [H, W, 3].

    Returns:
        float32 [3], one factor per channel.
    """
    # Every fourth pixel is plenty for a median; the 1 keeps black pixels from dividing by zero.
    ratio = (frame[::2, ::2] + 1) / (background[::2, ::2] + 1)
    gain: np.ndarray = np.median(ratio.reshape(-1, 3), axis=0).astype(np.float32)
    return gain


def compute_background(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes the background of a video from frames spread evenly over it.

    The values of a pixel vote for one another. A value gets, summed over 8 stretches of the video,
    the fourth root of the number of samples in the stretch that agree with it. So one long sight
    (somebody standing) counts less than many short ones.

    Args:
        samples: float32 [N, H, W, 3], in order of time; N of at least 1.

    Returns:
        Background float32 [H, W, 3] at the brightness of the median frame, and noise float32 [H,
        W]: the mean absolute deviation of the background's own samples from it, in gray levels,
        largest of the channels.
    """
    num_samples, height, width, _ = samples.shape
    reference = (
        np.median(samples[:, ::2, ::2], axis=0).repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    )
    gains = np.stack([compute_gain(frame, reference) for frame in samples])
    pixels = samples.reshape(num_samples, -1, 3)
    background = np.empty((height * width, 3), np.float32)
    noise = np.empty(height * width, np.float32)
    for start in range(0, height * width, BLOCK):
        block = slice(start, start + BLOCK)
        level = np.clip(pixels[:, block] / gains[:, None], 0, 255)
        background[block], noise[block] = _compute_block(
            np.ascontiguousarray(level.transpose(2, 0, 1))
        )
    return background.reshape(height, width, 3), noise.reshape(height, width)


def _compute_block(level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes background float32 [P, 3] and noise float32 [P] of P pixels.

    Args:
        level: float32 [3, N, P]. This planar order is three times faster to compare.
    """
    whole = np.rint(level).astype(np.uint8)
    shows_background = np.ones(level.shape[1:], bool)
    # Most pixels never see a person; only the others need a vote.
    contested = np.flatnonzero((np.ptp(whole, axis=1) >= SAME_LEVEL).any(axis=0))
    if len(contested):
        shows_background[:, contested] = _vote(whole[:, :, contested])
    count = shows_background.sum(axis=0)
    background = (level * shows_background).sum(axis=1) / count
    deviation = np.abs(level - background[:, None]) * shows_background
    noise = (deviation.sum(axis=1) / count).max(axis=0)
    return background.T, noise


def _vote(pixels: np.ndarray) -> np.ndarray:
    """Finds the samples that show the background: uint8 [3, N, P] to bool [N, P]."""
    num_samples = pixels.shape[1]
    weight = np.arange(num_samples + 1, dtype=np.float32) ** 0.25
    best_votes = np.zeros(pixels.shape[2], np.float32)
    shows_background = np.zeros(pixels.shape[1:], bool)
    for candidate in np.unique(np.linspace(0, num_samples - 1, MAX_CANDIDATES).astype(int)):
        value = pixels[:, candidate : candidate + 1]
        # The absolute difference in bytes, which have no sign, without a wider copy
        distance = np.maximum(pixels, value) - np.minimum(pixels, value)
        red, green, blue = distance < SAME_LEVEL
        near = red & green & blue  # several times faster than all(axis=0)
        votes = weight[_count_by_stretch(near)].sum(axis=0)
        better = votes > best_votes
        np.copyto(best_votes, votes, where=better)
        np.copyto(shows_background, near, where=better)
    return shows_background


def _count_by_stretch(near: np.ndarray) -> np.ndarray:
    """Counts the samples of each stretch that agree: bool [N, P] to uint8 [S, P].

    Whole rows are added, which takes a quarter of the time of np.add.reduceat.
    """
    ones = near.view(np.uint8)
    starts = np.unique(np.arange(NUM_STRETCHES) * len(ones) // NUM_STRETCHES)
    lengths = np.diff([*starts, len(ones)])
    count = ones[starts]
    for offset in range(1, int(lengths.max())):
        longer = lengths > offset
        count[longer] += ones[starts[longer] + offset]
    return count
