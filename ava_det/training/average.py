"""Averages the weights of a network over its training: an exponential moving average (EMA)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class WeightAverage:
    """Keeps a second network whose weights are the average of the trained one's.

    After the first step it is a copy; after each further one it moves by 1 - decay towards the
    weights. Statistics of batch norms are averaged alike, as torchvision's references do; counts
    and tables of indices are copied.

    Args:
        model: The trained network, on its device.
        decay: Share of the average before that stays in a step.

    Attributes:
        scores: Full epochs done -> score of the average then, None where there is none.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        def blend(averaged: Sequence[Tensor], current: Sequence[Tensor], _: Any) -> None:
            """Moves the average towards the weights."""
            for mean, value in zip(averaged, current, strict=True):
                if mean.is_floating_point():
                    mean.lerp_(value, 1 - decay)
                else:  # torch's own average rounds whole numbers down, an index to its neighbor
                    mean.copy_(value)

        self._averaged = AveragedModel(model, multi_avg_fn=blend, use_buffers=True)
        self.scores: dict[int, float | None] = {}

    @property
    def model(self) -> nn.Module:
        """Returns the network with the averaged weights, of the trained one's class."""
        module: nn.Module = self._averaged.module
        return module

    def update(self, model: nn.Module) -> None:
        """Adds the weights that a step has left."""
        with torch.no_grad():
            self._averaged.update_parameters(model)

    def capture(self) -> dict[str, Any]:
        """Returns the average for a checkpoint: plain containers, tensors and numbers."""
        return {
            "weights": self.model.state_dict(),
            "count": int(self._averaged.n_averaged),
            "scores": dict(self.scores),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Puts back what `capture` returned."""
        self.model.load_state_dict(state["weights"])
        self._averaged.n_averaged.fill_(state["count"])
        self.scores = dict(state["scores"])
