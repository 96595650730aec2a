"""Checks a box file against the annotations: scores, keyframes without a box, recall."""

from __future__ import annotations

import numpy as np

from ava_det.dataset_check.boxes import check_boxes
from ava_det.dataset_check.findings import ERROR, NOTE, WARNING, Finding, find_rows
from ava_det.dataset_check.overlaps import BOX, KEYFRAME, compute_overlaps
from ava_det.dataset_check.split_rows import SplitRows, tabulate
from ava_det.formats.annotations import AvaRows

LOW_RECALL = 0.7  # at IoU 0.5: a warning below this
NO_RECALL = 0.1  # at IoU 0.5: below this, the boxes are hardly of the same persons
MANY_EMPTY = 0.1  # of the keyframes


def check_person_boxes(split: SplitRows, min_score: float) -> list[Finding]:
    """Checks the box file of a split; finds nothing where its boxes come from elsewhere.

    Args:
        split: The rows and the person boxes of the split.
        min_score: Person boxes with a lower score are not used.

    Returns:
        The findings.
    """
    boxes = split.boxes
    if boxes is None:
        return []
    findings = check_boxes(split.name, boxes, pictured=False) + _check_scores(split.name, boxes)
    if not split.files.annotations or not len(split.rows):
        return findings
    where = split.files.where_boxes
    sure = tabulate(boxes).filter(boxes.scores >= min_score)
    listed = sure.unique(KEYFRAME)
    strangers = len(listed.join(split.keyframes, on=KEYFRAME, how="anti"))
    if strangers == len(listed):
        problem = (
            f"no keyframe of {split.name} has a person box of at least "
            f"data.min_person_score = {min_score:g}"
        )
        remedy = (
            "check video ids, timestamps and scores of the box file, or lower data.min_person_score"
        )
        return [*findings, Finding(ERROR, where, problem, remedy, len(split.keyframes))]
    if strangers:
        problem = f"keyframes with person boxes that {split.name} has no rows of"
        findings.append(
            Finding(NOTE, where, problem, "nothing to do: they are not read", strangers)
        )
    empty = len(
        split.table.filter(split.has_box).unique(KEYFRAME).join(listed, on=KEYFRAME, how="anti")
    )
    if empty:
        share = empty / len(split.keyframes)
        problem = (
            f"{share:.1%} of the keyframes of {split.name} have persons but no person box of at "
            f"least {min_score:g}"
        )
        remedy = "nobody is found there: detect persons there too, or lower data.min_person_score"
        findings.append(
            Finding(WARNING if share > MANY_EMPTY else NOTE, where, problem, remedy, empty)
        )
    return findings + _check_recall(split, min_score)


def _check_scores(split: str, boxes: AvaRows) -> list[Finding]:
    scores = boxes.scores
    known = scores[np.isfinite(scores)]
    outside = ~((scores >= 0) & (scores <= 1 + 1e-6))  # a score may round to a little more than 1
    whole = bool(len(known)) and bool((known == np.round(known)).all())
    if whole and not (known == 1).all():
        problem = "column 8 holds whole numbers: person ids, where a box file has scores"
        outside = np.isfinite(scores)
    elif outside.any():
        problem = f"scores outside 0..1, such as {scores[outside][0]:g}"
    else:
        return []
    remedy = "write the detector's confidence 0..1 into column 8 (1 where there is none)"
    return find_rows(ERROR, split, boxes, outside, problem, remedy, pictured=False)


def _check_recall(split: SplitRows, min_score: float) -> list[Finding]:
    recall = compute_recalls(split, min_score)
    if recall is None:
        return []
    best, rows = recall
    at = {threshold: float((best >= threshold).mean()) for threshold in (0.5, 0.9)}
    problem = (
        f"recall of the labeled boxes of {split.name}: {at[0.5]:.3f} at IoU 0.5, "
        f"{at[0.9]:.3f} at IoU 0.9"
    )
    severity = ERROR if at[0.5] < NO_RECALL else WARNING if at[0.5] < LOW_RECALL else NOTE
    remedy = {
        ERROR: "these boxes hardly touch the labeled ones: check their order of coordinates, "
        "video ids and timestamps",
        WARNING: "a lower data.min_person_score or a better detector finds more of them",
        NOTE: "nothing to do",
    }[severity]
    missed = tuple(rows[best < 0.5].tolist()) if severity != NOTE else ()
    where = split.files.where_boxes
    return [
        Finding(severity, where, problem, remedy, int((best < 0.5).sum()) or 1, split.name, missed)
    ]


def compute_recalls(split: SplitRows, min_score: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Computes for every labeled person the best IoU with a person box of at least `min_score`.

    Returns:
        The best IoUs [N] and the first row [N] of each person; None without a box file or persons.
    """
    if split.boxes is None or not split.has_box.any():
        return None
    persons = (
        split.table.filter(split.has_box)
        .unique([*KEYFRAME, *BOX, "id_or_score"], keep="first")
        .sort("row")
    )
    sure = tabulate(split.boxes).filter(split.boxes.scores >= min_score)
    best = compute_overlaps(persons, sure).group_by("row").max().select("row", "iou")
    joined = persons.join(best, on="row", how="left").sort("row")
    return joined["iou"].fill_null(0.0).to_numpy(), joined["row"].to_numpy()
