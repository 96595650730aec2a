"""A pair of actions that only the seconds before and after tell apart.

A figure that **listens to** or **watches** a person stands idle, the same idle standing for both.
Before it began to wait, and again when it ends, the one that listens points to something and the
one that watches lies down and gets up: far enough away that a clip of two seconds around a labeled
keyframe shows none of it. A network needs the seconds around its clip to tell the two apart.
"""

from __future__ import annotations

import numpy as np

from ava_det.datasets.synthetic.actions import (
    FALL,
    GET_UP,
    LIE,
    NOTHING,
    POINT,
    STAND,
    Segment,
    assign_times,
)

# AVA v2.2 ids and names.
LISTEN = 79
WATCH = 80
WAITING_NAMES = {LISTEN: "listen to (a person)", WATCH: "watch (a person)"}
QUIET_SECONDS = 2  # of standing between what gives the answer away and the labeled wait
# (movement, arms, seconds) of what gives it away
SIGNS = {
    LISTEN: [(STAND, POINT, 5)],
    WATCH: [(FALL, NOTHING, 2), (LIE, NOTHING, 2), (GET_UP, NOTHING, 2)],
}


def plan_waits(rng: np.random.Generator, seconds: int) -> list[Segment]:
    """Draws the timetable of a figure that waits again and again, for a video of `seconds`."""
    wanted: list[tuple[int, int, int]] = []
    while sum(length for _, _, length in wanted) < seconds + 8:
        wait = (LISTEN, WATCH)[int(rng.integers(2))]
        wanted += [
            *SIGNS[wait],
            (STAND, NOTHING, QUIET_SECONDS),
            (STAND, wait, int(rng.integers(1, 3))),
            (STAND, NOTHING, QUIET_SECONDS),
            *SIGNS[wait],
        ]
    return assign_times(rng, wanted, seconds)
