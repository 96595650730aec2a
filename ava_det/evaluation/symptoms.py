"""Finds why a number is 0, undefined or suspiciously low, as far as the files show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ava_det.evaluation.selection import ANNOTATIONS, DETECTIONS, Selection
from ava_det.formats.annotations import AvaRows, format_timestamp

SUSPICIOUS_MAP = 0.05  # half of what a SlowFast without pretraining reaches on AVA
LARGEST_FRACTION = 2.0  # boxes may leave the frame a little; pixels are beyond this at once
WIDE_TIE_INTERVAL = 1e-3

Rescore = Callable[[AvaRows], float | None]


def find_symptoms(
    annotations: AvaRows,
    detections: AvaRows,
    label_map: Mapping[int, str],
    selection: Selection,
    mean_ap: float | None,
    largest_iou: float,
    rescore: Rescore,
) -> list[str]:
    """Finds what looks wrong.

    Args:
        annotations: Rows of the ground truth.
        detections: Rows of the results.
        label_map: The evaluated classes, action id -> name.
        selection: The boxes that were scored.
        mean_ap: mAP, None where it is undefined.
        largest_iou: Of any detection with ground truth of its class.
        rescore: Computes mAP of other detections, all else the same; called only if mAP is
            suspicious.

    Returns:
        One sentence each, the most likely cause first.
    """
    if not len(annotations) or not len(detections):
        empty = [f"{rows.path}: no rows" for rows in (annotations, detections) if not len(rows)]
        return empty + [
            sentence for sentence in [_no_ground_truth(selection)] if sentence and len(annotations)
        ]
    symptoms = [
        *_swapped_files(annotations, detections),
        _unmatched_keyframes(selection),
        _off_list(annotations, label_map, "ground-truth"),
        _off_list(detections, label_map, "detection"),
        _pixel_boxes(annotations),
        _pixel_boxes(detections),
        _equal_scores(detections),
        _unusual_scores(detections),
        _inverted_boxes(detections),
    ]
    if mean_ap is None or mean_ap < SUSPICIOUS_MAP:
        low = mean_ap or 0.0
        symptoms += [
            _no_ground_truth(selection),
            _nothing_overlaps(selection, largest_iou),
            _shifted_labels(detections, low, rescore),
            _swapped_axes(detections, low, rescore),
        ]
    return [sentence for sentence in symptoms if sentence]


def describe_ties(interval: tuple[float | None, float | None]) -> str | None:
    """Says that the order of equal scores moves mAP by more than a rounding error, if it does."""
    low, high = interval
    if low is None or high is None or high - low < WIDE_TIE_INTERVAL:
        return None
    return (
        f"equal scores leave mAP undefined between {low:.4f} and {high:.4f}; write scores with "
        "more digits"
    )


def _unmatched_keyframes(selection: Selection) -> str | None:
    annotated, detected = (
        selection.keyframes.occurring(file) for file in (ANNOTATIONS, DETECTIONS)
    )
    stray = np.flatnonzero(detected & ~annotated)
    if len(stray) <= detected.sum() / 2:
        return None
    names = [
        f"{video} {format_timestamp(float(key))}"
        for video, key in (
            selection.keyframes.key(int(np.flatnonzero(kind)[0]))
            for kind in (detected & ~annotated, annotated)
        )
    ]
    share = f"{len(stray)} of {int(detected.sum())} detection keyframes do not match"
    if len(stray) == detected.sum():
        share = "no detection keyframe matches"
    return f"{share} the ground truth: detections have {names[0]!r}, ground truth has {names[1]!r}"


def refuse_swapped_files(annotations: AvaRows, detections: AvaRows) -> None:
    """Refuses files of which one certainly is the other's kind.

    What only looks like it is left to `find_symptoms`.

    Args:
        annotations: Rows that are meant to be ground truth.
        detections: Rows that are meant to be results.

    Raises:
        ValueError: Most person ids of the annotations are fractions, which only scores are, or the
            detections are the very rows of the annotations.
    """
    ids = annotations.person_ids[~np.isnan(annotations.person_ids)]
    fractions = np.flatnonzero(ids != np.round(ids))
    if len(fractions) > len(ids) / 2:
        raise ValueError(_describe_scores_as_ids(annotations, float(ids[fractions[0]])))
    columns = ("boxes", "action_ids", "ids_or_scores")
    pairs = [(getattr(annotations, name), getattr(detections, name)) for name in columns]
    if len(ids) and all(np.array_equal(*pair, equal_nan=True) for pair in pairs):
        raise ValueError(
            f"{detections.path}: has the rows of {annotations.path}, with person ids where "
            "detections have scores: annotations were given as --detections"
        )


def _describe_scores_as_ids(annotations: AvaRows, score: float) -> str:
    return (
        f"{annotations.path}: column 8 holds {score:g}, a score, where annotations have a person "
        "id: detections were given as --annotations"
    )


def _swapped_files(annotations: AvaRows, detections: AvaRows) -> list[str]:
    """Finds swapped files by column 8: person ids are whole numbers, scores hardly ever all are."""
    ids = annotations.person_ids[~np.isnan(annotations.person_ids)]
    scores = detections.scores
    sentences = []
    fractions = np.flatnonzero(ids != np.round(ids))
    if len(fractions):
        sentences.append(_describe_scores_as_ids(annotations, float(ids[fractions[0]])))
    if (scores == np.round(scores)).all() and 0 <= scores.min() < scores.max() < np.inf:
        sentences.append(
            f"{detections.path}: column 8 holds whole numbers from {scores.min():g} to "
            f"{scores.max():g}, as person "
            "ids are, where detections have a score: annotations were given as --detections"
        )
    return sentences


def _off_list(rows: AvaRows, label_map: Mapping[int, str], side: str) -> str | None:
    largest = max(label_map)
    counts = np.bincount(np.clip(rows.action_ids, 0, largest + 1), minlength=largest + 2)
    if side == "ground-truth":
        counts[0] = 0  # an empty action id is a keyframe or a box without action
    off = np.ones(len(counts), dtype=bool)
    off[list(label_map)] = False
    beyond = counts[0] + counts[-1] > 0
    if not beyond and counts[off].sum() <= counts.sum() / 2:
        return None  # AVA itself has 80 actions and evaluates 60
    kind = off & (counts > 0) & (np.isin(np.arange(len(counts)), (0, largest + 1)) | (not beyond))
    row = int(
        np.flatnonzero(np.isin(np.clip(rows.action_ids, 0, largest + 1), np.flatnonzero(kind)))[0]
    )
    return (
        f"{counts[off].sum()} of {counts.sum()} {side} rows have an action id outside the label "
        "map, "
        f"such as {rows.action_ids[row]} ({rows.where(row)}); the label map has ids "
        f"{min(label_map)} to {largest}"
    )


def _pixel_boxes(rows: AvaRows) -> str | None:
    largest = np.fmax.reduce(np.fmax.reduce(rows.boxes, axis=0))
    if not largest > LARGEST_FRACTION:
        return None
    row = int(np.flatnonzero((rows.boxes == largest).any(1))[0])
    return (
        f"{rows.where(row)}: a coordinate of {largest:g} looks like pixels; boxes are expected as "
        "fractions 0..1"
    )


def _equal_scores(detections: AvaRows) -> str | None:
    scores = detections.scores
    if len(scores) < 2 or scores.min() != scores.max():
        return None
    return f"all {len(scores)} detection scores are {scores[0]:g}: their order is arbitrary"


def _unusual_scores(detections: AvaRows) -> str | None:
    odd = np.flatnonzero(~((detections.scores >= 0) & (detections.scores <= 1)))
    if not len(odd):
        return None
    example = detections.scores[odd[0]]
    return (
        f"{len(odd)} detection scores are not within 0..1, such as {example:g} "
        f"({detections.where(int(odd[0]))}); "
        f"logits rank the same, a NaN ranks first"
    )


def _inverted_boxes(detections: AvaRows) -> str | None:
    boxes = detections.boxes
    inverted = np.flatnonzero((boxes[:, 0] > boxes[:, 2]) | (boxes[:, 1] > boxes[:, 3]))
    if len(inverted) <= len(boxes) / 10:
        return None
    return (
        f"{len(inverted)} of {len(boxes)} detection boxes are inverted, such as "
        f"{detections.where(int(inverted[0]))}; "
        f"expected x1,y1,x2,y2"
    )


def _no_ground_truth(selection: Selection) -> str | None:
    if len(selection.ground_truth):
        return None
    return "no ground-truth row has an action of the label map"


def _nothing_overlaps(selection: Selection, largest_iou: float) -> str | None:
    shared = selection.keyframes.occurring(ANNOTATIONS) & selection.keyframes.occurring(DETECTIONS)
    if largest_iou > 0.1 or not shared.any() or not len(selection.ground_truth):
        return None
    return (
        f"no box overlaps ground truth of its class: the largest IoU is {max(largest_iou, 0):.3f}"
    )


def _shifted_labels(detections: AvaRows, mean_ap: float, rescore: Rescore) -> str | None:
    for shift, meaning in ((1, "one less than"), (-1, "one more than")):
        shifted = rescore(replace(detections, action_ids=detections.action_ids + shift)) or 0.0
        if _clearly_better(shifted, mean_ap):
            return (
                f"action ids look off by one: with ids {shift:+d} mAP is {shifted:.4f} instead of "
                f"{mean_ap:.4f}, "
                f"so the detections' ids seem {meaning} the annotations'"
            )
    return None


def _swapped_axes(detections: AvaRows, mean_ap: float, rescore: Rescore) -> str | None:
    swapped = rescore(replace(detections, boxes=detections.boxes[:, [1, 0, 3, 2]])) or 0.0
    if not _clearly_better(swapped, mean_ap):
        return None
    return (
        f"boxes look like y1,x1,y2,x2: with x and y exchanged mAP is {swapped:.4f} instead of "
        f"{mean_ap:.4f}"
    )


def _clearly_better(value: float, than: float) -> bool:
    return value > max(3 * than, than + 0.02)
