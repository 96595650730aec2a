"""The filter behind the tracks: exact over any step, sure of what it sees, and forgetful of
velocities.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_det.tracking.box_filter import MEMORY, BoxFilter

BOX = np.array([0.1, 0.2, 0.3, 0.8])
RIGHT = np.array([1.0, 0.0, 1.0, 0.0])


def walking(speed: float, seconds: float = 1.0, step: float = 0.05) -> BoxFilter:
    """A box seen every `step` while it walks to the right; the last time now."""
    person = BoxFilter(BOX)
    for index in range(1, round(seconds / step) + 1):
        person.advance(step)
        person.correct(BOX + speed * index * step * RIGHT)
    return person


@given(st.floats(0.001, 5), st.floats(0.001, 5))
def test_two_steps_are_one(first: float, second: float) -> None:
    together = walking(0.4)
    apart = walking(0.4)
    together.advance(first + second)
    apart.advance(first)
    apart.advance(second)
    np.testing.assert_allclose(apart.box, together.box, atol=1e-9)
    np.testing.assert_allclose(apart._covariance, together._covariance, atol=1e-9)


def test_a_walker_goes_on_in_a_straight_line_for_a_moment() -> None:
    person = walking(0.4)
    start = person.box
    np.testing.assert_allclose(start, BOX + 0.4 * RIGHT, atol=0.01)
    person.advance(0.05)
    np.testing.assert_allclose(person.box, start + 0.05 * 0.4 * RIGHT, atol=0.01)


def test_a_velocity_is_forgotten() -> None:
    person = walking(0.4)
    start = person.box
    person.advance(100.0)
    traveled = person.box - start
    # velocities are underestimated: they may be dying
    assert traveled[0] == pytest.approx(0.4 * MEMORY, rel=0.3)
    assert traveled[1] == 0


@given(st.floats(0.001, 10))
def test_the_longer_unseen_the_more_the_next_box_is_believed(seconds: float) -> None:
    person = walking(0.0)
    person.advance(seconds)
    before = person._covariance
    assert np.linalg.eigvalsh(before).min() > 0
    person.correct(BOX + 0.1 * RIGHT)
    moved = (person.box[0] - BOX[0]) / 0.1
    assert moved == pytest.approx(before[0, 0] / (before[0, 0] + 0.05**2))
    assert (person._covariance.diagonal() < before.diagonal()).all()
