"""Smooths action scores so that they do not flicker: averages them over the last seconds."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ava_det.structures import Detections


class ScoreSmoother:
    """Averages every track's action scores exponentially.

    It is for detections of one video in order of time, with track ids. A person who is seen for the
    first time starts with their own scores.

    Args:
        seconds: Time constant; 0 leaves scores as they are.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[int, tuple[float, Tensor]] = {}

    def smooth(self, detections: Detections) -> Detections:
        """Returns the same detections with averaged scores.

        Raises:
            ValueError: The detections have no track ids.
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
        # An average whose weight has decayed to e^-10 has no effect any more.
        self._known = {
            track: old for track, old in self._known.items() if now - old[0] < 10 * self._seconds
        }
        return replace(detections, action_scores=scores)
