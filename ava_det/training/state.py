"""Captures and restores the state of a training: a resumed run goes on bit for bit.

The learning rate and every clip's augmentation are functions of the position alone, so they need no
state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ava_det.distributed import gather_objects, rank
from ava_det.training.average import WeightAverage


class TrainingError(ValueError):
    """Says why training cannot go on: at which step, with which learning rate, and what to try."""


@dataclass
class Position:
    """Counts what was trained.

    Attributes:
        num_batches: Of an epoch.
        epoch: Full epochs done.
        batch: Batches done of the next epoch.
        mean_aps: Full epochs done -> mAP (or top-1, or a detector's AP) of the evaluation then,
            None where there is none.
    """

    num_batches: int
    epoch: int = 0
    batch: int = 0
    mean_aps: dict[int, float | None] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Returns the number of steps done."""
        return self.epoch * self.num_batches + self.batch

    @property
    def fractional_epoch(self) -> float:
        """Returns the epochs done, with the fraction of the next one."""
        return self.epoch + self.batch / self.num_batches

    def advance(self) -> None:
        """Counts one more batch; after the last one of an epoch the next begins."""
        self.batch += 1
        if self.batch == self.num_batches:
            self.epoch = self.epoch + 1
            self.batch = 0


def capture_state(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    position: Position,
    average: WeightAverage | None = None,
) -> dict[str, Any]:
    """Returns the training state, the same on every rank; all ranks must call it.

    Args:
        model: In training.
        optimizer: Of its parameters.
        position: Where the training stands.
        average: Of its weights, if there is one.

    Returns:
        Plain containers, tensors and numbers.
    """
    averaged = {} if average is None else {"average": average.capture()}
    return {
        "epoch": position.epoch,
        "batch": position.batch,
        "num_batches": position.num_batches,
        "mean_aps": dict(position.mean_aps),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": gather_objects(_random_state()),
        **averaged,
    }


def restore_state(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
    num_batches: int,
    average: WeightAverage | None = None,
) -> Position:
    """Puts a training state back on every rank.

    A run on more ranks than before leaves the random state of the new ones as it is.

    Args:
        model: Gets the weights of the state.
        optimizer: Gets its own state.
        state: As `capture_state` returned it.
        num_batches: Of an epoch of this run.
        average: Gets the average of the state, if there is one.

    Returns:
        Where the training stands.

    Raises:
        TrainingError: The state stands within an epoch of another number of batches.
    """
    if state["batch"] and state["num_batches"] != num_batches:
        raise TrainingError(
            "the checkpoint is from the middle of an epoch of "
            f"{state['num_batches']} batches, expected the same training data and "
            f"train.batch_size to go on, received an epoch of {num_batches}"
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if average is not None:
        average.restore(state["average"])
    if rank() < len(state["rng"]):
        _set_random_state(state["rng"][rank()])
    return Position(num_batches, state["epoch"], state["batch"], dict(state["mean_aps"]))


def is_finite(model: nn.Module) -> bool:
    """Returns whether every weight and statistic is finite; others must not be saved."""
    values = [value for value in model.state_dict().values() if value.is_floating_point()]
    return bool(torch.stack([value.isfinite().all() for value in values]).all())


def _random_state() -> dict[str, Tensor]:
    """Returns the state of the generators of dropout and sampling; clips have their own ones."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_random_state(state: dict[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
