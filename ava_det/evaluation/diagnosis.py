"""Measures what each kind of error costs, by an oracle that corrects only errors of that kind.

Every unmatched detection has one cause, in this order: `duplicate` (its ground truth is taken),
`wrong box` (overlaps ground truth of its class, but too little), `wrong class` (on a person of
another class), `background` (on nobody). `missed person` is ground truth whose person no detection
of any class covers. The oracle moves a wrong box onto its ground truth, deletes detections of the
other kinds, and takes missed persons out of the ground truth. The costs do not add up to 1 - mAP:
errors hide each other. (After TIDE, Bolya et al., ECCV 2020, on AVA's matching rules.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ava_det.evaluation.ava_evaluator import Evaluation
from ava_det.evaluation.frame_map import (
    BoxRows,
    Overlaps,
    compute_overlaps,
    match_detections,
    rank_detections,
)
from ava_det.evaluation.metrics import FrameMap, compute_gains
from ava_det.evaluation.summary import summarize

NEAR_IOU = 0.1  # below it, a box does not mean the person (TIDE's background threshold)
CAUSES = ("wrong box", "wrong class", "missed person", "background", "duplicate")


@dataclass
class Diagnosis:
    """Holds what each kind of error costs.

    Attributes:
        gains: Cause -> mAP after its oracle minus mAP.
        per_class: Cause -> action id -> the same for AP.
        num_errors: Cause -> detections (for `missed person` ground-truth boxes) of that cause.
    """

    gains: dict[str, float]
    per_class: dict[str, dict[int, float]]
    num_errors: dict[str, int]


def diagnose(evaluation: Evaluation, iou_threshold: float) -> Diagnosis:
    """Measures the five causes at one of the evaluation's IoU thresholds.

    Args:
        evaluation: The evaluation.
        iou_threshold: One of its thresholds.

    Returns:
        The costs; all are zero where mAP is undefined.
    """
    causes = _classify(evaluation, iou_threshold)
    before = summarize(
        evaluation.rankings[iou_threshold], evaluation.label_map, evaluation.protocol
    )
    gains = {}
    per_class = {}
    for cause in CAUSES:
        after = _summarize_corrected(evaluation, iou_threshold, cause, causes[cause])
        gains[cause] = (after.mean_ap or 0.0) - (before.mean_ap or 0.0)
        per_class[cause] = compute_gains(after.per_class, before.per_class)
    return Diagnosis(gains, per_class, {cause: int(mask.sum()) for cause, mask in causes.items()})


def _classify(evaluation: Evaluation, iou_threshold: float) -> dict[str, Tensor]:
    """Returns cause -> bool over the detections, for `missed person` over the ground truth."""
    selection = evaluation.selection
    ious = evaluation.overlaps.ious
    wrong = ~evaluation.rankings[iou_threshold].true_positive
    truth = _without_classes(selection.ground_truth)
    detections = _without_classes(selection.detections)
    person_ious = compute_overlaps(truth, detections, len(selection.keyframes), 1).ious
    covered = compute_overlaps(detections, truth, len(selection.keyframes), 1).ious >= iou_threshold
    duplicate = wrong & (ious >= iou_threshold)
    wrong_box = wrong & ~duplicate & (ious >= NEAR_IOU)
    wrong_class = wrong & ~duplicate & ~wrong_box & (person_ious >= iou_threshold)
    return {
        "wrong box": wrong_box,
        "wrong class": wrong_class,
        "missed person": ~covered,
        "background": wrong & ~duplicate & ~wrong_box & ~wrong_class,
        "duplicate": duplicate,
    }


def _without_classes(rows: BoxRows) -> BoxRows:
    """Returns the same boxes as one class: where persons are, whatever they do."""
    return BoxRows(rows.keyframes, torch.zeros_like(rows.classes), rows.boxes)


def _summarize_corrected(
    evaluation: Evaluation, iou_threshold: float, cause: str, errors: Tensor
) -> FrameMap:
    """Summarizes the result after the oracle has corrected the errors of one cause."""
    selection = evaluation.selection
    ranking = evaluation.rankings[iou_threshold]
    matched = ranking.true_positive
    gone = errors
    denominators = selection.denominators
    if cause == "missed person":
        missed = torch.bincount(selection.ground_truth.classes[errors], minlength=len(denominators))
        denominators = denominators - missed
        gone = torch.zeros_like(matched)
    elif cause == "wrong box":
        ious = torch.where(
            errors, torch.ones_like(evaluation.overlaps.ious), evaluation.overlaps.ious
        )
        moved = Overlaps(ious, evaluation.overlaps.targets)
        rematched = match_detections(
            moved, len(selection.ground_truth), iou_threshold, selection.match_scores
        )
        gone = (errors | matched) & ~rematched
        matched = rematched
    detections = selection.detections
    keep = ~gone
    assert detections.scores is not None
    rows = BoxRows(
        detections.keyframes[keep],
        detections.classes[keep],
        detections.boxes[keep],
        detections.scores[keep],
    )
    single = evaluation.protocol.single_precision
    corrected_ranking = rank_detections(rows, matched[keep], denominators, single)
    return summarize(corrected_ranking, evaluation.label_map, evaluation.protocol)
