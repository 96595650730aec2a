"""Selects the boxes that a protocol scores: label map, exclusions, cap, invalid boxes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ava_det.evaluation.frame_map import BoxRows
from ava_det.evaluation.keyframe_cap import kept_under_cap
from ava_det.evaluation.keyframe_numbers import KeyframeNumbers, number_keyframes
from ava_det.evaluation.protocols import Protocol, check_forms
from ava_det.formats.ava_csv import AvaRows
from ava_det.structures import KeyframeKey

DETECTIONS = 0
ANNOTATIONS = 1  # the files in KeyframeNumbers


@dataclass
class Selection:
    """Holds what a protocol scores.

    Attributes:
        ground_truth: In the order in which equal overlaps are decided. Classes count the label
            map's ids in ascending order.
        detections: In list order: keyframes by first appearance in their file, and file order
            within. On the same device as the ground truth.
        match_scores: float64 [R] that order the matching, or None for list order.
        detection_rows: int64, where the detections are in their file.
        ground_truth_rows: int64, where the ground-truth boxes are in their file.
        denominators: int64 [C], of recall.
        keyframes: All keyframes of both files.
        num_keyframes: Number of scored ones with ground truth.
        counts: Detection rows that are not scored, by reason: ignored, excluded, capped, invalid,
            off_list.
    """

    ground_truth: BoxRows
    detections: BoxRows
    match_scores: Tensor | None
    detection_rows: np.ndarray
    ground_truth_rows: np.ndarray
    denominators: Tensor
    keyframes: KeyframeNumbers
    num_keyframes: int
    counts: dict[str, int]


def select_boxes(
    protocol: Protocol,
    annotations: AvaRows,
    detections: AvaRows,
    label_map: Mapping[int, str],
    excluded: Collection[KeyframeKey] = frozenset(),
    device: str | torch.device = "cpu",
) -> Selection:
    """Applies a protocol to the rows of two files.

    Args:
        protocol: The protocol.
        annotations: Rows of the ground truth.
        detections: Rows of the results.
        label_map: The evaluated classes, action id -> name.
        excluded: Keyframes of the exclusion list.
        device: Where the boxes are put.

    Raises:
        ValueError: The protocol's evaluator refuses to read a row; the message names file and line.
    """
    check_forms(protocol, annotations, detections)
    classes = _classes(detections.action_ids, label_map)
    truth_classes = _classes(annotations.action_ids, label_map)
    counts = dict.fromkeys(("ignored", "excluded", "capped", "invalid"), 0)
    on_list = None if (classes >= 0).all() else np.flatnonzero(classes >= 0)
    counts["off_list"] = 0 if on_list is None else len(classes) - len(on_list)
    keyframes = number_keyframes(((detections, on_list), (annotations, None)))
    skipped = keyframes.mark(excluded if protocol.exclusion != "nothing" else ())
    annotated = keyframes.occurring(ANNOTATIONS)
    scored = _scored_keyframes(protocol, keyframes, annotated, truth_classes) & ~skipped

    numbers = keyframes.numbers[DETECTIONS]
    kept = np.flatnonzero(scored[numbers])
    counts["excluded"] = int(skipped[numbers].sum()) if skipped.any() else 0
    counts["ignored"] = len(numbers) - len(kept) - counts["excluded"]
    rows = kept if on_list is None else on_list[kept]
    numbers = numbers[kept]
    detected, rows = _cap_and_check(protocol, detections, classes, rows, numbers, counts, device)
    truth, truth_rows = _ground_truth(
        protocol, annotations, truth_classes, keyframes.numbers[ANNOTATIONS], skipped, device
    )
    _refuse_inverted(protocol, annotations, truth_rows, truth, detected, len(label_map))
    return Selection(
        ground_truth=truth,
        detections=detected,
        match_scores=detected.scores if protocol.sorts_matches else None,
        detection_rows=rows,
        ground_truth_rows=truth_rows,
        denominators=torch.bincount(truth.classes, minlength=len(label_map)),
        keyframes=keyframes,
        num_keyframes=int((annotated & ~skipped).sum()),
        counts=counts,
    )


def _classes(action_ids: np.ndarray, label_map: Mapping[int, str]) -> np.ndarray:
    """Returns the class of every row, int16 [R]; -1 for ids outside the label map."""
    ids = np.array(sorted(label_map), dtype=np.int64)
    # the last entry stands for every larger id
    table = np.full(ids.max(initial=0) + 2, -1, dtype=np.int16)
    table[ids] = np.arange(len(ids))
    return table.take(action_ids, mode="clip")


def _scored_keyframes(
    protocol: Protocol, keyframes: KeyframeNumbers, annotated: np.ndarray, truth_classes: np.ndarray
) -> np.ndarray:
    if protocol.scored_keyframes == "all":
        return np.ones(len(keyframes), dtype=bool)
    if protocol.scored_keyframes == "annotated":
        return annotated
    on_list = np.zeros(len(keyframes), dtype=bool)
    on_list[keyframes.numbers[ANNOTATIONS][truth_classes >= 0]] = True
    return on_list


def _cap_and_check(
    protocol: Protocol,
    detections: AvaRows,
    classes: np.ndarray,
    rows: np.ndarray,
    numbers: np.ndarray,
    counts: dict[str, int],
    device: str | torch.device,
) -> tuple[BoxRows, np.ndarray]:
    """Returns the valid detections left after the cap, in list order, and their rows."""
    if (numbers[1:] < numbers[:-1]).any():
        order = np.argsort(numbers, kind="stable")
        rows = rows[order]
        numbers = numbers[order]
    scores = torch.from_numpy(detections.scores[rows]).to(device)
    if protocol.cap and len(rows):
        frames = torch.from_numpy(numbers).to(device)
        keep = kept_under_cap(
            frames, scores, protocol.cap, lambda span: _heap_entries(detections, rows[span])
        )
        counts["capped"] = len(rows) - int(keep.sum())
        scores = scores[keep]
        host_keep = keep.cpu().numpy()
        rows = rows[host_keep]
        numbers = numbers[host_keep]
    boxes = _boxes(protocol, detections, rows, device)
    frames = torch.from_numpy(numbers).to(device)
    labels = torch.from_numpy(classes[rows]).to(device)
    columns = [frames, labels, boxes, scores]
    valid = _valid(protocol, detections, rows, boxes, scores)
    if valid is not None and not bool(valid.all()):
        counts["invalid"] = len(rows) - int(valid.sum())
        columns = [column[valid] for column in columns]
        rows = rows[valid.cpu().numpy()]
    return BoxRows(*columns), rows


def _heap_entries(detections: AvaRows, rows: np.ndarray) -> list[tuple[float, ...]]:
    columns = (
        detections.scores[rows],
        detections.action_ids[rows],
        *detections.boxes[rows].T[[1, 0, 3, 2]],
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _boxes(
    protocol: Protocol, rows: AvaRows, chosen: np.ndarray, device: str | torch.device
) -> Tensor:
    dtype = torch.float32 if protocol.single_precision else torch.float64
    return torch.from_numpy(rows.boxes[chosen]).to(device, dtype)


def _valid(
    protocol: Protocol, detections: AvaRows, rows: np.ndarray, boxes: Tensor, scores: Tensor
) -> Tensor | None:
    """Finds which detections the protocol's evaluator does not drop; None if it drops none."""
    x1, y1, x2, y2 = boxes.unbind(1)
    if not protocol.drops_invalid_boxes:
        inverted = torch.nonzero((x1 > x2) | (y1 > y2))
        if len(inverted):
            where = detections.where(int(rows[int(inverted[0])]))
            raise ValueError(
                f"{where}: protocol {protocol.name} expects x1 <= x2 and y1 <= y2, found an "
                "inverted box"
            )
        return None
    valid = (x1 < x2) & (y1 < y2)
    return valid if protocol.score_floor is None else valid & (scores > protocol.score_floor)


def _ground_truth(
    protocol: Protocol,
    annotations: AvaRows,
    classes: np.ndarray,
    numbers: np.ndarray,
    skipped: np.ndarray,
    device: str | torch.device,
) -> tuple[BoxRows, np.ndarray]:
    rows = np.flatnonzero((classes >= 0) & ~(skipped[numbers] & (protocol.exclusion == "both")))
    if not len(rows) and not protocol.undetected_is_zero:
        raise ValueError(
            f"{annotations.path}: protocol {protocol.name} expects ground truth of an evaluated "
            "class"
        )
    if protocol.person_id_order:
        person_ids = annotations.person_ids[rows]
        rows = rows[np.argsort(-np.where(np.isnan(person_ids), 1.0, person_ids), kind="stable")]
    frames, labels = (
        torch.from_numpy(column[rows]).to(device).long() for column in (numbers, classes)
    )
    return BoxRows(frames, labels, _boxes(protocol, annotations, rows, device)), rows


def _refuse_inverted(
    protocol: Protocol,
    annotations: AvaRows,
    rows: np.ndarray,
    truth: BoxRows,
    detected: BoxRows,
    num_classes: int,
) -> None:
    """Refuses inverted ground truth where a detection of its class is compared with it."""
    x1, y1, x2, y2 = truth.boxes.unbind(1)
    inverted = torch.nonzero((x1 > x2) | (y1 > y2)).squeeze(1)
    if not len(inverted):
        return
    compared = torch.isin(
        truth.keyframes[inverted] * num_classes + truth.classes[inverted],
        detected.keyframes.long() * num_classes + detected.classes,
    )
    if bool(compared.any()):
        where = annotations.where(int(rows[int(inverted[compared][0])]))
        raise ValueError(
            f"{where}: expected x1 <= x2 and y1 <= y2, found an inverted ground-truth box"
        )
