"""Finds rows and keyframes that contradict one another.

These are repeated rows, persons annotated twice, keyframes in two splits, and wrong exclusions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import polars as pl

from ava_det.dataset_check.findings import ERROR, NOTE, WARNING, Finding, find_rows, quote_first
from ava_det.dataset_check.overlaps import BOX, KEYFRAME, compute_overlaps
from ava_det.dataset_check.split_rows import SplitRows
from ava_det.formats.annotations import format_timestamp

SAME_PERSON = 0.9  # IoU that the boxes of two different persons hardly reach


def check_persons(split: SplitRows) -> list[Finding]:
    """Checks the persons of a split.

    Finds repeated rows, one box under two person ids, one person id with two boxes, boxes that
    overlap almost entirely, and scores where person ids belong.
    """
    table = split.table
    findings = []
    person_ids = split.rows.person_ids[~np.isnan(split.rows.person_ids)]
    fractional = person_ids[person_ids != np.round(person_ids)]
    if len(fractional):
        scores = table.filter(pl.col("id_or_score") != pl.col("id_or_score").round())
        problem = f"person ids that look like scores: {fractional[0]:g}"
        remedy = "write a whole number for each person; a score belongs in result and box files"
        findings += _find_in_table(ERROR, split, scores, problem, remedy)
        # The checks below compare boxes without these scores.
        table = table.with_columns(id_or_score=pl.lit(None, pl.Float64))
    boxed = table.filter(pl.col("x1").is_not_nan())
    row_key = pl.struct(*KEYFRAME, *BOX, "action_id", "id_or_score")
    copies = boxed.filter(row_key.is_first_distinct().not_())
    problem = "rows that repeat an earlier row: evaluators count each as a person to find"
    findings += _find_in_table(ERROR, split, copies, problem, "delete them")
    return findings + _check_boxes_of_persons(split, boxed)


def _check_boxes_of_persons(split: SplitRows, boxed: pl.DataFrame) -> list[Finding]:
    """Checks that every person on a keyframe has one person id and one box."""
    persons = boxed.unique([*KEYFRAME, *BOX, "id_or_score"], keep="first", maintain_order=True)
    twice = persons.filter(pl.struct(*KEYFRAME, *BOX).is_first_distinct().not_())
    problem = "the same box under another person id"
    remedy = "give the rows of one person one person id"
    findings = _find_in_table(ERROR, split, twice, problem, remedy)
    persons = persons.join(twice.select("row"), on="row", how="anti").sort("row")
    known = persons.filter(pl.col("id_or_score").is_not_null() & pl.col("id_or_score").is_not_nan())
    moved = known.filter(pl.struct(*KEYFRAME, "id_or_score").is_first_distinct().not_())
    problem = "one person id with two different boxes on one keyframe"
    remedy = "give every person a person id of its own, or all rows of a person one box"
    findings += _find_in_table(ERROR, split, moved, problem, remedy)
    near = _nearly_the_same(persons.join(moved.select("row"), on="row", how="anti"))
    problem = f"two boxes with IoU of {SAME_PERSON:g} or more on one keyframe: one person twice?"
    return findings + _find_in_table(WARNING, split, near, problem, "keep one")


def _find_in_table(
    severity: str, split: SplitRows, faulty: pl.DataFrame, problem: str, remedy: str
) -> list[Finding]:
    """Makes one finding of the rows of a split that `faulty` has in its column `row`."""
    mask = np.zeros(len(split.rows), dtype=bool)
    mask[faulty["row"].to_numpy()] = True
    return find_rows(severity, split.name, split.rows, mask, problem, remedy)


def _nearly_the_same(persons: pl.DataFrame) -> pl.DataFrame:
    """Finds the later of two persons of a keyframe whose boxes overlap almost entirely."""
    pairs = compute_overlaps(persons, persons).filter(
        pl.col("row") < pl.col("row_b"), pl.col("iou") >= SAME_PERSON
    )
    return pairs.select(row="row_b").unique().sort("row")


def check_leaks(splits: Sequence[SplitRows]) -> list[Finding]:
    """Finds keyframes, or at least videos, that two splits share."""
    findings = []
    for first, second in combinations(splits, 2):
        shared = second.table.join(first.keyframes, on=KEYFRAME, how="semi")
        keyframes = shared.unique(KEYFRAME, maintain_order=True)
        rows = np.zeros(len(second.rows), dtype=bool)
        rows[keyframes["row"].to_numpy()] = True
        problem = f"keyframes of {second.name} that are also in {first.name}"
        same = bool(set(first.files.annotations) & set(second.files.annotations))
        remedy = (
            "give each split a file of its own"
            if same
            else f"take them out of {first.name} or of {second.name}"
        )
        leaks = find_rows(ERROR, second.name, second.rows, rows, problem, remedy)
        findings += leaks
        videos = sorted(set(first.keyframes["video_id"]) & set(second.keyframes["video_id"]))
        if videos and not leaks:
            problem = (
                f"videos in {first.name} and in {second.name}, at different seconds: "
                f"{quote_first(videos)}"
            )
            remedy = "neighboring seconds look alike; splitting by video measures more honestly"
            findings.append(Finding(NOTE, second.name, problem, remedy, len(videos)))
    return findings


def check_excluded(split: SplitRows) -> list[Finding]:
    """Checks the exclusion lists of a split: excluded keyframes without rows, or all of them."""
    if not split.excluded or not split.files.excluded:
        return []
    keyframes = set(split.keyframes.iter_rows())
    excluded = {(video_id, float(key)) for video_id, key in split.excluded}
    where = " and ".join(path.name for path in split.files.excluded)
    findings = []
    videos = {video_id for video_id, _ in keyframes}
    strangers = sorted(key for key in excluded if key[0] not in videos)
    if strangers and videos:
        problem = (
            f"excluded keyframes of videos that {split.name} has no rows of, such as "
            f"{_show(strangers[0])}"
        )
        remedy = "harmless in part of a data set; otherwise fix the video ids"
        findings.append(Finding(WARNING, where, problem, remedy, len(strangers)))
    unlabeled = sorted(key for key in excluded - keyframes if key[0] in videos)
    if unlabeled:
        problem = f"excluded keyframes without rows in {split.name}, such as {_show(unlabeled[0])}"
        findings.append(Finding(NOTE, where, problem, "nothing to do", len(unlabeled)))
    if keyframes and keyframes <= excluded:
        problem = f"every keyframe of {split.name} is excluded"
        findings.append(
            Finding(ERROR, where, problem, "take the labeled ones out of the list", len(keyframes))
        )
    return findings


def _show(keyframe: tuple[str, float]) -> str:
    return f"{keyframe[0]},{format_timestamp(keyframe[1])}"
