"""Boxes fit the drawn pixels; the default dataset has the overlap and the balance its README
states.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from ava_det.datasets.synthetic import actions, scene
from ava_det.datasets.synthetic.figure import draw_figure
from ava_det.datasets.synthetic.prepare import SPLITS
from ava_det.datasets.synthetic.room import draw_palette

SIZE = (192, 144)
SECONDS = 30


def build(split: str, index: int, seed: int = 0) -> list[scene.Actor]:
    rng = np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), index, 0]))
    palette = draw_palette(rng)
    return scene.build_actors(rng, palette, scene.draw_num_persons(rng), SIZE, SECONDS)


@pytest.fixture(scope="module")
def default_rows() -> dict[str, dict[tuple[int, int], list[scene.Row]]]:
    """Rows of the default dataset (seed 0) by split, video and timestamp."""
    found: dict[str, dict[tuple[int, int], list[scene.Row]]] = {
        "train": defaultdict(list),
        "val": defaultdict(list),
    }
    for split, count in (("train", 48), ("val", 16)):
        for index in range(count):
            for row in scene.compute_ground_truth(build(split, index), *SIZE, SECONDS)[0]:
                found[split][index, row.timestamp].append(row)
    return found


def test_a_box_is_tight_around_the_pixels_of_a_person() -> None:
    checked = 0
    for index in range(12):
        actors = build("train", index)
        if len(actors) > 1:
            continue
        for row in scene.compute_ground_truth(actors, *SIZE, SECONDS)[0]:
            frame = (row.timestamp - scene.START_SECOND) * scene.FPS
            canvas = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
            # Away from the gray of the canvas, so that every drawn pixel shows.
            appearance = replace(
                actors[0].role.appearance,
                skin=(255, 255, 255),
                hair=(0, 0, 0),
                paper=(255, 255, 255),
            )
            appearance = replace(
                appearance, shirt=(255, 0, 0), trousers=(0, 0, 255), shoes=(0, 0, 0)
            )
            actor = actors[0]
            draw_figure(
                canvas,
                actor.joints[frame],
                actor.facing[frame],
                appearance,
                actor.held[frame],
                actor.held_size[frame],
            )
            drawn = np.abs(canvas.astype(int) - 128).max(axis=2) > 32
            ys = np.flatnonzero(drawn.any(axis=1))
            xs = np.flatnonzero(drawn.any(axis=0))
            expected = np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1])
            np.testing.assert_allclose(np.array(row.box) * [*SIZE, *SIZE], expected, atol=1.01)
            checked += 1
    assert checked > 50


def test_somebody_hidden_excludes_the_keyframe() -> None:
    actor = build("train", 1)[0]
    rows, excluded = scene.compute_ground_truth([actor], *SIZE, SECONDS)
    assert len(rows) > 20
    rows, excluded = scene.compute_ground_truth([actor, actor], *SIZE, SECONDS)
    assert rows == []
    assert excluded == [
        scene.START_SECOND + second for second in scene.compute_keyframe_seconds(SECONDS)
    ]


def test_a_partly_covered_person_has_the_box_of_what_shows() -> None:
    actor = build("train", 1)[0]
    moved = replace(
        actor, joints=actor.joints + np.array([0.2 * actor.role.appearance.height, 0.0])
    )
    alone = {
        row.timestamp: row.box for row in scene.compute_ground_truth([actor], *SIZE, SECONDS)[0]
    }
    rows = [
        row
        for row in scene.compute_ground_truth([actor, moved], *SIZE, SECONDS)[0]
        if row.person_id == 0
    ]
    assert rows
    for row in rows:
        x1, y1, x2, y2 = row.box
        assert x1 >= alone[row.timestamp][0]
        assert y1 >= alone[row.timestamp][1]
        assert x2 <= alone[row.timestamp][2]
        assert y2 <= alone[row.timestamp][3]
    assert any(row.box != alone[row.timestamp] for row in rows)


def test_overlap_at_a_tenth_of_the_keyframes_at_least(
    default_rows: dict[str, dict[tuple[int, int], list[scene.Row]]],
) -> None:
    keyframes = [rows for split in default_rows.values() for rows in split.values()]
    overlapping = 0
    for rows in keyframes:
        boxes = np.array([row.box for row in rows])
        low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
        high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        shared = np.prod(np.clip(high - low, 0, None), axis=2)
        area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        share = shared / np.minimum(area[:, None], area[None, :])
        np.fill_diagonal(share, 0)
        overlapping += share.max() > 0.1
    assert 0.10 < overlapping / len(keyframes) < 0.25


def test_one_to_three_persons_and_every_class_often_enough(
    default_rows: dict[str, dict[tuple[int, int], list[scene.Row]]],
) -> None:
    for split, smallest in (("train", 150), ("val", 35)):
        counts = Counter(
            action
            for rows in default_rows[split].values()
            for row in rows
            for action in row.action_ids
        )
        assert set(counts) == set(actions.ACTION_NAMES)
        assert min(counts.values()) >= smallest
        persons = {len(rows) for rows in default_rows[split].values()}
        assert persons == {1, 2, 3}


def test_figures_are_large_enough_to_see(
    default_rows: dict[str, dict[tuple[int, int], list[scene.Row]]],
) -> None:
    standing = [
        row.box[3] - row.box[1]
        for rows in default_rows["train"].values()
        for row in rows
        if actions.STAND in row.action_ids and len(row.action_ids) == 1
    ]
    assert 0.4 < np.quantile(standing, 0.02) < np.quantile(standing, 0.98) < 0.8
