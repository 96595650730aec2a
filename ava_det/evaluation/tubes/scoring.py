"""Ranks matched detections class by class and computes mAP; frames and tubes alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_det.evaluation.metrics import ClassResult
from ava_det.evaluation.tubes.curves import average_precision, mean_precision
from ava_det.evaluation.tubes.matching import Pairs, match
from ava_det.evaluation.tubes.protocols import RANGES, TaskRules, TubeProtocol
from ava_det.evaluation.tubes.results import TubeMap


@dataclass(frozen=True, eq=False)
class Contest:
    """Holds what average precision at any threshold is computed from.

    Attributes:
        pairs: Detections are numbered in the order of falling score.
        labels: int64 [D], of the detections in that order.
        scores: float64 [D], falling.
        num_gt: int64 [C], ground truths of each class.
        names: Of the C classes.
        protocol: The protocol.
        rules: Its rules of this task.
    """

    pairs: Pairs
    labels: np.ndarray
    scores: np.ndarray
    num_gt: np.ndarray
    names: tuple[str, ...]
    protocol: TubeProtocol
    rules: TaskRules

    @property
    def num_det(self) -> np.ndarray:
        """Returns int64 [C], detections of each class."""
        return np.bincount(self.labels, minlength=len(self.names))

    @property
    def num_tied(self) -> int:
        """Returns how many detections share class and score with another."""
        order = np.lexsort((self.scores, self.labels))
        same = (np.diff(self.labels[order]) == 0) & (np.diff(self.scores[order]) == 0)
        return int((np.append(same, False) | np.append(False, same)).sum())


def find_ranks(contest: Contest, threshold: float) -> dict[int, np.ndarray]:
    """Returns label -> int64 [T], the ranks from 1 of the hits within their class, rising."""
    hits = match(contest.pairs, threshold, contest.rules.takes_next)
    order = np.argsort(contest.labels, kind="stable")
    ends = np.cumsum(contest.num_det)
    parts = np.split(hits[order], ends[:-1])
    return {label: np.flatnonzero(part) + 1 for label, part in enumerate(parts)}


def compute_map(contest: Contest, ranks: dict[int, np.ndarray]) -> TubeMap:
    """Computes AP of every class and their mean.

    Raises:
        ValueError: The protocol refuses a class that is detected and has no ground truth.
    """
    per_class = {}
    counted = []
    for label, (name, num_gt, num_det) in enumerate(
        zip(contest.names, contest.num_gt.tolist(), contest.num_det.tolist(), strict=True)
    ):
        scored = name not in contest.protocol.left_out
        if not num_gt:
            scored = scored and contest.rules.without_truth != "left out"
            if scored and num_det and contest.rules.without_truth == "refused":
                raise ValueError(
                    f"protocol {contest.protocol.name}: expected ground truth of every detected "
                    f"class, found {num_det} detections of {name!r} and no ground truth, where the "
                    "published evaluator divides by zero"
                )
        ap = (
            average_precision(ranks[label], num_gt, num_det, contest.rules.curve)
            if scored
            else None
        )
        per_class[label] = ClassResult(name, ap, num_gt, num_det)
        if ap is not None:
            counted.append(ap)
    return TubeMap(mean_precision(counted, contest.rules.curve), per_class)


def compute_range(contest: Contest, name: str) -> float | None:
    """Computes the mean of mAP over the thresholds of a range.

    Raises:
        ValueError: There is no range of that name.
    """
    if name not in RANGES:
        raise ValueError(f"range {name!r}: expected one of {', '.join(RANGES)}")
    means = [compute_map(contest, find_ranks(contest, t)).mean_ap for t in RANGES[name]]
    known = [mean for mean in means if mean is not None]
    return sum(known) / len(known) if known else None


def describe_left_out(contest: Contest, thing: str) -> list[str]:
    """Says which classes do not count, and that equal scores have no order."""
    sentences = []
    left_out = [name for name in contest.names if name in contest.protocol.left_out]
    if left_out:
        sentences.append(
            f"protocol {contest.protocol.name} leaves {len(left_out)} classes out by name: "
            + ", ".join(left_out)
        )
    without = _names(contest, (contest.num_gt == 0) & (contest.num_det > 0))
    if without and contest.rules.without_truth == "left out":
        sentences.append(f"not scored, detected without ground truth: {', '.join(without)}")
    if without and contest.rules.without_truth == "zero":
        sentences.append(f"AP 0 in the mean, detected without ground truth: {', '.join(without)}")
    if contest.num_tied:
        sentences.append(
            f"{contest.num_tied} {thing} share class and score with another: they are taken in the "
            "order of the file, and published evaluators sort them in no fixed order"
        )
    return sentences


def _names(contest: Contest, mask: np.ndarray) -> list[str]:
    chosen = [contest.names[label] for label in np.flatnonzero(mask).tolist()]
    return [name for name in chosen if name not in contest.protocol.left_out]
