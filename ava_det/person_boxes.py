"""Which persons a keyframe carries: those of the labels, of a box file, or of a detector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from ava_det.annotations import timestamp_key
from ava_det.boxes import clip_boxes, compute_iou, normalise_boxes
from ava_det.data.video import VideoError, VideoReader
from ava_det.detectors import PersonDetector
from ava_det.structures import Keyframe

# (video id, timestamp key) -> normalised boxes float32 [N, 4] and person scores float32 [N]
PersonBoxes = Mapping[tuple[str, str], tuple[Tensor, Tensor]]

NUM_SAMPLES = 32  # frames of each video a detector may look at before its keyframes


def detect_persons(
    detector: PersonDetector,
    videos: Mapping[str, Path],
    keyframes: Sequence[Keyframe],
    start_second: float,
    progress: Callable[[Iterable[Keyframe]], Iterable[Keyframe]],
) -> dict[tuple[str, str], tuple[Tensor, Tensor]]:
    """Runs a detector on every keyframe, one pass over each video; `progress` wraps the keyframes to show a bar."""
    found: dict[tuple[str, str], tuple[Tensor, Tensor]] = {}
    ordered = sorted(keyframes, key=lambda keyframe: (keyframe.video_id, keyframe.timestamp))
    for video_id, group in groupby(progress(ordered), key=lambda keyframe: keyframe.video_id):
        if video_id not in videos:
            raise VideoError(f"data.video_dir: no video file for video id {video_id} of the annotations")
        with VideoReader(videos[video_id], start_second) as reader:
            detector.begin_video(reader.sample(NUM_SAMPLES))
            for keyframe in group:
                reader.require(keyframe.timestamp)
                found[video_id, timestamp_key(keyframe.timestamp)] = find_persons(detector, reader, keyframe.timestamp)
    return found


def find_persons(detector: PersonDetector, reader: VideoReader, timestamp: float) -> tuple[Tensor, Tensor]:
    """Runs a detector on one frame: normalised boxes float32 [N, 4], within the frame, and person scores [N]."""
    boxes, scores = detector(list(reader.read([timestamp])))[0]
    pixels = clip_boxes(torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4), reader.width, reader.height)
    return normalise_boxes(pixels, reader.width, reader.height), torch.as_tensor(scores, dtype=torch.float32)


def replace_boxes(keyframes: Sequence[Keyframe], person_boxes: PersonBoxes, min_score: float) -> list[Keyframe]:
    """The same keyframes with these persons of at least `min_score` instead of their own, unlabelled.

    A keyframe without any such box stays, with no person: a whole-frame box is never made up.
    """
    replaced = []
    for keyframe in keyframes:
        boxes, scores = _boxes_of(keyframe, person_boxes, min_score)
        replaced.append(Keyframe(keyframe.video_id, keyframe.timestamp, boxes, None, scores))
    return replaced


def add_proposals(
    keyframes: Sequence[Keyframe], person_boxes: PersonBoxes, min_score: float, min_iou: float
) -> list[Keyframe]:
    """Labelled keyframes, plus every proposal that overlaps a labelled box by `min_iou` and takes over its labels.

    The paper's starred rows train so, at IoU 0.9 (SlowFast, section 5).
    """
    extended = []
    for keyframe in keyframes:
        assert keyframe.labels is not None
        boxes, scores = _boxes_of(keyframe, person_boxes, min_score)
        if len(boxes) == 0 or len(keyframe.boxes) == 0:
            extended.append(keyframe)
            continue
        iou, match = compute_iou(boxes, keyframe.boxes).max(dim=1)
        near = iou >= min_iou
        extended.append(
            Keyframe(
                keyframe.video_id,
                keyframe.timestamp,
                torch.cat((keyframe.boxes, boxes[near])),
                torch.cat((keyframe.labels, keyframe.labels[match[near]])),
                torch.cat((keyframe.person_scores, scores[near])),
            )
        )
    return extended


def compute_recall(
    keyframes: Sequence[Keyframe], person_boxes: PersonBoxes, min_score: float
) -> tuple[float | None, float | None]:
    """Recall of the labelled boxes and precision of the detected ones, both at IoU 0.5; None where there are none."""
    labelled = hit = detected = correct = 0
    for keyframe in keyframes:
        boxes, _ = _boxes_of(keyframe, person_boxes, min_score)
        close = compute_iou(keyframe.boxes, boxes) >= 0.5
        labelled, detected = labelled + len(keyframe.boxes), detected + len(boxes)
        hit, correct = hit + int(close.any(dim=1).sum()), correct + int(close.any(dim=0).sum())
    return hit / labelled if labelled else None, correct / detected if detected else None


def _boxes_of(keyframe: Keyframe, person_boxes: PersonBoxes, min_score: float) -> tuple[Tensor, Tensor]:
    nobody = torch.zeros(0, 4), torch.zeros(0)
    boxes, scores = person_boxes.get((keyframe.video_id, timestamp_key(keyframe.timestamp)), nobody)
    sure = scores >= min_score
    return boxes[sure], scores[sure]
