"""Where a run stands: all that a resumed one needs to go on bit for bit.

The learning rate and every clip's augmentation are functions of the position alone, so they need no
state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ava_det.distributed import gather_objects, rank


class TrainingError(ValueError):
    """Training cannot go on: says at which step, with which learning rate, and what to try."""


@dataclass
class Position:
    """epoch: full epochs done. batch: batches done of the next one, of which there are
    `num_batches`. mean_aps: full epochs done -> mAP (or top-1) of the evaluation then, None where
    none exists.
    """

    num_batches: int
    epoch: int = 0
    batch: int = 0
    mean_aps: dict[int, float | None] = field(default_factory=dict)

    @property
    def step(self) -> int:
        return self.epoch * self.num_batches + self.batch

    @property
    def fractional_epoch(self) -> float:
        return self.epoch + self.batch / self.num_batches

    def advance(self) -> None:
        """One batch on; after the last one a new epoch begins."""
        self.batch += 1
        if self.batch == self.num_batches:
            self.epoch = self.epoch + 1
            self.batch = 0


def capture_state(
    model: nn.Module, optimizer: torch.optim.Optimizer, position: Position
) -> dict[str, Any]:
    """The training state, the same on every rank; all ranks must call it. Plain containers, tensors
    and numbers.
    """
    return {
        "epoch": position.epoch,
        "batch": position.batch,
        "num_batches": position.num_batches,
        "mean_aps": dict(position.mean_aps),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": gather_objects(_random_state()),
    }


def restore_state(
    model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any], num_batches: int
) -> Position:
    """Puts a state back on every rank and returns its position. Raises TrainingError where an epoch
    has other batches.

    A run on more ranks than before leaves the random state of the new ones as it is.
    """
    if state["batch"] and state["num_batches"] != num_batches:
        raise TrainingError(
            f"the checkpoint stands in the middle of an epoch of {state['num_batches']} batches, expected the same "
            f"training data and train.batch_size to go on, received an epoch of {num_batches}"
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if rank() < len(state["rng"]):
        _set_random_state(state["rng"][rank()])
    return Position(num_batches, state["epoch"], state["batch"], dict(state["mean_aps"]))


def is_finite(model: nn.Module) -> bool:
    """Whether every weight and statistic is a number: what is not must never replace a good
    checkpoint.
    """
    values = [value for value in model.state_dict().values() if value.is_floating_point()]
    return bool(torch.stack([value.isfinite().all() for value in values]).all())


def _random_state() -> dict[str, Tensor]:
    """Of the generators that dropout draws from; clips are drawn by generators of their own."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_random_state(state: dict[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
