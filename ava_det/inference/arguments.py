"""The seconds that a caller gives, checked before a video is opened."""

from __future__ import annotations

import math


def check_times(every: float, start: float, end: float, smooth: float = 0.0) -> None:
    """Checks what `Predictor` is asked for; the command line says the same.

    Args:
        every: seconds between keyframes.
        start, end: seconds of the file.
        smooth: seconds over which scores are averaged.

    Raises:
        ValueError: one of them cannot be meant, in a sentence with its name.
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
