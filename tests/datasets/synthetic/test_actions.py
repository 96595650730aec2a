"""The classes differ in what the README says, and in nothing else."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ava_det.datasets.synthetic import actions
from ava_det.datasets.synthetic.actions import (
    CARRY,
    FALL,
    GET_UP,
    HIT,
    LIFT,
    POINT,
    READ,
    RUN,
    STAND,
    WALK,
    WAVE,
    Segment,
)

SECONDS = 30
MOTION_PAIRS = [(FALL, GET_UP), (WALK, RUN), (WAVE, POINT), (HIT, LIFT)]


@pytest.fixture(scope="module")
def poses() -> dict[int, np.ndarray]:
    """For each class, the pose [N, 10] at one random keyframe of each of many segments (so:
    independent samples).
    """
    rng = np.random.default_rng(7)
    found: dict[int, list[np.ndarray]] = {action_id: [] for action_id in actions.ACTION_NAMES}
    for _ in range(300):
        segments = actions.plan(rng, SECONDS)
        sway = actions.draw_sway(rng)
        for segment in segments:
            inside = [
                second
                for second in range(2, SECONDS - 2)
                if segment.start <= second < segment.end
                and not actions.is_ambiguous(segments, second)
            ]
            if inside:
                pose = actions.compute_poses(segments, np.array([rng.choice(inside)], float), sway)[
                    0
                ]
                for action_id in segment.action_ids:
                    found[action_id].append(pose)
    return {action_id: np.array(samples) for action_id, samples in found.items()}


def compute_ks(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference between two empirical distributions, over its value at 0.1 %
    significance.
    """
    grid = np.sort(np.concatenate([a, b]))
    difference = np.searchsorted(np.sort(a), grid, "right") / len(a) - np.searchsorted(
        np.sort(b), grid, "right"
    ) / len(b)
    return float(np.abs(difference).max() / (1.95 * np.sqrt((len(a) + len(b)) / (len(a) * len(b)))))


@pytest.mark.parametrize("pair", [*MOTION_PAIRS, (CARRY, READ)])
def test_poses_of_a_pair_at_keyframes_have_one_distribution(
    poses: dict[int, np.ndarray], pair: tuple[int, int]
) -> None:
    first = poses[pair[0]]
    second = poses[pair[1]]
    assert min(len(first), len(second)) > 100
    # Ten angles, and the products of neighbors for what they do together.
    for a, b in ((first, second), (first[:, :-1] * first[:, 1:], second[:, :-1] * second[:, 1:])):
        assert max(compute_ks(a[:, i], b[:, i]) for i in range(a.shape[1])) < 1


def test_the_statistic_can_tell_poses_apart(poses: dict[int, np.ndarray]) -> None:
    assert max(compute_ks(poses[WAVE][:, i], poses[HIT][:, i]) for i in range(10)) > 3


@pytest.mark.parametrize(("fast", "slow"), [(WAVE, POINT), (HIT, LIFT)])
def test_slow_frames_see_the_alias_of_a_fast_swing(fast: int, slow: int) -> None:
    def compute(arms: int, frequency: float, times: np.ndarray) -> np.ndarray:
        segment = Segment(-5, 5, STAND, arms, frequency, 0.4, 0.9, 0.2, 0.0, 0.0)
        return actions.compute_poses([segment], times, np.zeros((2, 10)))

    fast_frequency = 0.5 + actions.SLOW_FRAME_RATE
    slow_times = np.arange(-2, 2) * 16 / 30
    fast_times = np.arange(-8, 8) * 4 / 30
    np.testing.assert_allclose(
        compute(fast, fast_frequency, slow_times), compute(slow, 0.5, slow_times), atol=1e-9
    )
    difference = compute(fast, fast_frequency, fast_times) - compute(slow, 0.5, fast_times)
    assert np.abs(difference).max() > 0.5


def test_swings_are_fast_and_slow_where_they_should_be_and_the_fast_frames_carry_them() -> None:
    rng = np.random.default_rng(0)
    segments = [segment for _ in range(50) for segment in actions.plan(rng, SECONDS)]
    for fast, slow in ((WAVE, POINT), (HIT, LIFT)):
        slow_rates = [segment.frequency for segment in segments if segment.arms == slow]
        fast_rates = [segment.frequency for segment in segments if segment.arms == fast]
        assert (
            max(slow_rates)
            < actions.SLOW_FRAME_RATE / 2
            < min(fast_rates)
            < max(fast_rates)
            < 7.5 / 2
        )


def test_getting_up_is_falling_backwards_in_time() -> None:
    times = np.linspace(-1, 3, 61)
    sway = np.zeros((2, 10))

    def build(timetable: list[tuple[float, float, int]]) -> list[Segment]:
        return [
            Segment(start, end, movement, 0, 0, 0, 0, 0, 0, 0) for start, end, movement in timetable
        ]

    falling = build([(-9, 0.3, STAND), (0.3, 2.1, FALL), (2.1, 9, actions.LIE)])
    rising = build([(-9, -0.1, actions.LIE), (-0.1, 1.7, GET_UP), (1.7, 9, STAND)])
    mirrored = actions.compute_poses(rising, 2.0 - times, sway)
    np.testing.assert_allclose(actions.compute_poses(falling, times, sway), mirrored, atol=1e-12)


def test_a_timetable_has_no_gaps_and_is_clear_at_most_keyframes() -> None:
    rng = np.random.default_rng(3)
    ambiguous = 0
    for _ in range(20):
        segments = actions.plan(rng, SECONDS)
        assert segments[0].start <= 0
        assert segments[-1].end >= SECONDS
        assert all(a.end == b.start for a, b in itertools.pairwise(segments))
        ambiguous += sum(actions.is_ambiguous(segments, second) for second in range(2, SECONDS - 2))
    assert 0 < ambiguous < 0.08 * 20 * 26


def test_figures_stay_in_their_range_and_run_faster_than_they_walk() -> None:
    times = np.arange(0, 10, 1 / 15)
    for movement, slowest, fastest in ((WALK, 0.1, 0.4), (RUN, 0.5, 1.2)):
        speed = (slowest + fastest) / 2
        segment = Segment(-1, 11, movement, 0, 0, 0, 0, 0, speed, 1.0)
        x, facing = actions.compute_path([segment], times, 0.3, 20.0, 170.0, 80.0)
        assert x.min() >= 20
        assert x.max() <= 170
        step = np.diff(x)
        straight = facing[1:] == facing[:-1]
        np.testing.assert_allclose(
            step[straight] * facing[1:][straight], speed * 80 / 15, atol=1e-6
        )
