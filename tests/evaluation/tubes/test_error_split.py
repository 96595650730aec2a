"""MultiSports' split of errors: one false tube of each kind, and the numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ava_det.evaluation.tubes import evaluate_tubes
from ava_det.evaluation.tubes.error_split import KINDS
from ava_det.evaluation.tubes.results import ErrorSplit
from ava_det.formats.tubes import Tube
from tests.support.tube_cases import make_truth, still

FAR = (200.0, 100.0, 240.0, 180.0)
HALF = (10.0, 10.0, 30.0, 90.0)  # IoU 0.5 with the still box
# one labeled tube of class 0 in frames 1..21 of `v`; with threshold 0.5 the limits are 0.707
FALSE = {
    "Repeat": still("v", 0, 1, 21, score=0.8),
    "Cls": still("v", 1, 1, 21, score=0.8),
    "Loc": still("v", 0, 1, 21, (*HALF[:3], 80.0), score=0.8),
    "Time": still("v", 0, 12, 21, score=0.8),
    "Time+Loc": still("v", 0, 12, 21, HALF, score=0.8),
    "Cls+Loc": still("v", 1, 1, 21, (*HALF[:3], 80.0), score=0.8),
    "Cls+Time": still("v", 1, 12, 21, score=0.8),
    "C+T+L": still("v", 1, 12, 21, HALF, score=0.8),
    "Extra": still("v", 0, 1, 21, FAR, score=0.8),
}


def split(found: list[Tube], labeled: list[Tube] | None = None) -> ErrorSplit:
    truth = make_truth(labeled or [still("v", 0, 1, 21), still("w", 1, 1, 21)])
    errors = evaluate_tubes(truth, found, errors_at=0.5).errors
    assert errors is not None
    return errors


@pytest.mark.parametrize("kind", KINDS)
def test_one_false_tube_of_each_kind(kind: str) -> None:
    errors = split([still("v", 0, 1, 21, score=0.9), FALSE[kind]])
    assert {name: count for name, count in errors.num_errors.items() if count} == {kind: 1}


def test_the_numbers_are_areas_over_recall() -> None:
    """Class 0: a false tube, then a hit: at recall 1 half of the tubes is false."""
    labeled = [still("v", 0, 1, 21)]
    found = [still("v", 0, 40, 21, score=0.9), still("v", 0, 1, 21, score=0.8)]
    truth = make_truth(labeled, ["jump"])
    errors = evaluate_tubes(truth, found, errors_at=0.5).errors
    assert errors is not None
    assert errors.per_class[0] == {
        "AP": 0.5,
        **dict.fromkeys(KINDS, 0.0),
        "Extra": 0.5,
        "Missed": 0.0,
    }
    assert errors.means == errors.per_class[0]
    missed = evaluate_tubes(truth, found[:1], errors_at=0.5).errors
    assert missed is not None
    assert (missed.means["Missed"], missed.means["Extra"]) == (1.0, 0.0)


def test_a_class_without_detections_is_missed() -> None:
    errors = split([still("v", 0, 1, 21, score=0.9)])
    assert errors.per_class[1]["Missed"] == 1.0
    assert errors.means["Missed"] == 0.5


def test_what_the_published_code_cannot_split_is_one_sentence() -> None:
    truth = make_truth([still("v", 0, 1, 21)])
    with pytest.raises(ValueError, match="found none of wave, where the published code divides"):
        evaluate_tubes(truth, [still("v", 1, 1, 21, score=0.5)], errors_at=0.5)
    with pytest.raises(ValueError, match="protocol act: expected multisports or mmaction2"):
        evaluate_tubes(truth, [], "act", errors_at=0.5)
    with pytest.raises(ValueError, match="videos of the split alone, found 1 others"):
        evaluate_tubes(truth, [still("other", 0, 1, 21, score=0.5)], errors_at=0.5)
    point = make_truth([still("v", 0, 3, 1)])
    with pytest.raises(ValueError, match="found 0/0 of a tube of label 'jump'"):
        evaluate_tubes(point, [still("v", 0, 3, 1, score=0.5)], errors_at=0.5)


def test_the_kinds_add_up_to_the_false_tubes() -> None:
    random = np.random.default_rng(0)
    labeled = [still(f"v{i % 4}", i % 2, int(random.integers(1, 20)), 15) for i in range(16)]
    found = [
        still(
            f"v{i % 4}",
            int(random.integers(2)),
            int(random.integers(1, 25)),
            15,
            (10 + random.uniform(0, 30), 10, 60, 90),
            float(random.random()),
        )
        for i in range(80)
    ]
    result = evaluate_tubes(make_truth(labeled), found, thresholds=[0.5], errors_at=0.5)
    assert result.errors is not None
    hits = sum(len(ranks) for ranks in result.ranks[0.5].values())
    assert sum(result.errors.num_errors.values()) == len(found) - hits
    for label, row in result.errors.per_class.items():
        assert row["AP"] == pytest.approx(result.by_threshold[0.5].per_class[label].ap, abs=1e-6)
