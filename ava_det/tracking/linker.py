"""Who is who from one keyframe to the next, and where everybody is in between. Pure: no frame, no
file, no model.

Keyframes may be a second apart, and in a second a walking person leaves his own box behind:
likeness is therefore IoU less the distance of the centers (Distance-IoU, arXiv 1911.08287), which
still compares boxes that do not touch. It is measured from where a Kalman filter expects a person,
not from where he was.
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

# a standing person (0.15 x 0.4 of the frame) may be up to 0.35 of the frame's width further on
MIN_LIKENESS = -0.3
MAX_AREA_RATIO = 4.0  # beyond it a box is another person, or another shot
MAX_GAP_SECONDS = 2.0  # longer unseen, and a person is somebody new
# a person seen at one keyframe only is shown for so long before and after it, at most
MAX_HOLD_SECONDS = 1.0


def compute_distance_iou(first: Tensor, second: Tensor) -> Tensor:
    """Distance-IoU [N, M] in -1..1 of boxes [N, 4] and [M, 4]: IoU - (distance of centers /
    diagonal of the hull)^2.
    """
    centers = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (first, second)]
    distance = (centers[0][:, None] - centers[1][None]).square().sum(dim=2)
    low = torch.minimum(first[:, None, :2], second[None, :, :2])
    high = torch.maximum(first[:, None, 2:], second[None, :, 2:])
    return compute_iou(first, second) - distance / (high - low).square().sum(dim=2).clamp(min=1e-12)


class TrackLinker:
    """Gives the persons of successive keyframes of one video their track ids, counted from 1.

    Each person known is moved to where he should be by now (kalman.py), and compared there with the
    boxes that are.
    """

    def __init__(self) -> None:
        self._next_id = 1
        self._now = -math.inf
        self._known: dict[int, BoxFilter] = {}
        self._last_seen: dict[int, float] = {}

    def link(self, detections: Detections) -> Detections:
        """The same detections with `track_ids`; the most alike pairs of known persons and boxes are
        joined first.
        """
        boxes = detections.boxes.cpu().numpy()
        self._advance(detections.keyframe.timestamp)
        ids = self._find_ids(detections.boxes.cpu())
        for index in range(len(ids)):
            if not ids[index]:
                ids[index] = self._next_id
                self._next_id = self._next_id + 1
                self._known[ids[index]] = BoxFilter(boxes[index])
            else:
                self._known[ids[index]].correct(boxes[index])
            self._last_seen[ids[index]] = self._now
        return replace(detections, track_ids=torch.tensor(ids, dtype=torch.int64))

    def _advance(self, now: float) -> None:
        """Moves everybody on to `now`, and forgets who has not been seen for long."""
        for track_id, last_seen in list(self._last_seen.items()):
            if now - last_seen > MAX_GAP_SECONDS:
                del self._known[track_id], self._last_seen[track_id]
        for known in self._known.values():
            known.advance(now - self._now)
        self._now = now

    def _find_ids(self, boxes: Tensor) -> list[int]:
        """The track id of each box [N, 4], 0 for somebody new."""
        ids = [0] * len(boxes)
        if not self._known or not ids:
            return ids
        track_ids = list(self._known)
        expected = torch.from_numpy(np.stack([known.box for known in self._known.values()])).float()
        likeness = compute_distance_iou(expected, boxes)
        growth = (
            (compute_area(expected)[:, None] / compute_area(boxes)[None].clamp(min=1e-12))
            .log()
            .abs()
        )
        likeness[growth > math.log(MAX_AREA_RATIO)] = -2.0
        while float(likeness.max()) >= MIN_LIKENESS:
            known, box = divmod(int(likeness.argmax()), len(ids))
            ids[box] = track_ids[known]
            likeness[known] = -2.0
            likeness[:, box] = -2.0
        return ids


def interpolate(
    before: Detections | None, after: Detections | None, timestamp: float
) -> Detections | None:
    """Who is where at `timestamp`, between two neighboring keyframes with track ids (None beyond
    the first and last).

    The boxes of persons in both move in a straight line; scores are those of the nearer keyframe. A
    person of one keyframe only stays where it was until half way, for MAX_HOLD_SECONDS at most.
    None if there is no keyframe.
    """
    if before is None or after is None:
        return _hold(before or after, timestamp)
    span = after.keyframe.timestamp - before.keyframe.timestamp
    share = (timestamp - before.keyframe.timestamp) / span
    near, far = (before, after) if share < 0.5 else (after, before)
    if span > MAX_GAP_SECONDS:
        return _hold(near, timestamp)
    weight = min(share, 1 - share)
    if near.track_ids is None or far.track_ids is None:
        raise ValueError("interpolate: expected detections with track ids")
    tracks = near.track_ids.tolist()
    other = {track: index for index, track in enumerate(far.track_ids.tolist())}
    moving = [index for index, track in enumerate(tracks) if track in other]
    boxes = near.boxes.clone()
    ends = far.boxes[[other[tracks[index]] for index in moving]]
    boxes[moving] = near.boxes[moving] * (1 - weight) + ends * weight
    held = abs(timestamp - near.keyframe.timestamp) <= MAX_HOLD_SECONDS
    return _select(replace(near, boxes=boxes), [*range(len(tracks))] if held else moving)


def _hold(detections: Detections | None, timestamp: float) -> Detections | None:
    """Everybody, or nobody where the keyframe is too far away."""
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
    """Detections for every moment of a video, out of those of its keyframes, which it draws one
    ahead.

    Moments are asked for in increasing order. `latest` is the last keyframe at or before the moment
    asked for.
    """

    def __init__(self, keyframes: Iterator[Detections]) -> None:
        self._keyframes = keyframes
        self.latest: Detections | None = None
        self._next = next(keyframes, None)

    def at(self, timestamp: float) -> Detections | None:
        """Who is where at `timestamp` (annotation seconds); see `interpolate`."""
        while self._next is not None and self._next.keyframe.timestamp <= timestamp:
            self.latest, self._next = self._next, next(self._keyframes, None)
        return interpolate(self.latest, self._next, timestamp)
