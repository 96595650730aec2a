"""Builds the optimizer and the schedule that a config describes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from ava_det.config import Config
from ava_det.models.backbone import Backbone
from ava_det.training.optimizer import build_optimizer as build_plain_optimizer
from ava_det.training.optimizer import compute_lr


def build_optimizer(config: Config, model: nn.Module) -> torch.optim.Optimizer:
    """Builds the optimizer of a config's `train` section for a model's parameters."""
    train = config.train
    backbone = getattr(model, "backbone", None)
    layers = backbone.list_layers() if isinstance(backbone, Backbone) else []
    return build_plain_optimizer(
        model,
        train.optimizer,
        train.lr,
        train.momentum,
        train.nesterov,
        train.weight_decay,
        layers,
        train.layer_decay,
    )


def build_schedule(config: Config) -> Callable[[float], float]:
    """Returns a function of the fractional epoch that gives the learning rate."""
    train = config.train
    return partial(
        compute_lr,
        lr=train.lr,
        num_epochs=train.epochs,
        warmup_epochs=train.warmup_epochs,
        schedule=train.schedule,
        steps=train.steps,
    )
