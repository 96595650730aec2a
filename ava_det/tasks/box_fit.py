"""Finds why person boxes miss labeled persons: other ids or seconds, coordinates, thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ava_det.detectors.keyframe_boxes import compute_recall
from ava_det.detectors.registry import names_detector
from ava_det.formats.annotations import format_timestamp, load_box_files
from ava_det.structures import Keyframe, KeyframeKey, PersonBoxes, Persons
from ava_det.video.sources import cut_video_suffix

LOW = 0.5  # of recall and precision: what fits the data is above, mistakes in a file are far below
MAX_TRIED = 1000  # keyframes on which other readings of the boxes are tried
ORDERS: dict[str, Callable[[Tensor], Tensor]] = {
    "y1,x1,y2,x2": lambda boxes: boxes[:, [1, 0, 3, 2]],
    "x,y,width,height": lambda boxes: torch.cat((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), 1),
    "center x,center y,width,height": lambda boxes: torch.cat(
        (boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), 1
    ),
}
SHIFTS = (-1, 1, -2, 2)  # seconds


def describe_unknown_keyframes(
    paths: Sequence[str], split: str, keyframes: Sequence[Keyframe], min_score: float
) -> str:
    """Says why box files have no box of at least `min_score` on any keyframe of a split.

    Args:
        paths: The box files.
        split: The name of the split.
        keyframes: Of the split, one or more.
        min_score: data.min_person_score.

    Returns:
        A sentence: only low scores, other video ids, other seconds, or nothing at all.
    """
    every = load_box_files(paths, 0.0)
    wanted = {keyframe.key: keyframe for keyframe in keyframes}
    example = _name(*next(iter(wanted)))
    expected = (
        f"{' and '.join(paths)}: expected person boxes for the keyframes of data.{split}, such as "
        f"{example}"
    )
    scores = [float(every[key][1].max()) for key in wanted if key in every]
    if scores:
        return (
            f"{expected}, found none with a score of at least data.min_person_score = "
            f"{min_score:g}: the highest is {max(scores):g}"
        )
    if not every:
        return f"{expected}, found no box at all"
    problem = f"{expected}, found others, such as {_name(*next(iter(every)))}"
    ids = {video_id for video_id, _ in wanted}
    if any(video_id in ids for video_id, _ in every):
        return (
            f"{problem}: the video ids agree, the seconds do not: are they frame numbers, or "
            "counted from another start?"
        )
    if any(cut_video_suffix(video_id) in ids for video_id, _ in every):
        return f"{problem}: write the video ids without the extension"
    return f"{problem}: are the boxes those of other videos?"


def describe_fit(
    source: str,
    keyframes: Sequence[Keyframe],
    person_boxes: PersonBoxes,
    min_score: float,
    recall: float | None,
    precision: float | None,
) -> list[str]:
    """Warns of boxes that miss half of the labeled persons, or of which half are on nobody.

    Args:
        source: Where the boxes come from: files, or the name of a detector.
        keyframes: With their labeled boxes.
        person_boxes: (video id, timestamp key) -> boxes and scores.
        min_score: data.min_person_score.
        recall: Of `compute_recall`, None where nobody is labeled.
        precision: Likewise, None where nobody is detected.

    Returns:
        At most one sentence, with the likely cause.
    """
    if recall is not None and recall < LOW:
        cause = _explain_misses(source, keyframes, person_boxes, min_score)
        return [
            f"{source}: its boxes find {recall:.3f} of the labeled persons (recall at IoU 0.5): "
            f"{cause}"
        ]
    if precision is not None and precision < LOW:
        return [
            f"{source}: {precision:.3f} of its boxes are on a labeled person (precision at IoU "
            f"0.5): raise data.min_person_score = {min_score:g}, or are there persons whom nobody "
            "labeled?"
        ]
    return []


def _explain_misses(
    source: str, keyframes: Sequence[Keyframe], person_boxes: PersonBoxes, min_score: float
) -> str:
    labeled = [keyframe for keyframe in keyframes if len(keyframe.boxes)]
    bare = [
        k for k in labeled if not bool((person_boxes.get(k.key, _NOBODY).scores >= min_score).any())
    ]
    if len(bare) > len(labeled) / 2:
        sentence = (
            f"{len(bare)} of {len(labeled)} keyframes with persons have no box of at least "
            f"data.min_person_score = {min_score:g}, such as {_name(*bare[0].key)}"
        )
        known = {keyframe.key for keyframe in keyframes}
        other = next((key for key in person_boxes if key not in known), None)
        return sentence + (
            f"; it has boxes on {_name(*other)}, which is no keyframe" if other else ""
        )
    if names_detector(source):
        return "is it the detector for this scene, and are the labeled boxes around whole persons?"
    tried = labeled[:: max(1, len(labeled) // MAX_TRIED)]
    readings = {
        f"read as {name} they would find": _reorder(person_boxes, order)
        for name, order in ORDERS.items()
    } | {
        f"taken {shift:+d} s later they would find": _shift(person_boxes, shift) for shift in SHIFTS
    }
    recalls = {
        text: compute_recall(tried, boxes, min_score)[0] or 0.0 for text, boxes in readings.items()
    }
    best = max(recalls, key=lambda text: recalls[text])
    if recalls[best] >= LOW:
        return f"{best} {recalls[best]:.3f}"
    return (
        "are they boxes of these videos and of these seconds (frame rate, data.start_second), "
        "divided by the size of the frame?"
    )


_NOBODY = Persons(torch.zeros(0, 4), torch.zeros(0))


def _reorder(boxes: PersonBoxes, order: Callable[[Tensor], Tensor]) -> PersonBoxes:
    return {key: Persons(order(corners), scores) for key, (corners, scores) in boxes.items()}


def _shift(boxes: PersonBoxes, seconds: float) -> PersonBoxes:
    return {
        KeyframeKey.at(video_id, float(key) + seconds): persons
        for (video_id, key), persons in boxes.items()
    }


def _name(video_id: str, key: str) -> str:
    return f"'{video_id},{format_timestamp(float(key))}'"
