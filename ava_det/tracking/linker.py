"""Links persons from one keyframe to the next, and interpolates their boxes in between.

No frame, file or network is used. Keyframes may be a second apart, and in a second a walking person
leaves the area of their own box. Boxes are therefore compared by Distance-IoU (arXiv 1911.08287),
IoU less the distance of the centers, which also compares boxes that do not touch. The comparison
starts from where a Kalman filter expects a person, not from where the person was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ava_det.boxes import compute_area, compute_iou
from ava_det.structures import Detections
from ava_det.tracking.box_filter import BoxFilter

# Smallest Distance-IoU of one person: somebody who stands (0.15 x 0.4 of the frame) may have moved
# by up to 0.35 of the frame's width.
MIN_DISTANCE_IOU = -0.3
MAX_AREA_RATIO = 4.0  # beyond it a box is another person, or another shot
MAX_GAP_SECONDS = 2.0  # a person not seen for longer gets a new track id
# A person seen at one keyframe only is shown for at most so long before and after it.
MAX_HOLD_SECONDS = 1.0


def compute_distance_iou(first: Tensor, second: Tensor) -> Tensor:
    """Computes the Distance-IoU of all pairs of boxes.

    It is IoU - (distance of the centers / diagonal of the hull)^2, where the hull is the smallest
    box around both.

    Args:
        first: [N, 4], xyxy.
        second: [M, 4], xyxy.

    Returns:
        [N, M] in -1..1.
    """
    centers = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (first, second)]
    distance = (centers[0][:, None] - centers[1][None]).square().sum(dim=2)
    low = torch.minimum(first[:, None, :2], second[None, :, :2])
    high = torch.maximum(first[:, None, 2:], second[None, :, 2:])
    return compute_iou(first, second) - distance / (high - low).square().sum(dim=2).clamp(min=1e-12)


class TrackLinker:
    """Gives the persons of successive keyframes of one video their track ids, counted from 1.

    Every known person's box is predicted to the time of the keyframe (`BoxFilter`), and compared
    there with the boxes of the keyframe.
    """

    def __init__(self) -> None:
        self._next_id = 1
        self._now = -math.inf
        self._filters: dict[int, BoxFilter] = {}
        self._last_seen: dict[int, float] = {}

    def link(self, detections: Detections) -> Detections:
        """Returns the same detections with `track_ids`.

        The most similar pairs of known persons and boxes are linked first.
        """
        boxes = detections.boxes.cpu().numpy()
        self._advance(detections.keyframe.timestamp)
        ids = self._find_ids(detections.boxes.cpu())
        for index in range(len(ids)):
            if not ids[index]:
                ids[index] = self._next_id
                self._next_id = self._next_id + 1
                self._filters[ids[index]] = BoxFilter(boxes[index])
            else:
                self._filters[ids[index]].correct(boxes[index])
            self._last_seen[ids[index]] = self._now
        return replace(detections, track_ids=torch.tensor(ids, dtype=torch.int64))

    def _advance(self, now: float) -> None:
        """Predicts all known persons to time `now`, and drops those not seen for long."""
        for track_id, last_seen in list(self._last_seen.items()):
            if now - last_seen > MAX_GAP_SECONDS:
                del self._filters[track_id], self._last_seen[track_id]
        for box_filter in self._filters.values():
            box_filter.advance(now - self._now)
        self._now = now

    def _find_ids(self, boxes: Tensor) -> list[int]:
        """Finds the track id of each box [N, 4], 0 for a new person."""
        ids = [0] * len(boxes)
        if not self._filters or not ids:
            return ids
        track_ids = list(self._filters)
        predicted = [box_filter.box for box_filter in self._filters.values()]
        expected = torch.from_numpy(np.stack(predicted)).float()
        similarity = compute_distance_iou(expected, boxes)
        area_ratio = compute_area(expected)[:, None] / compute_area(boxes)[None].clamp(min=1e-12)
        similarity[area_ratio.log().abs() > math.log(MAX_AREA_RATIO)] = -2.0
        while float(similarity.max()) >= MIN_DISTANCE_IOU:
            known, box = divmod(int(similarity.argmax()), len(ids))
            ids[box] = track_ids[known]
            similarity[known] = -2.0
            similarity[:, box] = -2.0
        return ids


def interpolate(
    before: Detections | None, after: Detections | None, timestamp: float
) -> Detections | None:
    """Interpolates detections between two neighboring keyframes.

    The boxes of persons in both keyframes move in a straight line; scores are those of the nearer
    keyframe. A person of one keyframe only stays where it was until half way, for MAX_HOLD_SECONDS
    at most.

    Args:
        before: The keyframe before, with track ids; None before the first.
        after: The keyframe after, with track ids; None after the last.
        timestamp: Annotation seconds.

    Returns:
        The detections at `timestamp`, None where there is no keyframe.

    Raises:
        ValueError: The detections have no track ids.
    """
    if before is None or after is None:
        return _keep_if_near(before or after, timestamp)
    span = after.keyframe.timestamp - before.keyframe.timestamp
    share = (timestamp - before.keyframe.timestamp) / span
    near, far = (before, after) if share < 0.5 else (after, before)
    if span > MAX_GAP_SECONDS:
        return _keep_if_near(near, timestamp)
    weight = min(share, 1 - share)
    if near.track_ids is None or far.track_ids is None:
        raise ValueError("interpolate: expected detections with track ids")
    tracks = near.track_ids.tolist()
    other = {track: index for index, track in enumerate(far.track_ids.tolist())}
    moving = [index for index, track in enumerate(tracks) if track in other]
    boxes = near.boxes.numpy().copy()  # for so few numbers NumPy takes a third of torch's time
    if moving:
        ends = far.boxes.numpy()[[other[tracks[index]] for index in moving]]
        boxes[moving] = boxes[moving] * (1 - weight) + ends * weight
    held = abs(timestamp - near.keyframe.timestamp) <= MAX_HOLD_SECONDS
    moved = replace(near, boxes=torch.from_numpy(boxes))
    return moved if held else _select(moved, moving)


def _keep_if_near(detections: Detections | None, timestamp: float) -> Detections | None:
    """Returns the detections, or none of their persons where the keyframe is too far away."""
    if detections is None or abs(timestamp - detections.keyframe.timestamp) <= MAX_HOLD_SECONDS:
        return detections
    return _select(detections, [])


def _select(detections: Detections, rows: list[int]) -> Detections:
    if len(rows) == len(detections.boxes):
        return detections
    tracks = None if detections.track_ids is None else detections.track_ids[rows]
    return Detections(
        detections.boxes[rows],
        detections.action_scores[rows],
        detections.person_scores[rows],
        tracks,
        detections.keyframe,
    )


class Timeline:
    """Computes the detections at any time of a video from those of its keyframes.

    Times are asked for in increasing order, and keyframes are read one ahead.

    Args:
        keyframes: Detections with track ids, in order of time.

    Attributes:
        latest: The last keyframe at or before the time asked for.
    """

    def __init__(self, keyframes: Iterator[Detections]) -> None:
        self._keyframes = keyframes
        self.latest: Detections | None = None
        self._next = next(keyframes, None)

    def at(self, timestamp: float) -> Detections | None:
        """Returns the detections at `timestamp` (annotation seconds), see `interpolate`."""
        while self._next is not None and self._next.keyframe.timestamp <= timestamp:
            self.latest, self._next = self._next, next(self._keyframes, None)
        return interpolate(self.latest, self._next, timestamp)
