"""Scores person boxes on keyframes, whatever the persons do, by COCO's average precision."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from ava_det.evaluation.metrics import PersonAp
from ava_det.structures import Keyframe, PersonBoxes

MAX_BOXES = 100  # of a keyframe, the surest: COCO's rule
PERSON = 1


def compute_person_ap(keyframes: Sequence[Keyframe], person_boxes: PersonBoxes) -> PersonAp:
    """Computes COCO's average precision of detected boxes against the labeled ones.

    Args:
        keyframes: With their labeled boxes, fractions of the frame. Detections on other keyframes
            are ignored.
        person_boxes: (video id, timestamp key) -> normalized boxes [N, 4] and scores [N]; an absent
            keyframe has none.
    """
    labeled: list[dict[str, object]] = []
    detected: list[dict[str, object]] = []
    for image_id, keyframe in enumerate(keyframes, 1):
        for box in _as_coco(keyframe.boxes):
            entry = {"bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            labeled.append(
                {"id": len(labeled) + 1, "image_id": image_id, "category_id": PERSON, **entry}
            )
        boxes, scores = person_boxes.get(keyframe.key, ([], []))
        for box, score in zip(_as_coco(boxes), scores, strict=True):
            detected.append(
                {"image_id": image_id, "category_id": PERSON, "bbox": box, "score": float(score)}
            )
    if not labeled:
        return PersonAp(None, None, None)
    if not detected:
        return PersonAp(0.0, 0.0, 0.0)
    precision = _compute_precision(len(keyframes), labeled, detected)
    return PersonAp(precision.mean(), precision[0].mean(), precision[5].mean())


def _compute_precision(
    num_images: int, labeled: list[dict[str, object]], detected: list[dict[str, object]]
) -> np.ndarray:
    """Computes precision, float64 [10 IoU thresholds, 101 recalls], with COCO's own library."""
    with contextlib.redirect_stdout(io.StringIO()):  # the library reports its progress
        truth = COCO()
        images = [{"id": image_id} for image_id in range(1, num_images + 1)]
        truth.dataset = {
            "images": images,
            "annotations": labeled,
            "categories": [{"id": PERSON, "name": "person"}],
        }
        truth.createIndex()
        coco_results = COCO()
        coco_results.dataset = {
            **truth.dataset,
            "annotations": [{**row, "id": i} for i, row in enumerate(detected, 1)],
        }
        for row in coco_results.dataset["annotations"]:
            row.update(area=row["bbox"][2] * row["bbox"][3], iscrowd=0)
        coco_results.createIndex()
        evaluation = COCOeval(truth, coco_results, "bbox")
        evaluation.params.maxDets = [MAX_BOXES]
        evaluation.params.areaRng = [[0, 1e5**2]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"])[:, :, 0, 0, 0]


def _as_coco(boxes: Tensor | Sequence[Sequence[float]]) -> list[list[float]]:
    """Converts xyxy [N, 4] to COCO's x, y, width, height."""
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    converted: list[list[float]] = np.concatenate(
        (corners[:, :2], corners[:, 2:] - corners[:, :2]), axis=1
    ).tolist()
    return converted
