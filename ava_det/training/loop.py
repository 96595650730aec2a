"""The training loop, read top to bottom.

ava-det train --config configs/synthetic/slowfast.yaml                          one process
torchrun --nproc-per-node 8 -m ava_det train --config configs/ava/slowfast_r50_8x8.yaml   one node of 8 GPUs
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ava_det.distributed import broadcast_from_main, is_main_process, sum_over_ranks, world_size
from ava_det.structures import ClipBatch
from ava_det.training.interval import FIRST_LOOKS, DivergedError, Interval
from ava_det.training.log import Log
from ava_det.training.loss import LossSettings, compute_loss, split_batch
from ava_det.training.state import Position, TrainingError, capture_state, is_finite, restore_state
from ava_det.training.stop import StopRequest

LOG_SECONDS = 5.0  # between looks at the loss, however many steps that is


class EpochLoader(Protocol):
    """What the loop asks of a loader: the same batches for the same epoch, from any of them on."""

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[ClipBatch]: ...


@dataclass
class LoopSettings:
    """num_epochs; clip_grad_norm: largest norm of the gradient, or None; loss: which actions count,
    and how; log_every: steps between looks at the loss, fewer where they take longer than
    LOG_SECONDS; eval_every: epochs between evaluations, or None for the end only; save_every:
    minutes between checkpoints within an epoch; micro_batches: parts of a step's batch, one after
    another; metric: of what `evaluate` returns, the number that says how good the model is.
    """

    num_epochs: int
    clip_grad_norm: float | None
    freeze_bn: bool
    loss: LossSettings
    log_every: int
    eval_every: int | None
    save_every: float
    micro_batches: int = 1
    metric: str = "mAP"


@dataclass
class Hooks:
    """What the loop calls between steps. evaluate: model -> metrics. save: writes a training state,
    called on every rank. stop: a wish to end, which is looked at after each step.
    """

    evaluate: Callable[[nn.Module], dict[str, Any]]
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
    hooks: Hooks,
    resume_from: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Trains `model` and returns the metrics of its last evaluation.

    lr_at: fractional epoch -> learning rate. resume_from: a training state that was read back.
    Raises Preempted, the state saved, after a step in which `hooks.stop` was received.
    """
    position = Position(len(loader))
    stop = hooks.stop
    if resume_from is not None:
        position = restore_state(model, optimizer, resume_from, len(loader))
    device = next(model.parameters()).device
    replicas = world_size() > 1
    parallel = (
        DistributedDataParallel(model, [device] if device.type == "cuda" else None)
        if replicas
        else model
    )
    num_steps = settings.num_epochs * len(loader)
    saved_at = time.monotonic()
    while position.epoch < settings.num_epochs:
        if _is_evaluation_due(position, settings.eval_every):
            _score(model, optimizer, position, settings.metric, hooks)
        epoch = position.epoch
        boxes_of_epoch = 0.0
        loader.set_epoch(epoch, position.batch)
        interval = Interval(device, position, settings.loss.initial_loss)
        stop.in_steps = True
        for batch in loader:
            interval.data_arrived()
            lr = lr_at(position.fractional_epoch)
            is_late = time.monotonic() - saved_at >= settings.save_every * 60
            wishes = stop.received is not None, is_late, interval.seconds >= LOG_SECONDS
            num_boxes, is_stopped, is_save_due, is_log_due = _agree(len(batch.rois), *wishes)
            interval.add(
                *take_step(parallel, batch, num_boxes, lr, optimizer, to_device, settings),
                batch.keyframes,
            )
            position.advance()
            boxes_of_epoch += num_boxes
            saves = is_save_due or is_stopped or position.batch == 0
            if (
                saves
                or is_log_due
                or position.batch % settings.log_every == 0
                or position.step in FIRST_LOOKS
            ):
                try:
                    hooks.log.write(**interval.close(position, lr, num_steps))
                except DivergedError as error:
                    # the very same clips can be read again: their augmentation is seeded
                    if error.is_own:
                        loader.set_epoch(epoch, error.batch_index)
                        error.batch = next(iter(loader))
                    raise
                interval = Interval(device, position, settings.loss.initial_loss)
            if saves:
                _save_sound(model, optimizer, position, hooks.save)
                saved_at = time.monotonic()
            if is_stopped:
                stop.end(f"step {position.step}")
        if not boxes_of_epoch:
            raise TrainingError(
                f"epoch {epoch}: expected clips to learn from, not one of them could be read"
            )
    return _score(model, optimizer, position, settings.metric, hooks)


def take_step(
    model: nn.Module,
    batch: ClipBatch,
    num_boxes: float,
    lr: float,
    optimizer: torch.optim.Optimizer,
    to_device: Callable[[ClipBatch], ClipBatch],
    settings: LoopSettings,
) -> tuple[Tensor, Tensor]:
    """One step of the optimizer on a batch of this rank, `num_boxes` over all ranks; its loss and
    mean |logit|.
    """
    model.train()
    # clips that could not be read teach a norm nothing
    if settings.freeze_bn or len(batch.rois) == 0:
        freeze_batch_norm(model)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad(set_to_none=True)
    parts = split_batch(batch, settings.micro_batches)
    losses = []
    logits = []
    for part in parts:
        # gradients travel between ranks once a step, with the last part
        waits = isinstance(model, DistributedDataParallel) and part is not parts[-1]
        with cast(DistributedDataParallel, model).no_sync() if waits else nullcontext():
            loss, mean_logit = compute_loss(model, to_device(part), num_boxes, settings.loss)
            loss.backward()
        losses.append(loss.detach())
        logits.append(mean_logit)
    if settings.clip_grad_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_grad_norm)
    optimizer.step()
    return torch.stack(losses).sum(), torch.stack(logits).mean()


def freeze_batch_norm(model: nn.Module) -> None:
    """Batch norms keep their running statistics and are not updated by them; their affine part
    still learns.
    """
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _agree(
    num_boxes: int, is_stopped: bool, is_late: bool, is_silent: bool
) -> tuple[float, bool, bool, bool]:
    """Over all ranks: the boxes of a step, whether any was asked to stop, whether the main one
    wants to save or log.

    Counts and wishes are known before the step, on the host, so that no device is waited for.
    """
    by_main = is_main_process()
    told = torch.tensor(
        [num_boxes, is_stopped, is_late and by_main, is_silent and by_main], dtype=torch.float64
    )
    boxes, stopped, late, silent = sum_over_ranks(told).tolist()
    return boxes, stopped > 0, late > 0, silent > 0


def _is_evaluation_due(position: Position, eval_every: int | None) -> bool:
    """At the start of an epoch, where the epochs before it have not been scored yet (a resumed run
    may stand there).
    """
    if eval_every is None or position.batch or not position.epoch:
        return False
    return position.epoch % eval_every == 0 and position.epoch not in position.mean_aps


def _score(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    position: Position,
    metric: str,
    hooks: Hooks,
) -> dict[str, Any]:
    """Evaluates between two epochs; the state, saved before, is saved again with its number."""
    hooks.stop.leave_steps()
    # each rank's batch norms saw other clips: all score what was saved
    broadcast_from_main(model.buffers())
    metrics = hooks.evaluate(model)
    hooks.log.write(epoch=position.epoch, **{metric: metrics[metric]})
    position.mean_aps[position.epoch] = metrics[metric]
    hooks.save(capture_state(model, optimizer, position))
    return metrics


def _save_sound(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    position: Position,
    save: Callable[[dict[str, Any]], None],
) -> None:
    """Saves, unless the last step broke a weight: its loss was computed before it."""
    if not is_finite(model):
        raise TrainingError(
            f"step {position.step} (epoch {position.fractional_epoch:.2f}): a weight is no finite number any more, so "
            "the checkpoint before it was kept; try a lower train.lr or train.clip_grad_norm"
        )
    save(capture_state(model, optimizer, position))
