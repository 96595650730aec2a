"""Fits linear layers on fixed features, with all boxes in one batch.

So there is no learning rate and no schedule. The loss is binary cross-entropy per class plus an L2
penalty, on features scaled to mean 0 and variance 1. For one layer that is convex: the answer is
unique, whatever the seed. The scaling is folded into the first layer's weights at the end, so that
a fitted head reads plain features.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# strength of the penalty, tried from strong to weak; the right one depends on the number of boxes
PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
MAX_ITERATIONS = 100
NEVER = -10.0  # the bias of an action without an example: a score of 0.00005


def choose_head(
    layers: nn.Sequential, train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor]
) -> tuple[nn.Sequential, float]:
    """Fits a head with each of `PENALTIES` and chooses the one of lowest cross-entropy on `val`.

    Args:
        layers: From features [N, D] to logits [N, C], the last one linear; they are not changed.
        train: Features [N, D] and labels [N, C] to fit the layers on.
        val: The same to choose the penalty on.

    Returns:
        The fitted layers and their penalty.
    """
    best: tuple[float, nn.Sequential, float] | None = None
    for penalty in PENALTIES:
        fitted = fit_head(layers, *train, penalty)
        with torch.inference_mode():
            loss = float(F.binary_cross_entropy_with_logits(fitted(val[0]), val[1]))
        if best is None or loss < best[0]:
            best = loss, fitted, penalty
    assert best is not None
    return best[1], best[2]


def fit_head(
    layers: nn.Sequential, features: Tensor, labels: Tensor, penalty: float
) -> nn.Sequential:
    """Fits a copy of some layers by L-BFGS.

    It minimizes mean cross-entropy + penalty / 2 * (sum of squared weights) / classes.

    Args:
        layers: From features [N, D] to logits [N, C], the first and the last one linear.
        features: [N, D].
        labels: [N, C].
        penalty: Strength of the L2 penalty.

    Returns:
        The fitted copy, without gradients.
    """
    fitted = copy.deepcopy(layers).float()
    first = fitted[0]
    last = fitted[-1]
    assert isinstance(first, nn.Linear) and isinstance(last, nn.Linear)
    mean = features.mean(dim=0)
    std = features.std(dim=0, correction=0)
    # a constant feature carries no information
    std = torch.where(std > 1e-6 * std.max().clamp_min(1e-12), std, math.inf)
    scaled = (features - mean) / std
    share = ((labels.sum(dim=0) + 0.5) / (len(labels) + 1)).logit()
    with torch.no_grad():
        if first is last:
            last.weight.zero_()
        last.bias.copy_(share)
    weights = [layer.weight for layer in fitted if isinstance(layer, nn.Linear)]
    optimizer = torch.optim.LBFGS(
        fitted.parameters(), max_iter=MAX_ITERATIONS, line_search_fn="strong_wolfe"
    )

    def compute_loss() -> Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(fitted(scaled), labels)
        squares = torch.stack([weight.square().sum() for weight in weights]).sum()
        loss = loss + penalty / 2 * squares / labels.shape[1]
        loss.backward()
        return loss

    optimizer.step(compute_loss)
    with torch.no_grad():
        first.weight.div_(std)
        first.bias.sub_(first.weight @ mean)
    return fitted.requires_grad_(False)


def place_columns(narrow: nn.Linear, wide: nn.Linear, columns: list[int]) -> None:
    """Copies the outputs of a layer to some columns of a wider one.

    The other outputs of the wider layer get weight 0 and bias `NEVER`.

    Args:
        narrow: The layer to copy.
        wide: The layer to fill; it is changed in place.
        columns: Which output of `wide` each output of `narrow` becomes.
    """
    with torch.no_grad():
        wide.weight.zero_()
        wide.bias.fill_(NEVER)
        wide.weight[columns] = narrow.weight
        wide.bias[columns] = narrow.bias
