"""Builds the optimizer, and computes the learning rate as a pure function of progress."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn


def build_parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Returns two groups: weights of convolutions and linear layers decay, others do not."""
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
    """Builds an optimizer that makes one fused pass over the parameters a step.

    Args:
        model: Whose parameters it changes.
        name: `sgd` (the paper) or `adamw`.
        lr: Learning rate.
        momentum: Of SGD.
        nesterov: Whether SGD's momentum is Nesterov's.
        weight_decay: Of weights of convolutions and linear layers.
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
    """Computes the learning rate at a fractional epoch; a resumed run needs no scheduler state.

    Args:
        epoch: Fractional, from 0.
        lr: Learning rate after the warm-up.
        num_epochs: Of the whole training.
        warmup_epochs: In which the rate rises in a line from lr / 100.
        schedule: `cosine` (half a period down to 0, SlowFast section 4.1) or `steps` (its detection
            recipe).
        steps: Epochs at each of which the rate is divided by 10.
    """
    if schedule == "cosine":
        target = 0.5 * lr * (1 + math.cos(math.pi * min(epoch / num_epochs, 1.0)))
    else:
        target = lr * 0.1 ** sum(epoch >= step for step in steps)
    if epoch >= warmup_epochs:
        return target
    progress = epoch / warmup_epochs
    return lr * 0.01 * (1 - progress) + target * progress
