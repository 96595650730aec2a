"""Computes average precision from the ranks of the hits, as each evaluator does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ava_det.evaluation.tubes.protocols import Curve


def average_precision(ranks: np.ndarray, num_gt: int, num_det: int, curve: Curve) -> float:
    """Computes the average precision of one class.

    Args:
        ranks: int64 [T], rising, from 1: of the hits among the detections by falling score.
        num_gt: Ground truths.
        num_det: Detections.
        curve: The rule.

    Returns:
        0..1; 0 without ground truth.
    """
    if not num_gt:
        return 0.0
    found = np.arange(1, len(ranks) + 1)
    precision = found / ranks
    recall = found / (num_gt + curve.recall_epsilon)
    if curve.trapezoid:
        return _trapezoid(ranks, precision, recall, num_det)
    if curve.single_points:
        precision, recall = (
            column.astype(np.float32).astype(np.float64) for column in (precision, recall)
        )
    value = voc_area(precision, recall)
    if curve.rounding == "hundredths":
        return float(np.round(value * 100, 2)) / 100
    if curve.rounding == "single":
        return float(np.float32(value * 100)) / 100
    return value


def voc_area(precision: np.ndarray, recall: np.ndarray) -> float:
    """Computes the area under a curve that is made monotone from the right: PASCAL VOC, all points.

    Args:
        precision: float [N], in order of falling score.
        recall: float [N], rising.
    """
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0.0)
    return float(np.sum(steps * envelope))


def _trapezoid(ranks: np.ndarray, precision: np.ndarray, recall: np.ndarray, num_det: int) -> float:
    """Adds trapezoids up in float32, in numpy's order over all detections, misses included."""
    rise = np.diff(recall.astype(np.float32), prepend=np.float32(0))
    before = np.ones(len(ranks))
    np.divide(np.arange(len(ranks)), ranks - 1, out=before, where=ranks > 1)
    heights = precision.astype(np.float32) + before.astype(np.float32)
    terms = np.zeros(num_det, np.float32)
    terms[ranks - 1] = rise * heights * np.float32(0.5)
    return float(np.sum(terms))


def mean_precision(values: Sequence[float], curve: Curve) -> float | None:
    """Computes mAP from the APs of the classes that count; None without such a class."""
    if not values:
        return None
    if curve.rounding in ("single", "single mean"):
        percents = np.float32(100) * np.array(values, dtype=np.float64).astype(np.float32)
        if curve.rounding == "single":
            percents = np.array([100 * value for value in values], dtype=np.float32)
        return float(np.mean(percents)) / 100
    return float(np.mean(values))
