"""Builds the optimizer, and computes the learning rate as a pure function of progress."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


def build_parameter_groups(
    model: nn.Module,
    weight_decay: float,
    layers: Sequence[Sequence[nn.Module]] = (),
    layer_decay: float = 1.0,
) -> list[dict[str, Any]]:
    """Groups parameters by weight decay, and by depth where the learning rate falls with it.

    Weights of convolutions and linear layers decay, others do not.

    Args:
        model: Whose parameters are grouped.
        weight_decay: Of those that decay.
        layers: Modules of the network's layers, the first one first, as `Backbone.list_layers`
            gives them; parameters of no layer belong to the end of the network.
        layer_decay: Share of the next layer's learning rate that a layer has.

    Returns:
        Groups of an optimizer. `lr_scale` is the share of the learning rate that a group has:
        layer_decay ** (layers after it), 1 for the end (Clark et al. 2020, ELECTRA; Bao et al.
        2022, BEiT).
    """
    depth_of: dict[nn.Parameter, int] = {}
    for depth, modules in enumerate(layers):
        depth_of |= {parameter: depth for module in modules for parameter in module.parameters()}
    end = len(layers) if layer_decay != 1 else 0
    groups: list[dict[str, Any]] = []
    for depth in range(end + 1):
        decayed: list[nn.Parameter] = []
        free: list[nn.Parameter] = []
        for parameter in model.parameters():
            if parameter.requires_grad and min(depth_of.get(parameter, end), end) == depth:
                (decayed if parameter.ndim > 1 else free).append(parameter)
        scale = layer_decay ** (end - depth)
        groups.append({"params": decayed, "weight_decay": weight_decay, "lr_scale": scale})
        groups.append({"params": free, "weight_decay": 0.0, "lr_scale": scale})
    return groups


def build_optimizer(
    model: nn.Module,
    name: str,
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    layers: Sequence[Sequence[nn.Module]] = (),
    layer_decay: float = 1.0,
) -> torch.optim.Optimizer:
    """Builds an optimizer that makes one fused pass over the parameters a step.

    Args:
        model: Whose parameters it changes.
        name: `sgd` (the paper) or `adamw`.
        lr: Learning rate.
        momentum: Of SGD.
        nesterov: Whether SGD's momentum is Nesterov's.
        weight_decay: Of weights of convolutions and linear layers.
        layers: As for `build_parameter_groups`.
        layer_decay: As for `build_parameter_groups`.
    """
    groups = build_parameter_groups(model, weight_decay, layers, layer_decay)
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
