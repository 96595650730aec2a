"""Weighted means of result files: hand-computed answers, and what must always hold."""

from __future__ import annotations

import itertools
from dataclasses import fields

import numpy as np
import pytest

from ava_det.ensembles import fuse_rows
from ava_det.formats.ava_csv import AvaRows

NEAR = 0.03  # how far boxes of one person lie apart, of a width of 0.2


def make_member(seed: int, is_same_boxes: bool = False) -> AvaRows:
    """Twelve keyframes of two videos with three persons; some persons and actions are absent."""
    random = np.random.default_rng(seed)
    places = np.random.default_rng(0).uniform(0, 0.7, (12, 3, 2))
    rows = []
    for frame, person in np.ndindex(12, 3):
        moved = 0.0 if is_same_boxes else random.uniform(-NEAR, NEAR, 2)
        x, y = (places[frame, person] + moved).astype(np.float32)
        if is_same_boxes or random.uniform() < 0.8:
            for action in (1, 2, 5):
                if is_same_boxes or random.uniform() < 0.9:
                    rows.append((frame // 6, 900 + frame % 6, x, y, action, random.uniform()))
    video, time, x, y, actions, scores = (np.array(column) for column in zip(*rows, strict=True))
    boxes = np.stack((x, y, x + 0.2, y + 0.3), axis=1).astype(np.float32)
    return AvaRows(
        ["b", "a"],
        video.astype(np.int32),
        time.astype(np.float64),
        boxes.astype(str).astype(np.float64),
        actions,
        scores.astype(np.float32).astype(np.float64),
        path=f"member {seed}",
    )


def table_of(rows: AvaRows) -> list[tuple[object, ...]]:
    return list(
        zip(
            rows.video_ids.tolist(),
            rows.timestamps.tolist(),
            *rows.boxes.T.tolist(),
            rows.action_ids.tolist(),
            rows.scores.tolist(),
            strict=True,
        )
    )


def a_row(box: tuple[float, ...], action: int, score: float, timestamp: float = 902) -> AvaRows:
    columns = (np.array([timestamp]), np.array([box]), np.array([action]), np.array([score]))
    return AvaRows(["v"], np.zeros(1, np.int32), *columns)


def test_the_weighted_mean_of_sigmoids() -> None:
    """(1 x 0.2 + 1.5 x 0.7) / 2.5 = 0.5 on one box, and boxes that differ are averaged alike:
    (1 x 0.1 + 1.5 x 0.15) / 2.5 = 0.13.
    """
    box = (0.1, 0.2, 0.5, 0.8)
    same = fuse_rows([a_row(box, 1, 0.2), a_row(box, 1, 0.7)], [1, 1.5])
    assert table_of(same) == [("v", 902, *box, 1, 0.5)]
    moved = fuse_rows([a_row(box, 1, 0.2), a_row((0.15, 0.2, 0.55, 0.8), 1, 0.7)], [1, 1.5])
    assert table_of(moved) == [("v", 902, 0.13, 0.2, 0.53, 0.8, 1, 0.5)]


def test_a_file_without_the_box_counts_as_score_0() -> None:
    """0.8 of weight 1 and nothing of weight 3 is 0.2; the box is that of the file that has it."""
    left, right = (0.0, 0.0, 0.3, 1.0), (0.6, 0.0, 0.9, 1.0)
    fused = fuse_rows([a_row(left, 1, 0.8), a_row(right, 1, 0.8)], [1, 3])
    expected = [("v", 902, *left, 1, 0.2), ("v", 902, *right, 1, 0.6)]
    assert table_of(fused) == [(*row[:-1], pytest.approx(row[-1], abs=1e-7)) for row in expected]


def test_as_a_loop_over_rows_on_the_same_boxes() -> None:
    members = [make_member(seed, is_same_boxes=True) for seed in range(3)]
    weights = (1.0, 0.5, 2.5)
    total: dict[tuple[object, ...], float] = {}
    for member, weight in zip(members, weights, strict=True):
        for *key, score in table_of(member):
            total[tuple(key)] = total.get(tuple(key), 0.0) + weight * score
    fused = fuse_rows(members, weights)
    expected = [(*key, pytest.approx(value / 4, abs=1e-7)) for key, value in sorted(total.items())]
    assert table_of(fused) == expected


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_file_with_itself_is_itself(count: int) -> None:
    member = make_member(3)
    fused = fuse_rows([member] * count, (1.0, 1.5, 0.7)[:count])
    assert table_of(fused) == sorted(table_of(member))


def test_the_order_of_files_changes_nothing_to_the_last_bit() -> None:
    members = [make_member(seed) for seed in range(3)]
    weights = (0.3, 1.1, 1.7)
    tables = [
        table_of(fuse_rows([members[i] for i in order], [weights[i] for i in order]))
        for order in itertools.permutations(range(3))
    ]
    assert all(table == tables[0] for table in tables)


def test_the_order_of_rows_changes_nothing() -> None:
    members = [make_member(seed) for seed in range(2)]
    order = np.random.default_rng(0).permutation(len(members[1]))
    mixed = [members[0], members[1].take(order)]
    assert table_of(fuse_rows(mixed, [1, 2])) == table_of(fuse_rows(members, [1, 2]))


def test_weight_0_is_absent() -> None:
    members = [make_member(seed) for seed in range(3)]
    without = fuse_rows([members[0], members[2]], [1, 2])
    assert table_of(fuse_rows(members, [1, 0, 2])) == table_of(without)
    assert table_of(fuse_rows(members, [0, 1, 0])) == sorted(table_of(members[1]))


def test_only_the_ratios_of_weights_count() -> None:
    members = [make_member(seed) for seed in range(3)]
    small, large = (fuse_rows(members, [1 * k, 0.5 * k, 2 * k]) for k in (1, 8))
    assert table_of(small) == table_of(large)


def test_no_row_is_lost_and_scores_stay_within_those_of_the_members() -> None:
    members = [make_member(seed) for seed in range(3)]
    fused = fuse_rows(members, [1, 1, 1])
    assert len(fused) >= max(map(len, members))
    assert fused.scores.min() >= 0 and fused.scores.max() <= max(m.scores.max() for m in members)
    assert {field.name for field in fields(fused)} >= {"boxes", "ids_or_scores"}
    mass = sum(member.scores.sum() for member in members) / 3
    assert fused.scores.sum() == pytest.approx(mass, rel=1e-6)


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, float("inf")], [1, float("nan")]])
def test_weights_that_are_none(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights: expected"):
        fuse_rows([make_member(0), make_member(1)], weights)
