"""Pooled result files: hand-computed answers, and a loop over rows that does the same."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from ava_det.ensembles import fit_weights, fuse_rows
from ava_det.formats.ava_csv import AvaRows
from tests.ensembles.test_alignment import rows_of, shifted
from tests.ensembles.test_fusion import make_member, table_of


def pooled(*members: AvaRows, weights: list[float] | None = None) -> list[tuple[object, ...]]:
    """Time, left edge, action and score of each row that stays."""
    fused = fuse_rows(members, weights or [1.0] * len(members), 0.5, pool=True)
    return [(row[1], row[2], row[6], round(float(str(row[7])), 6)) for row in table_of(fused)]


def test_of_boxes_that_overlap_the_surest_stays_class_by_class() -> None:
    """0.1 apart is IoU 0.6: action 1 stays in the first file, action 2 in the second."""
    first = rows_of(("v", 1, shifted(0.0), 1, 0.9), ("v", 1, shifted(0.0), 2, 0.3))
    second = rows_of(("v", 1, shifted(0.1), 1, 0.6), ("v", 1, shifted(0.1), 2, 0.4))
    assert pooled(first, second) == [(1, 0.0, 1, 0.9), (1, 0.1, 2, 0.4)]


def test_what_one_file_alone_has_loses_nothing() -> None:
    first = rows_of(("v", 1, shifted(0.0), 1, 0.9), ("v", 2, shifted(0.0), 1, 0.7))
    second = rows_of(("v", 1, shifted(0.5), 1, 0.2), ("v", 1, shifted(0.01), 3, 0.1))
    expected = [(1, 0.0, 1, 0.9), (1, 0.01, 3, 0.1), (1, 0.5, 1, 0.2), (2, 0.0, 1, 0.7)]
    assert pooled(first, second) == expected


def test_equal_boxes_have_their_mean_and_a_lighter_file_counts_less() -> None:
    """(1 x 0.8 + 3 x 0.4) / 4 = 0.5 where both have the box, 1 / 3 of 0.9 where the lighter has."""
    first = rows_of(("v", 1, shifted(0.0), 1, 0.8), ("v", 1, shifted(0.5), 1, 0.9))
    second = rows_of(("v", 1, shifted(0.0), 1, 0.4))
    assert pooled(first, second, weights=[1, 3]) == [(1, 0.0, 1, 0.5), (1, 0.5, 1, 0.3)]
    assert pooled(first, second, weights=[1, 0]) == [(1, 0.0, 1, 0.8), (1, 0.5, 1, 0.9)]


def test_boxes_of_one_file_stay_side_by_side() -> None:
    first = rows_of(("v", 1, shifted(0.0), 1, 0.9), ("v", 1, shifted(0.05), 1, 0.8))
    second = rows_of(("v", 1, shifted(0.55), 1, 0.5))
    assert len(pooled(first, second)) == 3


def test_a_removed_row_removes_nothing() -> None:
    """The middle box overlaps both; it falls to the first, so the third stays."""
    members = [
        rows_of(("v", 1, shifted(x), 1, score)) for x, score in ((0.0, 0.9), (0.1, 0.8), (0.2, 0.7))
    ]
    assert pooled(*members) == [(1, 0.0, 1, 0.9), (1, 0.2, 1, 0.7)]


def test_of_equal_scores_the_order_of_files_decides_nothing() -> None:
    one = rows_of(("v", 1, shifted(0.0), 1, 0.5))
    two = rows_of(("v", 1, shifted(0.1), 1, 0.5))
    assert pooled(one, two) == pooled(two, one) == [(1, 0.0, 1, 0.5)]


def suppress(members: list[AvaRows]) -> set[tuple[object, ...]]:
    """Greedy suppression, row by row, of files without an equal box."""
    rows = [(row, place) for place, rows in enumerate(members) for row in table_of(rows)]
    rows.sort(key=lambda row: -float(str(row[0][7])))
    kept: list[tuple[tuple[object, ...], int]] = []
    for row, place in rows:
        box = torch.tensor([row[2:6]], dtype=torch.float64)
        rivals = [
            torch.tensor([other[2:6]], dtype=torch.float64)
            for other, owner in kept
            if owner != place and (*other[:2], other[6]) == (*row[:2], row[6])
        ]
        if all(float(box_iou(box, rival)) < 0.5 for rival in rivals):
            kept.append((row, place))
    return {row for row, _ in kept}


@pytest.mark.parametrize("count", [2, 3, 4])
def test_as_a_loop_over_rows(count: int) -> None:
    members = [make_member(seed) for seed in range(count)]
    expected = suppress(members)
    assert 0 < len(expected) < sum(map(len, members))
    for order in itertools.permutations(members):
        found = table_of(fuse_rows(order, [1.0] * count, pool=True))
        assert len(found) == len(expected)
        assert set(found) == expected


def test_a_file_with_itself_is_itself() -> None:
    member = make_member(3)
    alone = table_of(fuse_rows([member], [1], pool=True))
    assert sorted(alone) == sorted(table_of(member))
    assert table_of(fuse_rows([member, member], [1, 1.7], pool=True)) == alone


def test_weights_are_fitted_on_what_is_pooled() -> None:
    """The second file is always wrong, and surer: pooled, only a weight near 0 helps."""
    right = rows_of(*(("v", time, shifted(0.0), 1, 0.6) for time in range(4)))
    wrong = rows_of(*(("v", time, shifted(0.05), 1, 0.9) for time in range(4)))

    def score(rows: AvaRows) -> float:
        return float((rows.boxes[:, 0] == 0).sum())

    fit = fit_weights([right, wrong], score, pool=True)
    assert fit.score == 4
    assert fit.weights[1] * 0.9 < 0.6
    assert np.isclose(max(fit.weights), 1)
