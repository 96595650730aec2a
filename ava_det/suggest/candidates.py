"""Finds which moments of videos may be suggested: none that is labeled already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


def leave_out_labeled(
    moments: Sequence[float], labeled: Iterable[float], every: float
) -> list[float]:
    """Leaves out the moments of a video that show what a labeled keyframe shows.

    Args:
        moments: Where keyframes could be, in seconds.
        labeled: Where there are some, in seconds.
        every: Seconds between `moments`; one is left out where a labeled keyframe is nearer than
            half of it.
    """
    taken = np.array(sorted(labeled))
    if not len(taken):
        return list(moments)
    distances = [float(np.abs(taken - moment).min()) for moment in moments]
    return [
        moment
        for moment, distance in zip(moments, distances, strict=True)
        if distance > 1e-6 and distance >= every / 2 - 1e-6
    ]
