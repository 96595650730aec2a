"""The optimizer's parameter groups, and the learning rate as a pure function of progress."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn


def build_parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Two groups: weights of convolutions and linear layers decay, norms and biases do not."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            (decayed if parameter.ndim > 1 else free).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def build_optimizer(
    model: nn.Module, name: str, lr: float, momentum: float, nesterov: bool, weight_decay: float
) -> torch.optim.Optimizer:
    """`sgd` (the paper) or `adamw`; momentum and nesterov are SGD's. One fused pass over the
    parameters a step.
    """
    groups = build_parameter_groups(model, weight_decay)
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=True)
    return torch.optim.AdamW(groups, lr=lr, fused=True)


def compute_lr(
    epoch: float,
    lr: float,
    num_epochs: float,
    warmup_epochs: float,
    schedule: str,
    steps: Sequence[float],
) -> float:
    """The learning rate at a fractional epoch, so that a resumed run needs no scheduler state.

    Linear warm-up from lr / 100, then `cosine` (half a period down to 0, SlowFast section 4.1) or
    `steps` (divided by 10 at each of `steps`, its detection recipe).
    """
    if schedule == "cosine":
        target = 0.5 * lr * (1 + math.cos(math.pi * min(epoch / num_epochs, 1.0)))
    else:
        target = lr * 0.1 ** sum(epoch >= step for step in steps)
    if epoch >= warmup_epochs:
        return target
    progress = epoch / warmup_epochs
    return lr * 0.01 * (1 - progress) + target * progress
