"""Says how unsure a network is of what the persons of a keyframe do."""

from __future__ import annotations

import torch
from torch import Tensor

SURE = 0.5  # score from which a draft ticks an action


def count_expected_errors(scores: Tensor) -> Tensor:
    """Computes how many actions of a person a draft is expected to have wrong.

    A draft ticks what has a score of `SURE` or more. Where a calibrated score is 0.3, it ticks
    nothing and is wrong in three of ten such boxes.

    Args:
        scores: [N, C], calibrated.

    Returns:
        [N], from 0 to C / 2.
    """
    return torch.minimum(scores, 1 - scores).sum(dim=1)
