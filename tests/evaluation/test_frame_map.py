"""Frame mAP against a plain loop, and the properties it must have."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ava_det.evaluation.frame_map import (
    BoxRows,
    compute_average_precision,
    compute_frame_map,
    compute_ious,
    compute_overlaps,
    match_detections,
    rank_detections,
    sortable_scores,
)

KEYFRAMES = 4
CLASSES = 3


def random_rows(seed: int, count: int, decimals: int | None = None) -> BoxRows:
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, dtype=torch.float64, generator=generator)

    corners = uniform(count, 2).mul(4).round() / 8
    sizes = uniform(count, 2).mul(4).round().add(1) / 8
    scores = uniform(count) if decimals is None else uniform(count).round(decimals=decimals)
    keyframes = torch.randint(0, KEYFRAMES, (count,), generator=generator).sort().values
    classes = torch.randint(0, CLASSES, (count,), generator=generator)
    return BoxRows(keyframes, classes, torch.cat([corners, corners + sizes], 1), scores)


def iou_of(box: list[float], other: list[float]) -> float:
    width = max(min(box[2], other[2]) - max(box[0], other[0]), 0.0)
    height = max(min(box[3], other[3]) - max(box[1], other[1]), 0.0)
    areas = [(b[3] - b[1]) * (b[2] - b[0]) for b in (box, other)]
    return height * width / (areas[0] + areas[1] - height * width)


def looped_average_precision(truth: BoxRows, detections: BoxRows, class_: int) -> float:
    """One class, as one would write it from the definition."""
    assert detections.scores is not None
    rows = [row for row in range(len(detections)) if detections.classes[row] == class_]
    num_gt = int((truth.classes == class_).sum())
    if not num_gt:
        return math.nan
    taken: set[int] = set()
    hit = {}
    for row in sorted(rows, key=lambda r: -float(detections.scores[r])):
        best = 0.0
        target = -1
        for candidate in range(len(truth)):
            if (
                truth.classes[candidate] == class_
                and truth.keyframes[candidate] == detections.keyframes[row]
            ):
                iou = iou_of(detections.boxes[row].tolist(), truth.boxes[candidate].tolist())
                if iou > best:
                    best = iou
                    target = candidate
        hit[row] = best >= 0.5 and target not in taken
        if best >= 0.5:
            taken.add(target)
    ranked = sorted(rows, key=lambda r: (-float(detections.scores[r]), -r))
    precision = []
    recall = []
    found = 0
    for rank, row in enumerate(ranked, 1):
        found += hit[row]
        precision.append(found / rank)
        recall.append(found / num_gt)
    average = 0.0
    before = 0.0
    for place, value in enumerate(recall):
        average += (value - before) * max(precision[place:])
        before = value
    return average


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    num_gt=st.integers(0, 25),
    num_det=st.integers(0, 60),
    decimals=st.sampled_from([None, 1]),
)
def test_it_agrees_with_a_plain_loop(
    seed: int, num_gt: int, num_det: int, decimals: int | None
) -> None:
    truth = random_rows(seed, num_gt)
    detections = random_rows(seed + 1, num_det, decimals)
    mean, values = compute_frame_map(truth, detections, KEYFRAMES, CLASSES)
    expected = [looped_average_precision(truth, detections, class_) for class_ in range(CLASSES)]
    assert values.tolist() == pytest.approx(expected, abs=1e-12, nan_ok=True)
    defined = [value for value in expected if not math.isnan(value)]
    assert mean == pytest.approx(
        sum(defined) / len(defined) if defined else math.nan, abs=1e-12, nan_ok=True
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**20), num_gt=st.integers(1, 25))
def test_perfect_detections_give_one(seed: int, num_gt: int) -> None:
    truth = random_rows(seed, num_gt)
    _, first = torch.unique(
        torch.cat([truth.keyframes[:, None], truth.classes[:, None], truth.boxes], 1),
        dim=0,
        return_inverse=True,
    )
    distinct = torch.tensor(
        [int((first == index).nonzero()[0]) for index in range(int(first.max()) + 1)]
    )
    truth = BoxRows(truth.keyframes[distinct], truth.classes[distinct], truth.boxes[distinct])
    scores = torch.rand(len(truth), dtype=torch.float64)
    mean, _ = compute_frame_map(truth, replace(truth, scores=scores), KEYFRAMES, CLASSES)
    assert mean == pytest.approx(1.0, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**20), scale=st.floats(0.01, 100), power=st.sampled_from([1.0, 3.0]))
def test_order_of_rows_and_monotone_rescaling_change_nothing(
    seed: int, scale: float, power: float
) -> None:
    truth = random_rows(seed, 20)
    detections = random_rows(seed + 1, 50)
    assert detections.scores is not None
    order = torch.randperm(len(detections))
    shuffled = BoxRows(
        detections.keyframes[order],
        detections.classes[order],
        detections.boxes[order],
        detections.scores[order].pow(power) * scale,
    )
    before = compute_frame_map(truth, detections, KEYFRAMES, CLASSES)[1]
    after = compute_frame_map(truth, shuffled, KEYFRAMES, CLASSES)[1]
    torch.testing.assert_close(before, after, rtol=0, atol=1e-12, equal_nan=True)


def with_row(rows: BoxRows, keyframe: int, class_: int, box: list[float], score: float) -> BoxRows:
    assert rows.scores is not None
    return BoxRows(
        torch.cat([rows.keyframes, torch.tensor([keyframe])]),
        torch.cat([rows.classes, torch.tensor([class_])]),
        torch.cat([rows.boxes, torch.tensor([box], dtype=torch.float64)]),
        torch.cat([rows.scores, torch.tensor([score], dtype=torch.float64)]),
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**20), class_=st.integers(0, CLASSES - 1))
def test_a_false_positive_below_every_true_positive_changes_nothing(seed: int, class_: int) -> None:
    truth = random_rows(seed, 20)
    detections = random_rows(seed + 1, 50)
    below = with_row(detections, 0, class_, [5.0, 5.0, 6.0, 6.0], -1.0)
    before = compute_frame_map(truth, detections, KEYFRAMES, CLASSES)[1]
    after = compute_frame_map(truth, below, KEYFRAMES, CLASSES)[1]
    torch.testing.assert_close(before, after, rtol=0, atol=0, equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**20), row=st.integers(0, 49))
def test_a_duplicate_never_helps(seed: int, row: int) -> None:
    truth = random_rows(seed, 20)
    detections = random_rows(seed + 1, 50)
    assert detections.scores is not None
    twice = with_row(
        detections,
        int(detections.keyframes[row]),
        int(detections.classes[row]),
        detections.boxes[row].tolist(),
        float(detections.scores[row]),
    )
    before = compute_frame_map(truth, detections, KEYFRAMES, CLASSES)[1]
    after = compute_frame_map(truth, twice, KEYFRAMES, CLASSES)[1]
    assert (after[~after.isnan()] <= before[~before.isnan()] + 1e-12).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_the_interval_over_ties_holds_every_order_of_tied_rows(seed: int) -> None:
    truth = random_rows(seed, 20)
    detections = random_rows(seed + 1, 50, decimals=1)
    assert detections.scores is not None
    overlaps = compute_overlaps(truth, detections, KEYFRAMES, CLASSES)
    matched = match_detections(overlaps, len(truth), 0.5, detections.scores)
    num_gt = torch.bincount(truth.classes, minlength=CLASSES)
    nudge = torch.where(matched, 1e-6, 0.0)
    for sign, name in ((1, "first"), (-1, "last")):
        moved = replace(detections, scores=detections.scores + sign * nudge)
        forced = rank_detections(moved, matched, num_gt).classes
        for ranks, extreme in zip(
            rank_detections(detections, matched, num_gt).classes, forced, strict=True
        ):
            assert getattr(ranks, name).tolist() == extreme.ranks.tolist()
            assert (ranks.first <= ranks.ranks).all()
            assert (ranks.ranks <= ranks.last).all()


def test_an_iou_of_exactly_one_half_counts_and_rounding_decides_beside_it() -> None:
    def iou(box: list[float], other: list[float], dtype: torch.dtype) -> float:
        return float(
            compute_ious(torch.tensor([box], dtype=dtype), torch.tensor([other], dtype=dtype))
        )

    assert iou([0, 0, 1, 0.5], [0, 0, 1, 1], torch.float64) == 0.5
    assert iou([0.1, 0.1, 0.5, 0.3], [0.1, 0.1, 0.5, 0.5], torch.float64) < 0.5
    assert iou([0.1, 0.1, 0.5, 0.3], [0.1, 0.1, 0.5, 0.5], torch.float32) >= 0.5


def test_scores_sort_with_nan_highest_and_zeros_equal() -> None:
    scores = torch.tensor(
        [math.nan, math.inf, 1.0, 1e-300, 0.0, -0.0, -1e-300, -1.0, -math.inf], dtype=torch.float64
    )
    keys = sortable_scores(scores).tolist()
    assert keys == sorted(keys, reverse=True)
    assert keys[4] == keys[5]
    assert len(set(keys)) == len(keys) - 1
    assert sortable_scores(torch.tensor([-math.nan], dtype=torch.float64)).tolist() == keys[:1]


@pytest.mark.parametrize(
    ("ranks", "num_gt", "expected"), [([1], 1, 1.0), ([1, 3], 3, (1 + 2 / 3) / 3), ([], 2, 0.0)]
)
def test_average_precision_of_known_ranks(ranks: list[int], num_gt: int, expected: float) -> None:
    assert compute_average_precision(
        torch.tensor(ranks, dtype=torch.int64), num_gt
    ) == pytest.approx(expected)


def test_average_precision_without_ground_truth_is_undefined() -> None:
    assert math.isnan(compute_average_precision(torch.tensor([], dtype=torch.int64), 0))


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu() -> None:
    truth = random_rows(0, 2000)
    detections = random_rows(1, 20000, decimals=3)
    mean, values = compute_frame_map(truth, detections, KEYFRAMES, CLASSES)

    def on_cuda(rows: BoxRows) -> BoxRows:
        scores = None if rows.scores is None else rows.scores.cuda()
        return BoxRows(rows.keyframes.cuda(), rows.classes.cuda(), rows.boxes.cuda(), scores)

    cuda_mean, cuda_values = compute_frame_map(
        on_cuda(truth), on_cuda(detections), KEYFRAMES, CLASSES
    )
    assert cuda_mean == pytest.approx(mean, abs=1e-12)
    torch.testing.assert_close(cuda_values, values, rtol=0, atol=1e-12)
