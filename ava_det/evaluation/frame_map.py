"""Computes frame mAP on tensors, CPU or CUDA: matches detections, ranks them, averages precision.

Per keyframe and class every detection is offered only the ground-truth box it overlaps most, the
first such on ties. It is a true positive if that IoU reaches the threshold and no earlier detection
took the box. So the true positive of a ground-truth box is the first detection in match order among
those that chose it: no loop over detections is needed.

Ranks within a class: descending score; of tied rows the later comes first; NaN comes first of all.
Average precision is the area under the precision-recall curve with precision made monotone (PASCAL
VOC 2010 and later).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class BoxRows:
    """Holds boxes of one class each; R rows on one device.

    Attributes:
        keyframes: int32 or int64 [R], 0..K-1.
        classes: int16, int32 or int64 [R], 0..C-1.
        boxes: [R, 4] xyxy in any one unit; IoU is computed in their dtype.
        scores: float64 [R]; None for ground truth.
    """

    keyframes: Tensor
    classes: Tensor
    boxes: Tensor
    scores: Tensor | None = None

    def __len__(self) -> int:
        return len(self.classes)


@dataclass
class Overlaps:
    """Holds what each detection overlaps most among the ground truth of its keyframe and class.

    Attributes:
        ious: [R], -1 where there is no such ground truth.
        targets: int64 [R], rows of the ground truth, -1 for none.
    """

    ious: Tensor
    targets: Tensor


@dataclass
class ClassRanks:
    """Holds the ranking of one class: everything its average precision is computed from.

    Attributes:
        ranks: int64 [T], 1-based, ascending: the ranks of the true positives.
        first: The same if among tied rows the true positives came first.
        last: The same if among tied rows the true positives came last.
        scores: float64 [T], of the true positives.
        num_gt: Ground-truth rows.
        num_det: Detection rows.
    """

    ranks: Tensor
    first: Tensor
    last: Tensor
    scores: Tensor
    num_gt: int
    num_det: int


@dataclass
class Ranking:
    """Holds the rankings of all classes.

    Attributes:
        classes: One ranking per class.
        num_tied: Detections that share class and score with another.
        true_positive: bool [R] over the detections.
    """

    classes: list[ClassRanks]
    num_tied: int
    true_positive: Tensor


def compute_ious(boxes: Tensor, others: Tensor) -> Tensor:
    """Computes intersection over union of two lists of boxes, row by row.

    Written as I / (A + B - I), in this order: published evaluators decide IoU 0.5 by its last bit.

    Args:
        boxes: [R, 4] xyxy.
        others: [R, 4] xyxy.

    Returns:
        [R]; NaN where both boxes have no area.
    """
    width = (
        torch.minimum(boxes[:, 2], others[:, 2]) - torch.maximum(boxes[:, 0], others[:, 0])
    ).clamp_(min=0)
    height = (
        torch.minimum(boxes[:, 3], others[:, 3]) - torch.maximum(boxes[:, 1], others[:, 1])
    ).clamp_(min=0)
    intersection = height * width
    area = (boxes[:, 3] - boxes[:, 1]) * (boxes[:, 2] - boxes[:, 0])
    other_area = (others[:, 3] - others[:, 1]) * (others[:, 2] - others[:, 0])
    return intersection / (area + other_area - intersection)


def compute_overlaps(
    ground_truth: BoxRows, detections: BoxRows, num_keyframes: int, num_classes: int
) -> Overlaps:
    """Finds the most overlapped ground truth of every detection.

    Of equal overlaps the first in ground-truth row order counts. NaN is the largest overlap, as in
    numpy's argmax, and reaches no threshold.

    Args:
        ground_truth: The labeled boxes.
        detections: The detected boxes.
        num_keyframes: K.
        num_classes: C.
    """
    device = detections.boxes.device
    ious = torch.full((len(detections),), -1.0, dtype=detections.boxes.dtype, device=device)
    targets = torch.full((len(detections),), -1, dtype=torch.int64, device=device)
    if not len(ground_truth) or not len(detections):
        return Overlaps(ious, targets)
    group = ground_truth.keyframes.long() * num_classes + ground_truth.classes
    group, order = torch.sort(group, stable=True)
    group, sizes = torch.unique_consecutive(group, return_counts=True)
    ends = sizes.cumsum(0)
    lookup = torch.full((num_keyframes * num_classes,), -1, dtype=torch.int32, device=device)
    lookup[group] = torch.arange(len(group), dtype=torch.int32, device=device)
    group_of_row = lookup[detections.keyframes.long() * num_classes + detections.classes]
    rows = torch.nonzero(group_of_row >= 0).squeeze(1)
    groups = group_of_row[rows].long()
    boxes = detections.boxes[rows]
    targets_found = torch.full_like(rows, -1)
    ious_found = torch.full((len(rows),), -1.0, dtype=boxes.dtype, device=device)
    # the largest number of ground-truth boxes in one keyframe and class
    for place in range(int(sizes.max())):
        live = torch.nonzero(sizes[groups] > place).squeeze(1)
        candidate = order[(ends - sizes)[groups[live]] + place]
        iou = compute_ious(boxes[live], ground_truth.boxes[candidate])
        better = (iou > ious_found[live]) | (iou.isnan() & ~ious_found[live].isnan())
        ious_found[live[better]], targets_found[live[better]] = iou[better], candidate[better]
    ious[rows] = ious_found
    targets[rows] = targets_found
    return Overlaps(ious, targets)


def match_detections(
    overlaps: Overlaps, num_gt: int, iou_threshold: float, scores: Tensor | None
) -> Tensor:
    """Finds the detections that are true positives.

    Args:
        overlaps: What each detection overlaps most.
        num_gt: Ground-truth rows.
        iou_threshold: The least IoU of a match.
        scores: [R], which order the matching; None for row order.

    Returns:
        bool [R] over the detections.
    """
    hits = torch.nonzero(overlaps.ious >= iou_threshold).squeeze(1)
    if scores is not None:
        hits = hits[torch.argsort(sortable_scores(scores[hits]), descending=True, stable=True)]
    places = torch.arange(len(hits), device=hits.device)
    first = torch.full((num_gt,), len(hits), dtype=torch.int64, device=hits.device)
    first.scatter_reduce_(0, overlaps.targets[hits], places, "amin")
    true_positive = torch.zeros(len(overlaps.ious), dtype=torch.bool, device=hits.device)
    true_positive[hits[first[first < len(hits)]]] = True
    return true_positive


def rank_detections(
    detections: BoxRows, true_positive: Tensor, num_gt: Tensor, single_precision: bool = False
) -> Ranking:
    """Ranks every class's detections.

    Args:
        detections: The detected boxes, with scores.
        true_positive: bool [R].
        num_gt: int64 [C], the denominators of recall.
        single_precision: Compare scores as float32.
    """
    assert detections.scores is not None
    scores = detections.scores.float() if single_precision else detections.scores
    # torch sorts bytes in two thirds of the time
    narrow = torch.uint8 if len(num_gt) <= 256 else torch.int32
    by_class = torch.sort(detections.classes.to(narrow), stable=True).indices
    counts = torch.bincount(detections.classes, minlength=len(num_gt)).tolist()
    columns = (sortable_scores(scores)[by_class], true_positive[by_class], by_class)
    num_tied = 0
    classes = []
    for keys, hits, rows, denominator in zip(
        *(column.split(counts) for column in columns), num_gt.tolist(), strict=True
    ):
        keys, order = torch.sort(keys, stable=True)
        # ascending keys: the best stands last
        places = torch.nonzero(hits[order]).squeeze(1).flip(0)
        num_tied += _count_tied(keys)
        first, last = _ranks_within_ties(keys, keys[places])
        hit_scores = detections.scores[rows[order[places]]]
        classes.append(
            ClassRanks(len(keys) - places, first, last, hit_scores, denominator, len(keys))
        )
    return Ranking(classes, num_tied, true_positive)


def _count_tied(keys: Tensor) -> int:
    equal = (
        torch.nn.functional.pad(keys[1:] == keys[:-1], (1, 1))
        if len(keys)
        else keys.new_zeros(1, dtype=torch.bool)
    )
    return int((equal[1:] | equal[:-1]).sum())


def _ranks_within_ties(keys: Tensor, hit_keys: Tensor) -> tuple[Tensor, Tensor]:
    """Ranks the true positives as if they came first, and last, among rows of equal score.

    Args:
        keys: int64 [R], ascending.
        hit_keys: int64 [T], descending: those of the true positives.
    """
    below = torch.searchsorted(keys, hit_keys)
    upto = torch.searchsorted(keys, hit_keys, right=True)
    _, ties = torch.unique_consecutive(hit_keys, return_counts=True)
    number = torch.arange(len(hit_keys), device=keys.device)
    # 0, 1, ... among equal true positives
    offset = number - (ties.cumsum(0) - ties).repeat_interleave(ties)
    first = len(keys) - upto + 1 + offset
    last = len(keys) - below - ties.repeat_interleave(ties) + 1 + offset
    return first, last


def compute_average_precision(ranks: Tensor, num_gt: int) -> float:
    """Computes the area under the monotone precision-recall curve.

    Between true positives precision only falls, so the curve's steps are all at true positives.

    Args:
        ranks: int64 [T], ascending, 1-based ranks of the true positives.
        num_gt: Ground-truth rows.

    Returns:
        The area, 0..1; NaN without ground truth.
    """
    if num_gt == 0:
        return float("nan")
    return float(compute_precisions(ranks).sum() / num_gt)


def compute_frame_map(
    ground_truth: BoxRows,
    detections: BoxRows,
    num_keyframes: int,
    num_classes: int,
    iou_threshold: float = 0.5,
) -> tuple[float, Tensor]:
    """Computes frame mAP of boxes in memory; every row is scored.

    The AVA protocols, with their caps and exclusions, are in `ava_evaluator`.

    Args:
        ground_truth: The labeled boxes.
        detections: The detected boxes, with scores.
        num_keyframes: K.
        num_classes: C.
        iou_threshold: The least IoU of a match.

    Returns:
        The mean over classes with ground truth, and AP float64 [C]; NaN without ground truth.
    """
    overlaps = compute_overlaps(ground_truth, detections, num_keyframes, num_classes)
    matched = match_detections(overlaps, len(ground_truth), iou_threshold, detections.scores)
    num_gt = torch.bincount(ground_truth.classes, minlength=num_classes)
    ranking = rank_detections(detections, matched, num_gt)
    values = [compute_average_precision(ranks.ranks, ranks.num_gt) for ranks in ranking.classes]
    average_precisions = torch.tensor(values, dtype=torch.float64)
    return float(average_precisions.nanmean()), average_precisions


def compute_precisions(ranks: Tensor) -> Tensor:
    """Computes precision at each true positive, made monotone from the right: float64 [T]."""
    precision = torch.arange(1, len(ranks) + 1, dtype=torch.float64, device=ranks.device) / ranks
    return precision.flip(0).cummax(0).values.flip(0) if len(ranks) else precision


def sortable_scores(scores: Tensor) -> Tensor:
    """Turns float scores [R] into int64 [R] of the same order, NaN the largest.

    Equal scores stay equal, also -0 and 0.
    """
    bits = scores.double().add(0.0).view(torch.int64)  # adding 0 makes -0 a 0
    if len(bits) and int(bits.min()) < 0:
        bits = torch.where(bits < 0, bits ^ torch.iinfo(torch.int64).max, bits)
    missing = scores.isnan()
    return bits.masked_fill_(missing, torch.iinfo(torch.int64).max) if bool(missing.any()) else bits
