"""Defines what algorithms of optical flow share, and builds them by name."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ava_det.choices import FLOW_ALGORITHMS

if TYPE_CHECKING:
    import torch


class FlowAlgorithm(Protocol):
    """Computes how the points of a frame move until another one.

    It keeps nothing from one pair to the next, so pairs may come in any order and from any thread.
    """

    @property
    def name(self) -> str:
        """Returns the name by which it is recorded, one of FLOW_ALGORITHMS."""
        ...

    def compute(self, previous: np.ndarray, following: np.ndarray) -> np.ndarray:
        """Computes the flow from one frame to the next.

        Args:
            previous: RGB uint8 [H, W, 3].
            following: The frame a step later, of the same size.

        Returns:
            float32 [2, H, W]: u and v, pixels a step. The point at (x, y) of `previous` is at
            (x + u, y + v) in `following`; x grows to the right, y down.

        Raises:
            ValueError: The frames are too small for this algorithm.
        """
        ...


def build_flow(name: str, device: torch.device | str = "cpu") -> FlowAlgorithm:
    """Builds an algorithm by its name; its libraries are loaded only then.

    Args:
        name: One of FLOW_ALGORITHMS. `raft` downloads its weights at the first use.
        device: Where `raft` computes; the others compute on the CPU.

    Raises:
        ValueError: No algorithm has this name, or it cannot be used here.
    """
    if name == "raft":
        from ava_det.flow.raft import Raft, load_raft

        return Raft(load_raft(), device)
    from ava_det.flow.classical import Dis, Farneback, TvL1

    members: dict[str, type[Dis | Farneback | TvL1]] = {
        "dis": Dis,
        "farneback": Farneback,
        "tvl1": TvL1,
    }
    if name not in members:
        raise ValueError(
            f"optical flow: expected one of {', '.join(FLOW_ALGORITHMS)}, received {name!r}"
        )
    return members[name]()


def compute_clip_flow(algorithm: FlowAlgorithm, frames: np.ndarray) -> np.ndarray:
    """Computes the flow between neighboring frames of a clip.

    Args:
        algorithm: Computes each pair.
        frames: RGB uint8 [T + 1, H, W, 3] on the clip's time grid, resized already.

    Returns:
        float32 [2, T, H, W], pixels a step of the grid.
    """
    if len(frames) < 2:
        raise ValueError(f"optical flow: expected two frames or more, received {len(frames)}")
    return np.stack([algorithm.compute(*pair) for pair in pairwise(frames)], axis=1)
