"""The person detector's training loop, read top to bottom: whole epochs, each ending with a
checkpoint.

ava-det train-detector --config configs/detector/synthetic.yaml                        one process
torchrun --nproc-per-node 8 -m ava_det train-detector --config configs/detector/ava.yaml         one node of 8 GPUs
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from ava_det.distributed import broadcast_from_main, is_main_process, sum_over_ranks, world_size
from ava_det.structures import ClipBatch
from ava_det.training.loop import EpochLoader
from ava_det.training.state import Position, TrainingError, capture_state, restore_state


def train_detector(
    model: nn.Module,
    loader: EpochLoader,
    optimizer: torch.optim.Optimizer,
    lr_at: Callable[[float], float],
    compute_losses: Callable[[nn.Module, ClipBatch], dict[str, Tensor]],
    *,
    evaluate: Callable[[], dict[str, Any]],
    save: Callable[[dict[str, Any]], None],
    log: Callable[..., None],
    num_epochs: int,
    log_every: int,
    eval_every: int | None = None,
    clip_grad_norm: float | None = None,
    resume_from: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Trains `model` and returns the metrics of its last evaluation.

    lr_at: fractional epoch -> learning rate. compute_losses: of a batch by name, to be added up;
    each is a mean over the images of a process, which all have as many. save: writes a training
    state; `resume_from` is one read back. log_every: steps; eval_every: epochs, None for the end
    only. Raises TrainingError where a loss is not finite.
    """
    device = next(model.parameters()).device
    position = Position(len(loader))
    if resume_from is not None:
        position = restore_state(model, optimizer, resume_from, len(loader))
    replicas = world_size() > 1
    parallel = (
        DistributedDataParallel(model, [device] if device.type == "cuda" else None)
        if replicas
        else model
    )
    steps = {"initial": position.step, "total": num_epochs * len(loader)}
    with tqdm(
        desc="train", unit="step", disable=not is_main_process(), mininterval=1.0, **steps
    ) as bar:
        while position.epoch < num_epochs:
            model.train()
            loader.set_epoch(position.epoch)
            recent: list[Tensor] = []
            for batch in loader:
                lr = lr_at(position.fractional_epoch)
                for group in optimizer.param_groups:
                    group["lr"] = lr
                losses = compute_losses(parallel, batch)
                optimizer.zero_grad(set_to_none=True)
                torch.stack(list(losses.values())).sum().backward()
                if clip_grad_norm is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), clip_grad_norm)
                optimizer.step()
                recent.append(torch.stack(list(losses.values())).detach())
                position.advance()
                bar.update()
                # the last of an epoch too: its position is 0 of the next
                if position.batch % log_every == 0:
                    line = _mean(losses, recent, position.step, lr)
                    log(epoch=round(position.fractional_epoch, 4), **line)
                    bar.set_postfix(loss=f"{line['loss']:.4f}", lr=f"{lr:.2g}")
                    recent = []
            # each rank's batch norms saw other images: all must go on with the statistics that are
            # saved
            broadcast_from_main(model.buffers())
            save(capture_state(model, optimizer, position))
            if (
                eval_every is not None
                and position.epoch % eval_every == 0
                and position.epoch < num_epochs
            ):
                log(epoch=position.epoch, **evaluate())
    metrics = evaluate()
    log(epoch=num_epochs, **metrics)
    return metrics


def _mean(names: dict[str, Tensor], recent: list[Tensor], step: int, lr: float) -> dict[str, float]:
    """Step, rate, total loss and each of its parts, over the recent steps of all processes."""
    values = (sum_over_ranks(torch.stack(recent).mean(dim=0)) / world_size()).tolist()
    if not all(math.isfinite(value) for value in values):
        raise TrainingError(
            f"step {step}: the losses are {dict(zip(names, values, strict=True))} at lr {lr:.4g}; expected finite "
            "numbers, try a lower train.lr or train.clip_grad_norm"
        )
    return {"step": step, "lr": lr, "loss": sum(values), **dict(zip(names, values, strict=True))}
