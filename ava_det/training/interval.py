"""Sums up what happened between two lines of the log, and whether training is still sound."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import torch

from ava_det.distributed import gather_objects, rank, sum_over_ranks, world_size
from ava_det.structures import ClipBatch, Keyframe
from ava_det.training.loss import StepLoss
from ava_det.training.state import Position, TrainingError

SATURATED_LOGIT = 30.0  # a mean |logit| from which a sigmoid learns nothing: sigmoid(-30) is 1e-13
# such logits are fine where they are right (absent actions); then the loss is far smaller
WRONG_LOSS = 0.2
SATURATED_LOSS = 5  # times the loss of an untrained network
FIRST_LOGGED_STEPS = (1, 50)  # steps with a line of their own: training works, or is stopped early


class DivergedError(TrainingError):
    """Says that the loss is not finite.

    Attributes:
        batch_index: Which batch of the epoch did it.
        is_own: Whether this rank's part of the batch did it, as far as known.
        batch: That part, read again by whoever still has the loader.
    """

    def __init__(self, sentence: str, batch_index: int, is_own: bool):
        super().__init__(sentence)
        self.batch_index = batch_index
        self.is_own = is_own
        self.batch: ClipBatch | None = None


class Interval:
    """Collects steps and closes by reading the device once, the only time that it waits for it.

    Args:
        device: On which the model is trained.
        position: Before the first step.
        initial_loss: The loss of an untrained network; None for a task that is not watched
            for saturation.
    """

    def __init__(
        self, device: torch.device, position: Position, initial_loss: float | None = math.log(2)
    ):
        self._device = device
        self._initial_loss = initial_loss
        self._first = position.batch
        self._losses: list[StepLoss] = []
        self._keyframes: list[list[Keyframe]] = []
        self._waited = 0.0
        self._start = self._last = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Returns the time since the interval began."""
        return time.perf_counter() - self._start

    def data_arrived(self) -> None:
        """Notes that the wait for a batch is over."""
        self._waited += time.perf_counter() - self._last

    def add(self, loss: StepLoss, keyframes: list[Keyframe]) -> None:
        """Adds a step: this rank's share of its losses, and its clips."""
        self._losses.append(loss)
        self._keyframes.append(keyframes)
        self._last = time.perf_counter()

    def close(self, position: Position, lr: float, num_steps: int) -> dict[str, Any]:
        """Returns the line of the log for the steps that were added.

        Args:
            position: After the last of them.
            lr: Learning rate of the last of them.
            num_steps: Of the whole training.

        Returns:
            Mean losses over steps and ranks, and what the steps cost.

        Raises:
            DivergedError: A loss is not finite.
            TrainingError: The network has saturated.
        """
        names = list(self._losses[0].parts)
        loss_parts = torch.stack([torch.stack(list(loss.parts.values())) for loss in self._losses])
        logits = [loss.mean_logit for loss in self._losses if loss.mean_logit is not None]
        looked_at = torch.cat((loss_parts.flatten(), *(logit[None] for logit in logits)))
        means = (sum_over_ranks(looked_at) / world_size()).tolist()
        parts = [means[i : i + len(names)] for i in range(0, loss_parts.numel(), len(names))]
        self._check_finite(names, parts, loss_parts.isfinite().all(dim=1), position, lr)
        count = len(parts)
        loss = sum(sum(values) for values in parts) / count
        if self._initial_loss is not None:
            logit = max(means[loss_parts.numel() :], default=0.0)
            _check_saturation(loss, logit, self._initial_loss, position, lr)
        seconds = self.seconds
        num_clips = sum(len(keyframes) for keyframes in self._keyframes) * world_size()
        by_name = zip(names, zip(*parts, strict=True), strict=True)
        return {
            "step": position.step,
            "epoch": round(position.fractional_epoch, 4),
            **{name: sum(values) / count for name, values in by_name},
            "loss": loss,
            "lr": lr,
            "seconds": round(seconds, 3),
            "clips_per_second": round(num_clips / seconds, 2),
            "data_wait": round(self._waited / seconds, 4),
            "host_gb": measure_host_memory(),
            "cuda_gb": _measure_cuda_memory(self._device),
            "seconds_left": round((num_steps - position.step) * seconds / count),
        }

    def _check_finite(
        self,
        names: list[str],
        parts: list[list[float]],
        is_own_finite: torch.Tensor,
        position: Position,
        lr: float,
    ) -> None:
        """Raises DivergedError for the first step with a loss that is not finite on some rank."""
        is_finite = [all(math.isfinite(value) for value in values) for values in parts]
        if all(is_finite):
            return
        bad = is_finite.index(False)
        # the rank whose own clips did it names them; at the next step all ranks are infected
        clips = [
            f"{keyframe.video_id} at {keyframe.timestamp:g}" for keyframe in self._keyframes[bad]
        ]
        named = gather_objects([] if is_own_finite[bad] else clips)
        guilty = next((number for number, part in enumerate(named) if part), 0)
        more = len(named[guilty]) - 4
        listed = ", ".join(named[guilty][:4]) + (f" and {more} more" if more > 0 else "")
        step = position.step - len(parts) + bad + 1
        values = ", ".join(
            f"{name} is {value:.4g}" for name, value in zip(names, parts[bad], strict=True)
        )
        raise DivergedError(
            f"step {step} (epoch {position.fractional_epoch:.2f}): the {values} at lr {lr:.4g}, "
            f"and its clips are {listed}; expected finite numbers, try a lower train.lr or "
            "train.clip_grad_norm",
            self._first + bad,
            guilty == rank(),
        )


def _check_saturation(
    loss: float, logit: float, initial_loss: float, position: Position, lr: float
) -> None:
    """Raises TrainingError where the network has saturated."""
    if loss > SATURATED_LOSS * initial_loss:
        start = f"ln {round(math.exp(initial_loss))} = {initial_loss:.2f}"
        symptom = f"the loss is {loss:.3g}, far above {start}, where training begins"
    elif logit > SATURATED_LOGIT and loss > WRONG_LOSS:
        symptom = f"the logits have saturated (mean size {logit:.3g}, at a loss of {loss:.3g})"
    else:
        return
    raise TrainingError(
        f"step {position.step} (epoch {position.fractional_epoch:.2f}): {symptom}; lr {lr:.4g} is "
        "too high for this batch: try a lower train.lr, a longer train.warmup_epochs or "
        "train.clip_grad_norm"
    )


def measure_host_memory() -> float | None:
    """Measures the memory of this process and its loader's processes.

    Returns:
        GB, shared pages counted once; None where /proc does not say.
    """
    try:
        children: list[str] = []
        for path in Path("/proc/self/task").iterdir():
            children += (path / "children").read_text().split()
        kilobytes = 0
        for process in (str(os.getpid()), *children):
            rows = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            kilobytes += next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    except (OSError, StopIteration):
        return None
    return round(kilobytes / 1024**2, 3)


def _measure_cuda_memory(device: torch.device) -> float | None:
    """Returns the highest number of GB that torch reserved since the last line."""
    if device.type != "cuda":
        return None
    peak = torch.cuda.max_memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    return round(peak / 1024**3, 3)
