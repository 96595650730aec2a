"""Checks the times that a caller passes, before a video is opened."""

from __future__ import annotations

import math


def check_times(every: float, start: float, end: float, smooth: float = 0.0) -> None:
    """Checks the times passed to `Predictor`; the command line has the same limits.

    Args:
        every: Seconds between keyframes.
        start: Seconds of the file.
        end: Seconds of the file.
        smooth: Seconds over which scores are averaged.

    Raises:
        ValueError: One of them is not possible; the sentence names it.
    """
    if not 0.001 <= every < math.inf:
        raise ValueError(
            f"every: expected a positive number of seconds, 0.001 or more, received {every:g}"
        )
    for name, value in (("start", start), ("smooth", smooth)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name}: expected a number of seconds, 0 or more, received {value:g}")
    if not end > start:
        raise ValueError(f"end: expected more than start = {start:g}, received {end:g}")
