"""The training loop, read top to bottom.

    python tools/train_ava.py --config configs/synthetic/slowfast.yaml                          one process
    torchrun --nproc-per-node 8 tools/train_ava.py --config configs/ava/slowfast_r50_8x8.yaml   one node of 8 GPUs

The loss is the sum over every box of the global batch divided by their number: with a mean per process, processes
with few boxes would weigh as much as those with many.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from ava_det.distributed import broadcast_from_main, is_main_process, sum_over_ranks, world_size
from ava_det.structures import ClipBatch
from ava_det.training.log import JsonLog


class TrainingError(ValueError):
    """Training cannot go on: says at which step, with which learning rate, and what to try."""


class EpochLoader(Protocol):
    """What the loop asks of a loader."""

    def set_epoch(self, epoch: int) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[ClipBatch]: ...


@dataclass
class LoopSettings:
    """num_epochs; clip_grad_norm: largest norm of the gradient, or None; precision: fp32 or bf16 (autocast);
    log_every: steps between looks at the loss; eval_every: epochs between evaluations, or None for the end only."""

    num_epochs: int
    clip_grad_norm: float | None
    freeze_bn: bool
    precision: str
    log_every: int
    eval_every: int | None


def train(
    model: nn.Module,
    loader: EpochLoader,
    optimizer: torch.optim.Optimizer,
    lr_at: Callable[[float], float],
    to_device: Callable[[ClipBatch], ClipBatch],
    evaluate: Callable[[nn.Module], dict[str, Any]],
    save: Callable[[dict[str, Any]], None],
    log: JsonLog,
    settings: LoopSettings,
    resume_from: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Trains `model` and returns the metrics of its last evaluation.

    lr_at: fractional epoch -> learning rate. save: writes a training state; `resume_from` is one that was read back.
    """
    device = next(model.parameters()).device
    first_epoch = _restore(model, optimizer, resume_from) if resume_from else 0
    replicas = world_size() > 1
    parallel = DistributedDataParallel(model, [device] if device.type == "cuda" else None) if replicas else model
    steps = {"initial": first_epoch * len(loader), "total": settings.num_epochs * len(loader)}
    with tqdm(desc="train", unit="step", disable=not is_main_process(), mininterval=1.0, **steps) as bar:
        for epoch in range(first_epoch, settings.num_epochs):
            loader.set_epoch(epoch)
            interval, loss_of_epoch = _Interval(device), 0.0
            for index, batch in enumerate(loader):
                interval.data_arrived()
                model.train()
                if settings.freeze_bn or len(batch.rois) == 0:  # clips that could not be read teach a norm nothing
                    freeze_batch_norm(model)
                lr = lr_at(epoch + index / len(loader))
                for group in optimizer.param_groups:
                    group["lr"] = lr
                loss = compute_loss(parallel, to_device(batch), settings.precision)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                if settings.clip_grad_norm is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), settings.clip_grad_norm)
                optimizer.step()
                interval.add(loss.detach(), len(batch.keyframes))
                bar.update()
                if (index + 1) % settings.log_every == 0 or index + 1 == len(loader):
                    step = epoch * len(loader) + index + 1
                    line = interval.close(step, epoch + (index + 1) / len(loader), lr)
                    loss_of_epoch += line["loss"]
                    bar.set_postfix(loss=f"{line['loss']:.4f}", lr=f"{lr:.2g}")
                    if is_main_process():
                        log.write(**line)
            if loss_of_epoch == 0:
                raise TrainingError(f"epoch {epoch}: expected clips to learn from, not one of them could be read")
            done = epoch + 1
            save({"epoch": done, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": _rng_state()})
            # each rank's batch norms saw other clips: all must score with the statistics that were saved
            broadcast_from_main(model.buffers())
            if settings.eval_every is not None and done % settings.eval_every == 0 and done < settings.num_epochs:
                log_metrics(log, done, evaluate(model))
    metrics = evaluate(model)
    log_metrics(log, settings.num_epochs, metrics)
    return metrics


def log_metrics(log: JsonLog, epoch: int, metrics: dict[str, Any]) -> None:
    """One line of the log, written by the main process."""
    if is_main_process():
        log.write(epoch=epoch, mAP=metrics["mAP"])


def compute_loss(model: nn.Module, batch: ClipBatch, precision: str) -> Tensor:
    """Binary cross-entropy per action (logits, float32), averaged over classes and over the boxes of all processes.

    A batch without a box anywhere gives 0 with a gradient of zeros.
    """
    assert batch.labels is not None
    with torch.autocast(batch.rois.device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits = model(batch.slow, batch.fast, batch.rois)
    summed = F.binary_cross_entropy_with_logits(logits.float(), batch.labels, reduction="sum")
    num_boxes = sum_over_ranks(torch.tensor(float(len(logits)), device=logits.device)).clamp(min=1)
    return summed * world_size() / (num_boxes * logits.shape[1])  # DDP averages over processes: undo it


def freeze_batch_norm(model: nn.Module) -> None:
    """Batch norms keep their running statistics and are not updated by them; their affine part still learns."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


class _Interval:
    """Loss and speed between two lines of the log; the loss leaves the device once per interval."""

    def __init__(self, device: torch.device):
        self._device = device
        self._reset()

    def _reset(self) -> None:
        self._losses: list[Tensor] = []
        self._num_clips = 0
        self._waited = 0.0
        self._start = self._last = time.perf_counter()

    def data_arrived(self) -> None:
        self._waited += time.perf_counter() - self._last

    def add(self, loss: Tensor, num_clips: int) -> None:
        self._losses.append(loss)
        self._num_clips += num_clips
        self._last = time.perf_counter()

    def close(self, step: int, epoch: float, lr: float) -> dict[str, Any]:
        loss = float(sum_over_ranks(torch.stack(self._losses).mean()) / world_size())
        if not loss == loss or loss in (float("inf"), float("-inf")):
            raise TrainingError(
                f"step {step} (epoch {epoch:.2f}): the loss is {loss} at lr {lr:.4g}; expected a finite number, "
                "try a lower train.lr or train.clip_grad_norm"
            )
        seconds = time.perf_counter() - self._start
        line = {
            "step": step,
            "epoch": round(epoch, 4),
            "loss": loss,
            "lr": lr,
            "seconds": round(seconds, 3),
            "clips_per_second": round(self._num_clips * world_size() / seconds, 2),
            "data_wait": round(self._waited / seconds, 4),
        }
        self._reset()
        return line


def _rng_state() -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _restore(model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> int:
    """Puts a saved training state back; returns the number of full epochs it had."""
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["rng"]["cpu"])
    if "cuda" in state["rng"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["rng"]["cuda"])
    return int(state["epoch"])
