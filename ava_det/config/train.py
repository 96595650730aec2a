"""The section `train` of a config: the recipe of a training."""

from __future__ import annotations

from dataclasses import dataclass, field

from ava_det.config.checks import KeyChecks


@dataclass
class TrainConfig:
    """Describes how a network is trained.

    `batch_size` counts clips over all processes; `lr` belongs to that batch. A comment beside each
    key says what it means; `ava-det config --keys` prints them.
    """

    batch_size: int = 64  # clips of a step, over all processes
    # parts of each process's share, one after another: less memory, the same gradient
    micro_batches: int = 1
    lr: float = 0.1  # learning rate for batch_size clips, after the warmup
    epochs: int = 20  # of the whole schedule
    num_workers: int = 2  # processes that read clips, for each training process
    optimizer: str = "sgd"  # sgd or adamw
    momentum: float = 0.9  # of sgd
    nesterov: bool = False  # Nesterov's form of momentum
    # gamma of the focal loss, which gives errors more weight; 0 is the paper's cross-entropy
    focal_gamma: float = 0.0
    action_ids: list[int] | None = None  # AVA ids to train on, score and save; null for all
    # on weights of convolutions and linear layers, not on norms or biases
    weight_decay: float = 1e-7
    # share of the next block's lr that each block of a transformer has (VideoMAE's ViT-B: 0.75);
    # 1: all have the whole lr
    layer_decay: float = 1.0
    warmup_epochs: float = 5.0  # epochs in which lr rises linearly to its value
    schedule: str = "steps"  # steps or cosine (half a period)
    # epochs at which lr is divided by 10
    steps: list[float] = field(default_factory=lambda: [10.0, 15.0])
    # the largest norm of all gradients together; null: no limit
    clip_grad_norm: float | None = None
    # keep an average of the weights beside them, of which this share stays in a step (0.9999 for
    # tens of thousands of steps, 0.99 for hundreds); null: none
    ema_decay: float | None = None
    freeze_bn: bool = False  # keep the running statistics of the initial weights
    log_every: int = 20  # steps
    eval_every: int | None = None  # epochs; null evaluates at the end only
    # minutes between checkpoints within an epoch; every epoch ends with one
    save_every: float = 15.0
    keep_checkpoints: int = 2  # full epochs whose checkpoints stay, besides the last and the best

    def __post_init__(self) -> None:
        check = KeyChecks(self, "train")
        check.require_one_of("optimizer", ("sgd", "adamw"))
        check.require_one_of("schedule", ("steps", "cosine"))
        check.require_at_least("batch_size", 1, "at least 1")
        check.require_at_least("micro_batches", 1, "at least 1")
        check.require_at_least("focal_gamma", 0, "0 or more")
        check.require("action_ids", self.action_ids != [], "null or a list of ids")
        check.require("lr", self.lr > 0, "a positive number")
        check.require("momentum", 0 <= self.momentum < 1, "a fraction in [0, 1)")
        has_momentum = not self.nesterov or self.momentum > 0
        check.require("nesterov", has_momentum, "false where momentum is 0")
        check.require_at_least("weight_decay", 0, "0 or more")
        keeps = self.ema_decay is None or 0 < self.ema_decay < 1
        check.require("ema_decay", keeps, "null or a share in (0, 1)")
        check.require("layer_decay", 0 < self.layer_decay <= 1, "a share in (0, 1]")
        clips = self.clip_grad_norm is None or self.clip_grad_norm > 0
        check.require("clip_grad_norm", clips, "null or a positive number")
        check.require("epochs", self.epochs > 0, "a positive number")
        check.require_at_least("num_workers", 0, "0 or more")
        check.require_at_least("log_every", 1, "at least 1")
        check.require_at_least("warmup_epochs", 0, "0 or more")
        positive = self.eval_every is None or self.eval_every > 0
        check.require("eval_every", positive, "null or a positive number of epochs")
        check.require_at_least("save_every", 0, "0 (every step) or more minutes")
        check.require_at_least("keep_checkpoints", 0, "0 or more")
        self.steps = sorted(self.steps)
        self.action_ids = None if self.action_ids is None else sorted(set(self.action_ids))
