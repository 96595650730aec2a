"""Computes optical flow by torchvision's RAFT (Teed and Deng, 2020), on a device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.optical_flow import Raft_Large_Weights, raft_large

from ava_det.checkpoint.zoo import one_process_at_a_time

MIN_SIDE = 128  # pixels: the network halves frames three times, and its correlations four times
MULTIPLE = 8  # pixels: of each side


def load_raft() -> nn.Module:
    """Loads RAFT (large) with torchvision's default weights, downloaded at the first use.

    Raises:
        ValueError: The weights could not be downloaded.
    """
    weights = Raft_Large_Weights.DEFAULT
    waiting = "raft: waiting for another process to download its weights"
    try:
        with one_process_at_a_time(weights.url, waiting):
            network: nn.Module = raft_large(weights=weights, progress=False)
    except OSError as error:  # no network
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise ValueError(
            f"the weights of optical flow by raft could not be downloaded ({error}): "
            f"download {weights.url} elsewhere and put it into {folder}"
        ) from None
    return network


class Raft:
    """Computes flow by a network of torchvision's family RAFT.

    Args:
        network: Maps two batches [1, 3, H, W] in -1..1 to a list of fields [1, 2, H, W], of which
            the last is the best.
        device: Where it computes.

    Attributes:
        device: As given.
    """

    name = "raft"

    def __init__(self, network: nn.Module, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._network = network.to(self.device).eval()

    @torch.inference_mode()
    def compute(self, previous: np.ndarray, following: np.ndarray) -> np.ndarray:
        """Computes the flow from one frame to the next, see `FlowAlgorithm.compute`.

        Frames are padded by their edge, right and below, to what the network takes.
        """
        height, width = previous.shape[:2]
        fields = self._network(self._prepare(previous), self._prepare(following))
        flow: np.ndarray = fields[-1][0, :, :height, :width].float().cpu().numpy()
        return np.ascontiguousarray(flow)

    def _prepare(self, frame: np.ndarray) -> Tensor:
        """Makes float32 [1, 3, H', W'] in -1..1 of uint8 [H, W, 3]."""
        added = [max(-(-side // MULTIPLE) * MULTIPLE, MIN_SIDE) - side for side in frame.shape[:2]]
        padded = np.pad(frame, ((0, added[0]), (0, added[1]), (0, 0)), mode="edge")
        pixels = torch.from_numpy(padded).to(self.device).permute(2, 0, 1)
        return pixels[None].float() / 127.5 - 1
