"""Calibrates scores and chooses their thresholds from boxes that the network has not seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MIN_EXAMPLES = 2  # boxes with a class, and without it, below which its scores stay as they are
MIN_PRECISION = 0.5  # of the boxes that show a class


def calibrate(layer: nn.Linear, logits: Tensor, labels: Tensor) -> None:
    """Calibrates scores by Platt scaling (Platt 1999).

    Scores become sigmoid(slope * logit + offset), which is folded into the last linear layer. A
    class keeps its scores where there are too few examples, and where the fitted slope would turn
    their order round.

    Args:
        layer: The layer that gave `logits`; it is changed in place.
        logits: [N, C].
        labels: [N, C] of the same boxes.
    """
    fitted = [fit_platt(logits[:, column], labels[:, column]) for column in range(labels.shape[1])]
    slopes, offsets = torch.tensor(fitted).unbind(dim=1)
    with torch.no_grad():
        layer.weight.mul_(slopes[:, None])
        layer.bias.mul_(slopes).add_(offsets)


def fit_platt(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Fits what turns logits into calibrated ones, slope * logit + offset (Platt 1999).

    Args:
        logits: [N].
        labels: [N], 1 where the answer is yes.

    Returns:
        Slope and offset: 1 and 0 where there are too few examples, or the fitted slope would turn
        the order round.
    """
    num_positive = int(labels.sum())
    num_negative = len(labels) - num_positive
    if min(num_positive, num_negative) < MIN_EXAMPLES:
        return 1.0, 0.0
    # Platt's targets: an example counts as one of infinitely many, so that no score must be 0 or 1
    high = (num_positive + 1) / (num_positive + 2)
    low = 1 / (num_negative + 2)
    targets = torch.where(labels > 0, high, low).double()
    values = logits.double()
    parameters = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=100, line_search_fn="strong_wolfe")

    def compute_loss() -> Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(parameters[0] * values + parameters[1], targets)
        loss.backward()
        return loss

    optimizer.step(compute_loss)
    slope, offset = parameters.tolist()
    return (slope, offset) if slope > 0 else (1.0, 0.0)


def find_thresholds(scores: Tensor, labels: Tensor) -> list[float]:
    """Finds for each class the score from which on it should be shown.

    It is the threshold of the highest F1 on these boxes among those at which at least half of what
    is shown is right; 0.5 where there is none. It lies in the middle between the lowest score shown
    and the next one below.

    Args:
        scores: [N, C].
        labels: [N, C] of the same boxes.

    Returns:
        C thresholds.
    """
    return [
        _find_threshold(scores[:, column], labels[:, column]) for column in range(labels.shape[1])
    ]


def _find_threshold(scores: Tensor, labels: Tensor) -> float:
    values, order = scores.double().sort(descending=True)
    hits = labels.double()[order].cumsum(dim=0)
    shown = torch.arange(1, len(values) + 1)
    f1 = 2 * hits / (shown + labels.sum())
    f1[hits / shown < MIN_PRECISION] = 0
    f1[:-1][values[:-1] == values[1:]] = 0  # equal scores are shown together
    last = int(f1.argmax())
    if not f1[last]:
        return 0.5
    below = values[last + 1] if last + 1 < len(values) else torch.zeros((), dtype=torch.float64)
    return float((values[last] + below) / 2)
