"""Splits false tubes by what is wrong with them, as MultiSports' `videoAP_error` does.

Of the overlaps with labeled tubes of its video, each false tube has one kind:

- Repeat: it reaches the threshold with a tube of its class that another detection took;
- Cls: it reaches the threshold with a tube of another class;
- else the tube it overlaps most decides, with the square root of the threshold as the limit of time
  and of space each: Loc (time is good), Time (space is good), Time+Loc (neither), and with a tube
  of another class Cls+Loc, Cls+Time, C+T+L;
- Extra: it overlaps none.

The number of a kind is not a count but the area under its share of the detections over recall, with
the share made monotone as precision is. Missed is 1 - recall at the end.
"""

from __future__ import annotations

import math

import numpy as np

from ava_det.evaluation.tubes.curves import voc_area
from ava_det.evaluation.tubes.matching import Pairs, match
from ava_det.evaluation.tubes.overlap import TubeOverlaps, compute_tube_overlaps
from ava_det.evaluation.tubes.results import ErrorSplit
from ava_det.evaluation.tubes.scoring import Contest
from ava_det.evaluation.tubes.table import TubeTable, expand

KINDS = (
    "Repeat",
    "Extra",
    "Loc",
    "Cls",
    "Time",
    "Cls+Time",
    "Cls+Loc",
    "Time+Loc",
    "C+T+L",
)
_HIT = len(KINDS)


def split_errors(
    contest: Contest, truth: TubeTable, found: TubeTable, threshold: float, device: str = "cpu"
) -> ErrorSplit:
    """Splits the errors at one threshold of the tube IoU.

    Args:
        contest: Of the protocol `multisports` or `mmaction2`.
        truth: The labeled tubes.
        found: The detections, by falling score.
        threshold: Of the tube IoU.
        device: Where boxes are compared.

    Raises:
        ValueError: Another protocol, for which no split is published; a class that is detected and
            has no ground truth; an overlap of 0/0, at which the published code stops; or a tube of
            a video outside the split.
    """
    _check(contest, found)
    kinds = _classify(contest, truth, found, threshold, device)
    per_class = {}
    for label, name in enumerate(contest.names):
        if name not in contest.protocol.left_out:
            per_class[label] = _areas(kinds[contest.labels == label], int(contest.num_gt[label]))
    scored = np.isin(contest.labels, list(per_class))
    counts = np.bincount(kinds[scored], minlength=_HIT + 1)
    names = ("AP", *KINDS, "Missed")
    means = {
        name: float(np.mean([row[name] for row in per_class.values()])) if per_class else 0.0
        for name in names
    }
    return ErrorSplit(
        threshold,
        means,
        per_class,
        {kind: int(count) for kind, count in zip(KINDS, counts, strict=False)},
    )


def _check(contest: Contest, found: TubeTable) -> None:
    if contest.protocol.name not in ("multisports", "mmaction2"):
        raise ValueError(
            f"protocol {contest.protocol.name}: expected multisports or mmaction2 for the split of "
            "errors; no other evaluator of tubes has one"
        )
    if (found.video < 0).any():
        raise ValueError(
            "split of errors: expected tubes of videos of the split alone, found "
            f"{int((found.video < 0).sum())} others"
        )
    wrong = [
        name
        for name, num_gt, num_det in zip(
            contest.names, contest.num_gt, contest.num_det, strict=True
        )
        if num_det and not num_gt and name not in contest.protocol.left_out
    ]
    if wrong:
        raise ValueError(
            f"split of errors: expected ground truth of every detected class, found none of "
            f"{', '.join(wrong)}, where the published code divides by zero"
        )


def _classify(
    contest: Contest, truth: TubeTable, found: TubeTable, threshold: float, device: str
) -> np.ndarray:
    """Returns int64 [D]: the index of each detection's kind, `_HIT` for a hit."""
    kinds = np.full(len(found), KINDS.index("Extra"))
    own = contest.pairs
    hits = match(own, threshold, takes_next=False)
    reaching = np.unique(own.detections[_best_rows(own)][own.ious[_best_rows(own)] >= threshold])
    kinds[reaching] = KINDS.index("Repeat")
    kinds[hits] = _HIT
    open_rows = np.setdiff1d(np.arange(len(found)), reaching)
    pairs, overlaps = _pair_with_all(truth, found, open_rows, device)
    if np.isnan(pairs.ious).any():
        number = pairs.detections[int(np.argmax(np.isnan(pairs.ious)))]
        raise ValueError(
            "split of errors: expected tubes that overlap by a number, found 0/0 of a tube of "
            f"label {contest.names[found.label[number]]!r} (one frame, or boxes without area), "
            "where the published code stops"
        )
    other = truth.label[pairs.truths] != found.label[pairs.detections]
    confused = np.unique(pairs.detections[other & (pairs.ious >= threshold)])
    kinds[confused] = KINDS.index("Cls")
    best = _best_rows(pairs)
    best = best[(pairs.ious[best] > 0) & ~np.isin(pairs.detections[best], confused)]
    kinds[pairs.detections[best]] = _name_near_misses(overlaps, best, other[best], threshold)
    return kinds


def _best_rows(pairs: Pairs) -> np.ndarray:
    """Returns, for each detection with pairs, the row of its first largest overlap."""
    if not len(pairs.detections):
        return np.zeros(0, np.int64)
    values = np.where(np.isnan(pairs.ious), np.inf, pairs.ious)
    order = np.lexsort((np.arange(len(values)), -values, pairs.detections))
    _, first = np.unique(pairs.detections[order], return_index=True)
    return np.asarray(order[first])


def _pair_with_all(
    truth: TubeTable, found: TubeTable, rows: np.ndarray, device: str
) -> tuple[Pairs, TubeOverlaps]:
    """Pairs detections with the labeled tubes of all classes of their videos."""
    order = np.argsort(truth.video, kind="stable")
    videos = truth.video[order]
    begin = np.searchsorted(videos, found.video[rows])
    counts = np.searchsorted(videos, found.video[rows], side="right") - begin
    truths = order[expand(begin, counts)]
    detections = np.repeat(rows, counts)
    overlaps = compute_tube_overlaps(truth, found, truths, detections, "continuous", device)
    ious = overlaps.combine("distance")
    return Pairs(detections, truths, detections, ious, len(found)), overlaps


def _name_near_misses(
    overlaps: TubeOverlaps, rows: np.ndarray, other: np.ndarray, threshold: float
) -> np.ndarray:
    limit = math.sqrt(threshold)
    with np.errstate(invalid="ignore", divide="ignore"):
        time = overlaps.shared[rows] / overlaps.joint[rows] >= limit
    space = overlaps.space[rows] >= limit
    names = np.where(
        other,
        np.where(time, "Cls+Loc", np.where(space, "Cls+Time", "C+T+L")),
        np.where(time, "Loc", np.where(space, "Time", "Time+Loc")),
    )
    return np.array([KINDS.index(str(name)) for name in names], dtype=np.int64)


def _areas(kinds: np.ndarray, num_gt: int) -> dict[str, float]:
    """Computes the numbers of one class from the kinds of its detections by falling score."""
    row = {"AP": 0.0, **dict.fromkeys(KINDS, 0.0), "Missed": 1.0}
    if not len(kinds):
        return row
    place = np.arange(1, len(kinds) + 1)
    found = np.cumsum(kinds == _HIT)
    # the published code keeps the curves in float32 and adds in float64
    recall = (found / num_gt).astype(np.float32)
    for name, number in (("AP", _HIT), *((kind, KINDS.index(kind)) for kind in KINDS)):
        share = (np.cumsum(kinds == number) / place).astype(np.float32)
        row[name] = voc_area(share.astype(np.float64), recall.astype(np.float64))
    row["Missed"] = float(1 - float(recall[-1]))
    return row
