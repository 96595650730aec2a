"""The pair of actions that only the seconds around a clip tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ava_det.datasets.synthetic import actions, scene
from ava_det.datasets.synthetic.figure import NUM_ANGLES
from ava_det.datasets.synthetic.prepare import render_dataset
from ava_det.datasets.synthetic.room import draw_palette
from ava_det.datasets.synthetic.waits import LISTEN, WATCH, plan_waits

SECONDS = 30
REACH = 1.07  # seconds that a clip of 64 ticks sees on each side


def plan(seed: int) -> list[actions.Segment]:
    return plan_waits(np.random.default_rng(seed), SECONDS)


def test_a_clip_around_a_labeled_wait_shows_idle_standing_alone() -> None:
    num_waits = {LISTEN: 0, WATCH: 0}
    for seed in range(40):
        segments = plan(seed)
        for second in scene.compute_keyframe_seconds(SECONDS):
            wait = actions.find_segment(segments, second).arms
            if wait not in num_waits or actions.is_ambiguous(segments, second):
                continue
            num_waits[wait] += 1
            times = np.linspace(second - REACH, second + REACH, 65)
            sway = np.zeros((2, NUM_ANGLES))
            poses = actions.compute_poses(segments, times, sway)
            assert np.ptp(poses, axis=0).max() < 1e-12
            names, _ = actions.compute_held(segments, times)
            assert not any(names)
    assert min(num_waits.values()) > 40
    assert 0.6 < num_waits[LISTEN] / num_waits[WATCH] < 1.7


def test_the_seconds_around_a_wait_give_the_answer() -> None:
    """(movement, arms) of the last thing before the first quiet seconds, and of the next after."""
    signs = {
        LISTEN: ((actions.STAND, actions.POINT), (actions.STAND, actions.POINT)),
        WATCH: ((actions.GET_UP, actions.NOTHING), (actions.FALL, actions.NOTHING)),
    }
    for seed in range(20):
        segments = plan(seed)
        for before, quiet, wait, quiet_too, after in zip(
            segments, segments[1:], segments[2:], segments[3:], segments[4:], strict=False
        ):
            if wait.arms in signs:
                found = ((before.movement, before.arms), (after.movement, after.arms))
                assert found == signs[wait.arms]
                assert quiet.arms == quiet_too.arms == actions.NOTHING


def test_a_set_with_the_pair_has_its_names_and_one_figure_a_video(tmp_path: Path) -> None:
    counts = {"train": 1, "val": 1, "demo": 1}
    render_dataset(tmp_path, 0, counts, 12, 96, 72, waits=True)
    label_map = (tmp_path / "labelmap.pbtxt").read_text()
    assert '"listen to (a person)"' in label_map
    assert '"watch (a person)"' in label_map
    rows = [line.split(",") for line in (tmp_path / "train.csv").read_text().splitlines()]
    assert {row[7] for row in rows} == {"0"}


def test_without_the_pair_timetables_are_as_before() -> None:
    """Numbers of a fixed seed, from before there was the pair."""
    rng = np.random.default_rng(np.random.SeedSequence([0, 0, 0, 0]))
    palette = draw_palette(rng)
    actors = scene.build_actors(rng, palette, 2, (192, 144), 30)
    found = [(s.movement, s.arms, round(s.end, 4)) for a in actors for s in a.role.segments[:3]]
    first = [(12, 69, 3.6369), (14, 48, 5.6179), (12, 36, 9.6426)]
    assert found == [*first, (14, 48, 1.9618), (12, 34, 5.446), (10, 17, 8.5)]
