"""The empty scene behind the persons of a fixed camera's video.

A median over the video is the usual choice, and it fails where somebody stands in the same place
most of the time: six people one after the other at one table. What they cover differs from person
to person, while the background comes back after each of them, so a pixel's background is the value
that is seen in the most *stretches* of the video, not in the most frames.
"""

from __future__ import annotations

import numpy as np

# gray levels: how far apart two sights of the same background may be (codec noise, flicker)
SAME_LEVEL = 12
NUM_STRETCHES = 8  # the video is voted on in this many parts; see compute_background
MAX_CANDIDATES = 16  # a background that comes back is among this many of the samples
BLOCK = 2048  # pixels at once: all their sights fit a core's cache


def compute_gain(frame: np.ndarray, background: np.ndarray) -> np.ndarray:
    """How much brighter than ``background`` a ``frame`` is: float32 [3], one factor per channel.

    Both are float32 [H, W, 3]. It is the median over pixels of the ratio, so persons hardly move
    it.
    """
    # Every fourth pixel is plenty for a median; the 1 keeps black pixels from dividing by zero.
    ratio = (frame[::2, ::2] + 1) / (background[::2, ::2] + 1)
    return np.median(ratio.reshape(-1, 3), axis=0).astype(np.float32)


def compute_background(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Background of a video from frames spread evenly over it.

    Each pixel's values vote for one another: a value gets the fourth root of its number of sights
    within each of 8 stretches of the video, summed: one long sight (somebody standing) counts less
    than many short ones.

    Args:
        samples: float32 [N, H, W, 3], in order of time; N of at least 1.

    Returns:
        background float32 [H, W, 3] at the brightness of the median frame, and noise float32 [H,
        W]: the mean absolute deviation of the background's own sights from it, in gray levels,
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
    """Background float32 [P, 3] and noise float32 [P] of some pixels: float32 [3, N, P], planar,
    which is three times faster to compare.
    """
    whole = np.rint(level).astype(np.uint8)
    sights = np.ones(level.shape[1:], bool)
    # Most pixels never see a person; only the others need a vote.
    contested = np.flatnonzero((np.ptp(whole, axis=1) >= SAME_LEVEL).any(axis=0))
    if len(contested):
        sights[:, contested] = _vote(whole[:, :, contested])
    count = sights.sum(axis=0)
    background = (level * sights).sum(axis=1) / count
    noise = ((np.abs(level - background[:, None]) * sights).sum(axis=1) / count).max(axis=0)
    return background.T, noise


def _vote(pixels: np.ndarray) -> np.ndarray:
    """Which samples show the background: uint8 [3, N, P] to bool [N, P]."""
    num_samples = pixels.shape[1]
    starts = np.unique(np.arange(NUM_STRETCHES) * num_samples // NUM_STRETCHES)
    weight = np.arange(num_samples + 1, dtype=np.float32) ** 0.25
    best_votes = np.zeros(pixels.shape[2], np.float32)
    sights = np.zeros(pixels.shape[1:], bool)
    for candidate in np.unique(np.linspace(0, num_samples - 1, MAX_CANDIDATES).astype(int)):
        value = pixels[:, candidate : candidate + 1]
        # bytes: no sign, no wider copy
        distance = np.maximum(pixels, value) - np.minimum(pixels, value)
        red, green, blue = distance < SAME_LEVEL
        near = red & green & blue  # several times faster than all(axis=0)
        votes = weight[np.add.reduceat(near.view(np.uint8), starts, axis=0, dtype=np.uint8)].sum(
            axis=0
        )
        better = votes > best_votes
        best_votes[better] = votes[better]
        sights[:, better] = near[:, better]
    return sights
