"""Trims a score over time to the stretches in which an action happens.

Both ways are pure functions from a signal, one score a step, to half-open ranges of steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Span(NamedTuple):
    """Describes the steps from `start` to before `stop`."""

    start: int
    stop: int


def trim_by_hysteresis(
    signal: Sequence[float] | np.ndarray,
    high: float,
    low: float,
    min_length: int = 1,
    max_gap: int = 0,
) -> list[Span]:
    """Finds the stretches that stay at `low` or above and reach `high` somewhere.

    Args:
        signal: [n] scores.
        high: The score that a stretch must reach.
        low: The score at which it begins and ends.
        min_length: Stretches of fewer steps are left out, after gaps are closed.
        max_gap: Two such stretches at most so many steps apart become one.

    Returns:
        The stretches in order; no two of them touch.

    Raises:
        ValueError: `low` is above `high`, or a score is not a number.
    """
    values = _require_signal(signal)
    if low > high:
        raise ValueError(f"trimming: expected low <= high, received {low:g} and {high:g}")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], values >= low, [False]])))
    spans = [
        Span(start, stop)
        for start, stop in edges.reshape(-1, 2).tolist()
        if values[start:stop].max() >= high
    ]
    joined: list[Span] = []
    for span in spans:
        if joined and span.start - joined[-1].stop <= max_gap:
            joined[-1] = Span(joined[-1].start, span.stop)
        else:
            joined.append(span)
    return [span for span in joined if span.stop - span.start >= min_length]


def trim_by_dynamic_programming(
    signal: Sequence[float] | np.ndarray, alpha: float, min_length: int = 1
) -> list[Span]:
    """Finds the steps of an action as the labels of greatest total score, less their changes.

    Of all ways to label each step as action or background, the one is taken that maximizes the sum
    of the scores (the signal for action, 1 - signal for background) less `alpha` for each change
    (Singh et al., ICCV 2017, the second pass of section 3.4). Of equal ways fewer steps of action
    are taken.

    Args:
        signal: [n] scores, 0..1.
        alpha: The price of a change, 0 or more: with 0 each step stands for itself.
        min_length: Stretches of fewer steps are left out.

    Returns:
        The stretches of action in order.

    Raises:
        ValueError: `alpha` is negative, or a score is not a number.
    """
    values = _require_signal(signal)
    if alpha < 0:
        raise ValueError(f"trimming: expected an alpha of 0 or more, received {alpha:g}")
    gains = np.stack([1 - values, values], axis=1)  # of background and of action
    total = np.zeros(2)
    came_from = np.zeros((len(values), 2), dtype=np.int64)
    for step, gain in enumerate(gains):
        # by staying, and by a change from the other label
        changed = total[::-1] - alpha
        came_from[step] = np.where(changed > total, [1, 0], [0, 1])
        total = np.maximum(total, changed) + gain
    label = int(total[1] > total[0])
    labels = np.zeros(len(values) + 2, dtype=np.int64)
    for step in range(len(values) - 1, -1, -1):
        labels[step + 1] = label
        label = int(came_from[step, label]) if step else label
    edges = np.flatnonzero(np.diff(labels)).tolist()
    spans = [Span(start, stop) for start, stop in list(pairwise(edges))[::2]]
    return [span for span in spans if span.stop - span.start >= min_length]


def _require_signal(signal: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(signal, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError("trimming: expected finite scores [n]")
    return values
