"""Calibrates a network's scores on labeled boxes, all actions together."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ava_det.own_classes import fit_platt

NEAREST = 1e-6  # to 0 and 1 that a score may be, for its logit


class Calibration(NamedTuple):
    """Holds what makes scores calibrated: sigmoid(slope * logit + offset).

    Two numbers for all actions, as rare ones have too few examples for numbers of their own.

    Attributes:
        slope: Of logits.
        offset: Of logits.
    """

    slope: float = 1.0
    offset: float = 0.0

    @classmethod
    def fit(cls, scores: Tensor, labels: Tensor) -> Calibration:
        """Fits it by Platt scaling; scores stay as they are where the labels say too little.

        Args:
            scores: [N, C], 0..1.
            labels: [N, C] of the same boxes.
        """
        return cls(*fit_platt(_compute_logits(scores).flatten(), labels.flatten()))

    def apply(self, scores: Tensor) -> Tensor:
        """Returns the calibrated scores, float32 [N, C]."""
        return (self.slope * _compute_logits(scores) + self.offset).sigmoid().float()


def _compute_logits(scores: Tensor) -> Tensor:
    return torch.logit(scores.double(), NEAREST)
