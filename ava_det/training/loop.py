"""Trains a network, whatever its task: the one loop of action, video and person training.

ava-det train --config configs/synthetic/slowfast.yaml                  one process
torchrun --nproc-per-node 8 -m ava_det train --config FILE              one machine with 8 GPUs
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ava_det.distributed import broadcast_from_main, world_size
from ava_det.structures import ClipBatch
from ava_det.training.agreement import agree_on_step
from ava_det.training.average import WeightAverage
from ava_det.training.interval import FIRST_LOGGED_STEPS, DivergedError, Interval
from ava_det.training.log import Log
from ava_det.training.loss import StepLoss, TaskLoss, split_batch
from ava_det.training.state import Position, TrainingError, capture_state, is_finite, restore_state
from ava_det.training.stop import StopRequest

LOG_SECONDS = 5.0  # between lines of the log, however many steps that is


class Metrics(Protocol):
    """Describes what an evaluation measured."""

    @property
    def score(self) -> float | None:
        """Returns how good the model is; the highest value makes the best checkpoint."""

    def to_log(self) -> dict[str, float | None]:
        """Returns the numbers of the log's line, by name."""


Result = TypeVar("Result", bound=Metrics)


class EpochLoader(Protocol):
    """Describes a loader: the same batches for the same epoch, from any of them on."""

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Chooses the epoch that is read next, from a batch on."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[ClipBatch]: ...


@dataclass
class LoopSettings:
    """Holds what is minimized and how long.

    Attributes:
        num_epochs: Of the whole training.
        clip_grad_norm: Largest norm of the gradient, or None.
        freeze_bn: Whether batch norms keep their running statistics.
        loss: Of the task.
        log_every: Steps between lines of the log; fewer where they take longer than LOG_SECONDS.
        eval_every: Epochs between evaluations, or None for the end only.
        save_every: Minutes between checkpoints within an epoch.
        micro_batches: Parts of a step's batch, computed one after another.
        ema_decay: Share of a step's average of the weights that is the one before; None for none.
    """

    num_epochs: int
    clip_grad_norm: float | None
    freeze_bn: bool
    loss: TaskLoss
    log_every: int
    eval_every: int | None
    save_every: float
    micro_batches: int = 1
    ema_decay: float | None = None


@dataclass
class Hooks(Generic[Result]):
    """Holds what the loop calls between steps.

    Attributes:
        evaluate: Model -> metrics.
        save: Writes a training state; called on every rank.
        log: Takes the lines of the log.
        stop: A request to stop, which is looked at after each step.
    """

    evaluate: Callable[[nn.Module], Result]
    save: Callable[[dict[str, Any]], None]
    log: Log
    stop: StopRequest = field(default_factory=StopRequest)


def train(
    model: nn.Module,
    loader: EpochLoader,
    optimizer: torch.optim.Optimizer,
    lr_at: Callable[[float], float],
    to_device: Callable[[ClipBatch], ClipBatch],
    settings: LoopSettings,
    hooks: Hooks[Result],
    resume_from: dict[str, Any] | None = None,
) -> Result:
    """Trains `model` and returns the metrics of its last evaluation.

    Args:
        model: On the device it is trained on.
        loader: The batches of this rank.
        optimizer: Of the model's parameters.
        lr_at: Fractional epoch -> learning rate.
        to_device: Puts a batch of the loader onto the model's device, as the network takes it.
        settings: What is minimized and how long.
        hooks: What is called between steps.
        resume_from: A training state that was read back.

    Returns:
        What `hooks.evaluate` returned for the trained model.

    Raises:
        Preempted: After a step in which `hooks.stop` was received; the state is saved.
        TrainingError: Training cannot go on, such as for a loss that is not finite.
    """
    position = Position(len(loader))
    average = None if settings.ema_decay is None else WeightAverage(model, settings.ema_decay)
    if resume_from is not None:
        position = restore_state(model, optimizer, resume_from, len(loader), average)
    loop = _Loop(model, loader, optimizer, lr_at, to_device, settings, hooks, position, average)
    while position.epoch < settings.num_epochs:
        if loop.is_evaluation_due():
            loop.evaluate()
        loop.train_epoch()
    return loop.evaluate()


class _Loop(Generic[Result]):
    """Trains epoch by epoch from a position on, and averages weights where an average is given.

    The other arguments are those of `train`.
    """

    def __init__(
        self,
        model: nn.Module,
        loader: EpochLoader,
        optimizer: torch.optim.Optimizer,
        lr_at: Callable[[float], float],
        to_device: Callable[[ClipBatch], ClipBatch],
        settings: LoopSettings,
        hooks: Hooks[Result],
        position: Position,
        average: WeightAverage | None,
    ) -> None:
        self.model = model
        self.average = average
        self.loader = loader
        self.optimizer = optimizer
        self.lr_at = lr_at
        self.to_device = to_device
        self.settings = settings
        self.hooks = hooks
        self.position = position
        self.device = next(model.parameters()).device
        self.parallel = model
        if world_size() > 1:
            devices = [self.device] if self.device.type == "cuda" else None
            self.parallel = DistributedDataParallel(model, devices)

    def train_epoch(self) -> None:
        """Trains to the end of an epoch, where the state is saved."""
        position = self.position
        stop = self.hooks.stop
        epoch = position.epoch
        num_examples = 0.0
        self.loader.set_epoch(epoch, position.batch)
        saved_at = time.monotonic()
        interval = self._begin_interval()
        stop.in_steps = True
        for batch in self.loader:
            interval.data_arrived()
            lr = self.lr_at(position.fractional_epoch)
            agreed = agree_on_step(
                self.settings.loss.count(batch),
                stop.received is not None,
                time.monotonic() - saved_at >= self.settings.save_every * 60,
                interval.seconds >= LOG_SECONDS,
            )
            loss = take_step(
                self.parallel,
                batch,
                agreed.num_examples,
                lr,
                self.optimizer,
                self.to_device,
                self.settings,
            )
            if self.average is not None:
                self.average.update(self.model)
            interval.add(loss, batch.keyframes)
            position.advance()
            num_examples += agreed.num_examples
            saves = agreed.is_save_due or agreed.is_stopped or position.batch == 0
            if saves or agreed.is_log_due or self._is_log_due():
                self._log(interval, lr, epoch)
                interval = self._begin_interval()
            if saves:
                self._save()
                saved_at = time.monotonic()
            if agreed.is_stopped:
                stop.end(f"step {position.step}")
        if not num_examples:
            raise TrainingError(
                f"epoch {epoch}: expected clips to learn from, not one of them could be read"
            )

    def is_evaluation_due(self) -> bool:
        """Returns whether the epochs before this one are to be evaluated and were not.

        A resumed run may stand there.
        """
        position = self.position
        every = self.settings.eval_every
        if every is None or position.batch or not position.epoch:
            return False
        return position.epoch % every == 0 and position.epoch not in position.mean_aps

    def evaluate(self) -> Result:
        """Evaluates between two epochs; the state, saved before, is saved again with its number."""
        position = self.position
        self.hooks.stop.leave_steps()
        of_average: dict[str, float | None] = {}
        if self.average is not None:  # first, so that the files of results are the weights' own
            averaged = self._score(self.average.model)
            self.average.scores[position.epoch] = averaged.score
            of_average = {f"ema_{name}": value for name, value in averaged.to_log().items()}
        metrics = self._score(self.model)
        self.hooks.log.write(epoch=position.epoch, **metrics.to_log(), **of_average)
        position.mean_aps[position.epoch] = metrics.score
        self.hooks.save(capture_state(self.model, self.optimizer, position, self.average))
        return metrics

    def _score(self, model: nn.Module) -> Result:
        # the batch norms of each rank saw other clips: all evaluate what was saved
        broadcast_from_main(model.buffers())
        cuda = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(cuda):  # training goes on as if nothing had been evaluated
            return self.hooks.evaluate(model)

    def _begin_interval(self) -> Interval:
        return Interval(self.device, self.position, self.settings.loss.initial_loss)

    def _is_log_due(self) -> bool:
        position = self.position
        return position.batch % self.settings.log_every == 0 or position.step in FIRST_LOGGED_STEPS

    def _log(self, interval: Interval, lr: float, epoch: int) -> None:
        """Writes a line of the log; clips whose loss is not finite are read again for the error."""
        num_steps = self.settings.num_epochs * len(self.loader)
        try:
            self.hooks.log.write(**interval.close(self.position, lr, num_steps))
        except DivergedError as error:
            # the very same clips can be read again: their augmentation is seeded
            if error.is_own:
                self.loader.set_epoch(epoch, error.batch_index)
                error.batch = next(iter(self.loader))
            raise

    def _save(self) -> None:
        """Saves, unless the last step broke a weight: its loss was computed before it."""
        position = self.position
        if not is_finite(self.model):
            raise TrainingError(
                f"step {position.step} (epoch {position.fractional_epoch:.2f}): a weight is no "
                "finite number any more, so the checkpoint before it was kept; try a lower "
                "train.lr or train.clip_grad_norm"
            )
        self.hooks.save(capture_state(self.model, self.optimizer, position, self.average))


def take_step(
    model: nn.Module,
    batch: ClipBatch,
    num_examples: float,
    lr: float,
    optimizer: torch.optim.Optimizer,
    to_device: Callable[[ClipBatch], ClipBatch],
    settings: LoopSettings,
) -> StepLoss:
    """Takes one step of the optimizer on a batch of this rank.

    Args:
        model: The network, or DistributedDataParallel around it.
        batch: As the loader gives it.
        num_examples: Of the step, over all ranks, as `settings.loss` counts them.
        lr: Learning rate of the step; a group with `lr_scale` has that share of it.
        optimizer: Of the model's parameters.
        to_device: Puts a batch onto the model's device.
        settings: The loss and how its gradient is used.

    Returns:
        The losses of this rank, without a gradient; nothing is read back from the device.
    """
    model.train()
    # clips that could not be read teach a norm nothing
    if settings.freeze_bn or settings.loss.count(batch) == 0:
        freeze_batch_norm(model)
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
    optimizer.zero_grad(set_to_none=True)
    parts = split_batch(batch, settings.micro_batches)
    losses = []
    for part in parts:
        # gradients travel between ranks once a step, with the last part
        waits = isinstance(model, DistributedDataParallel) and part is not parts[-1]
        with cast(DistributedDataParallel, model).no_sync() if waits else nullcontext():
            loss = settings.loss.compute(model, to_device(part), num_examples)
            torch.stack(list(loss.parts.values())).sum().backward()
        losses.append(loss)
    if settings.clip_grad_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_grad_norm)
    optimizer.step()
    return _add(losses)


def _add(losses: list[StepLoss]) -> StepLoss:
    """Adds up the losses of a step's parts and averages their logits."""
    logits = [loss.mean_logit for loss in losses if loss.mean_logit is not None]
    total = {
        name: torch.stack([loss.parts[name].detach() for loss in losses]).sum()
        for name in losses[0].parts
    }
    return StepLoss(total, torch.stack(logits).mean() if logits else None)


def freeze_batch_norm(model: nn.Module) -> None:
    """Makes batch norms use their running statistics and keep them; weight and bias still learn."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
