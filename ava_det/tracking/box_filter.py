"""Predicts where a person's box will be, by a Kalman filter whose velocity decays. numpy only.

People keep their pace for a moment, then stop or turn. So a velocity is an Ornstein-Uhlenbeck
process: it is forgotten with time constant MEMORY, and driven by noise that keeps it around PACE
(Singer's maneuvering target, IEEE Trans. AES-6, 1970, one order lower). Its transition is exact for
any step: over a thirtieth of a second a box goes on in a straight line, over a second it may be
anywhere near.

MEMORY and PACE were chosen on five videos of AVA's labels (a second apart) and the synthetic set's
true tracks (1 to 1/15 s), by the number of lost ids. With steps of a second, a long MEMORY (a
constant velocity) loses more ids than no velocity at all.
"""

from __future__ import annotations

import math

import numpy as np

MEMORY = 0.3  # seconds after which a velocity is forgotten to 1 / e
PACE = 1.0  # standard deviation of a velocity, body lengths a second
JITTER = 0.05  # standard deviation of a detected center, body lengths


class BoxFilter:
    """Filters the center of a person's box over time; the size is that of the last box.

    x and y move in the same way and independently, so one 2x2 covariance of (position, velocity)
    serves both.

    Args:
        box: float [4], xyxy in fractions of the frame, the first one seen.
    """

    def __init__(self, box: np.ndarray) -> None:
        self._center, self._size = _split(box)
        self._velocity = np.zeros(2)  # per second
        # In body lengths, because only the ratio of the constants matters.
        self._covariance = np.diag((JITTER**2, PACE**2))

    def advance(self, seconds: float) -> None:
        """Predicts the state after `seconds` more."""
        kept = math.exp(-seconds / MEMORY)
        reach = MEMORY * (1 - kept)  # distance that a velocity of 1 covers meanwhile
        self._center = self._center + reach * self._velocity
        self._velocity = kept * self._velocity
        drift = MEMORY * (2 * seconds - MEMORY * (3 - 4 * kept + kept**2))
        shared = reach**2 / MEMORY
        noise = PACE**2 * np.array([[drift, shared], [shared, 1 - kept**2]])
        transition = np.array([[1.0, reach], [0.0, kept]])
        self._covariance = transition @ self._covariance @ transition.T + noise

    def correct(self, box: np.ndarray) -> None:
        """Updates the state with the box float [4], xyxy, that was detected now."""
        center, self._size = _split(box)
        gain = self._covariance[:, 0] / (self._covariance[0, 0] + JITTER**2)
        innovation = center - self._center
        self._center = self._center + gain[0] * innovation
        self._velocity = self._velocity + gain[1] * innovation
        self._covariance = self._covariance - np.outer(gain, self._covariance[0])

    @property
    def box(self) -> np.ndarray:
        """Returns where the person is now: float64 [4], xyxy."""
        return np.concatenate((self._center - self._size / 2, self._center + self._size / 2))


def _split(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splits a box into center [2] and size [2], float64."""
    corners = box.astype(np.float64)
    return (corners[:2] + corners[2:]) / 2, corners[2:] - corners[:2]
