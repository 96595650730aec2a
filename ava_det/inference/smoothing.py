"""Action scores that do not flicker: each person's, averaged over the last seconds. Pure."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ava_det.structures import Detections


class ScoreSmoother:
    """Exponential averages of every track's action scores, with a time constant in seconds; 0
    leaves them alone.

    For detections of one video in order of time, with track ids. A person seen for the first time
    starts from his own scores.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[int, tuple[float, Tensor]] = {}

    def smooth(self, detections: Detections) -> Detections:
        """The same detections with averaged scores. Raises ValueError for detections without track
        ids.
        """
        if not self._seconds:
            return detections
        if detections.track_ids is None:
            raise ValueError("smooth: expected detections with track ids")
        now = detections.keyframe.timestamp
        scores = detections.action_scores.clone()
        for row, track in enumerate(detections.track_ids.tolist()):
            if track in self._known:
                before, average = self._known[track]
                scores[row] = torch.lerp(
                    scores[row], average, math.exp((before - now) / self._seconds)
                )
            self._known[track] = now, scores[row]
        # an average that has faded to e^-10 says nothing any more
        self._known = {
            track: old for track, old in self._known.items() if now - old[0] < 10 * self._seconds
        }
        return replace(detections, action_scores=scores)
