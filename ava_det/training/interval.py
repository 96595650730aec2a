"""What happened between two lines of the log: loss, speed, waiting, memory, and whether training is
still sound.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ava_det.distributed import gather_objects, rank, sum_over_ranks, world_size
from ava_det.structures import ClipBatch, Keyframe
from ava_det.training.state import Position, TrainingError

SATURATED_LOGIT = 30.0  # a mean |logit| from which a sigmoid learns nothing: sigmoid(-30) is 1e-13
# such logits are fine where they are right (absent actions); then the loss is far smaller
WRONG_LOSS = 0.2
SATURATED_LOSS = 5  # times the loss of a network that knows nothing
FIRST_LOOKS = (1, 50)  # steps: a run has begun; a run that cannot work is told so


class DivergedError(TrainingError):
    """The loss is no number. batch_index: which batch of the epoch did it; is_own: whether this
    rank's part of it did, as far as known. batch: that part, read again by whoever still has the
    loader.
    """

    def __init__(self, sentence: str, batch_index: int, is_own: bool):
        super().__init__(sentence)
        self.batch_index = batch_index
        self.is_own = is_own
        self.batch: ClipBatch | None = None


class Interval:
    """Collects steps and closes with one look at the device, which costs the only wait for it.

    initial_loss: that of a network that knows nothing.
    """

    def __init__(self, device: torch.device, position: Position, initial_loss: float = math.log(2)):
        self._device = device
        self._initial_loss = initial_loss
        self._first = position.batch
        self._losses: list[Tensor] = []
        self._logits: list[Tensor] = []
        self._keyframes: list[list[Keyframe]] = []
        self._waited = 0.0
        self._start = self._last = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the line before."""
        return time.perf_counter() - self._start

    def data_arrived(self) -> None:
        self._waited += time.perf_counter() - self._last

    def add(self, loss: Tensor, mean_logit: Tensor, keyframes: list[Keyframe]) -> None:
        """One step: its loss (this rank's share), its mean |logit|, its clips."""
        self._losses.append(loss)
        self._logits.append(mean_logit)
        self._keyframes.append(keyframes)
        self._last = time.perf_counter()

    def close(self, position: Position, lr: float, num_steps: int) -> dict[str, Any]:
        """The line of the log after a step; num_steps: of the whole run.

        Raises DivergedError for a loss that is no number, TrainingError for a network that has
        saturated.
        """
        count = len(self._losses)
        own = torch.stack(self._losses)
        means = (
            sum_over_ranks(torch.cat((own, torch.stack(self._logits)))) / world_size()
        ).tolist()
        losses = means[:count]
        logit = max(means[count:])
        self._check_finite(losses, own, position, lr)
        loss = sum(losses) / count
        _check_saturation(loss, logit, self._initial_loss, position, lr)
        seconds = self.seconds
        num_clips = sum(len(keyframes) for keyframes in self._keyframes) * world_size()
        return {
            "step": position.step,
            "epoch": round(position.fractional_epoch, 4),
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
        self, losses: list[float], own: Tensor, position: Position, lr: float
    ) -> None:
        bad = next((index for index, loss in enumerate(losses) if not math.isfinite(loss)), None)
        if bad is None:
            return
        # the rank whose own clips did it names them; at the next step all ranks are infected
        names = [
            f"{keyframe.video_id} at {keyframe.timestamp:g}" for keyframe in self._keyframes[bad]
        ]
        named = gather_objects([] if own[bad].isfinite() else names)
        guilty = next((number for number, part in enumerate(named) if part), 0)
        clips = ", ".join(named[guilty][:4]) + (
            f" and {len(named[guilty]) - 4} more" if len(named[guilty]) > 4 else ""
        )
        step = position.step - len(losses) + bad + 1
        raise DivergedError(
            f"step {step} (epoch {position.fractional_epoch:.2f}): the loss is {losses[bad]} at lr {lr:.4g}, expected "
            f"a finite number; its clips are {clips}; try a lower train.lr or train.clip_grad_norm",
            self._first + bad,
            guilty == rank(),
        )


def _check_saturation(
    loss: float, logit: float, initial_loss: float, position: Position, lr: float
) -> None:
    if loss > SATURATED_LOSS * initial_loss:
        start = f"ln {round(math.exp(initial_loss))} = {initial_loss:.2f}"
        symptom = f"the loss is {loss:.3g}, far above {start}, where training begins"
    elif logit > SATURATED_LOGIT and loss > WRONG_LOSS:
        symptom = f"the logits have saturated (mean size {logit:.3g}, at a loss of {loss:.3g})"
    else:
        return
    raise TrainingError(
        f"step {position.step} (epoch {position.fractional_epoch:.2f}): {symptom}; lr {lr:.4g} is too high for this "
        "batch: try a lower train.lr, a longer train.warmup_epochs or train.clip_grad_norm"
    )


def measure_host_memory() -> float | None:
    """GB held by this process and its loader's workers, shared pages counted once; None where /proc
    does not tell.
    """
    try:
        children = [
            child
            for path in Path("/proc/self/task").iterdir()
            for child in (path / "children").read_text().split()
        ]
        kilobytes = 0
        for process in (str(os.getpid()), *children):
            rows = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            kilobytes += next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    except (OSError, StopIteration):
        return None
    return round(kilobytes / 1024**2, 3)


def _measure_cuda_memory(device: torch.device) -> float | None:
    """GB at the highest since the last line, as torch reserved them."""
    if device.type != "cuda":
        return None
    peak = torch.cuda.max_memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    return round(peak / 1024**3, 3)
