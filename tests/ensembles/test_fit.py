"""The search of weights: what it finds where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from ava_det.ensembles import fit_weights, fuse_rows
from ava_det.ensembles.fit import GRID
from ava_det.formats.ava_csv import AvaRows

BOX = (0.1, 0.2, 0.5, 0.8)


def member_of(scores: list[float]) -> AvaRows:
    """One person for each score, each at a keyframe of its own."""
    count = len(scores)
    columns = (np.arange(count, dtype=float), np.tile(BOX, (count, 1)), np.ones(count, np.int64))
    return AvaRows(["v"], np.zeros(count, np.int32), *columns, np.array(scores))


def nearness(target: list[float]) -> object:
    return lambda rows: -float(np.abs(rows.scores - np.array(target)).sum())


@pytest.mark.parametrize(("first", "second"), [(1, 1), (3, 1), (1, 1.5), (1, 0)])
def test_it_finds_the_weights_that_made_the_target(first: float, second: float) -> None:
    members = [member_of([0.1, 0.9, 0.5]), member_of([0.7, 0.2, 0.4])]
    target = fuse_rows(members, [first, second]).scores.tolist()
    fit = fit_weights(members, nearness(target))  # type: ignore[arg-type]
    assert fit.score == pytest.approx(0, abs=1e-6)
    assert fit.weights == pytest.approx((first / max(first, second), second / max(first, second)))
    assert fit.num_tried <= 3 + len(GRID)


def test_of_equal_files_equal_weights_stay() -> None:
    member = member_of([0.1, 0.9])
    fit = fit_weights([member, member, member], nearness([0.0, 1.0]))  # type: ignore[arg-type]
    assert fit.weights == (1, 1, 1)


def test_it_ends_no_lower_than_any_start_and_always_alike() -> None:
    random = np.random.default_rng(5)
    members = [member_of(random.uniform(size=6).tolist()) for _ in range(4)]

    def score(rows: AvaRows) -> float:
        return -float(np.abs(rows.scores - 0.3).max())

    fit = fit_weights(members, score)
    starts = [[1.0] * 4, *np.eye(4).tolist()]
    assert fit.score >= max(score(fuse_rows(members, weights)) for weights in starts)
    assert fit == fit_weights(members, score)
    assert max(fit.weights) == 1
