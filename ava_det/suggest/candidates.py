"""Says which moments of a video may not be suggested: those that are labeled already."""

from __future__ import annotations

from collections.abc import Iterable


def shows_labeled(moment: float, labeled: Iterable[float], every: float) -> bool:
    """Returns whether a keyframe would show what a labeled one shows.

    Args:
        moment: Where the keyframe would be, in seconds.
        labeled: Where the labeled ones of its video are, in seconds.
        every: Seconds between keyframes; one that is nearer than half of it shows the same.
    """
    return any(abs(moment - one) < every / 2 - 1e-6 for one in labeled)
