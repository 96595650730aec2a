"""torchvision's own video networks, for `python -m benchmarks model --against MODULE:FUNCTION`.

    --config configs/kinetics/torchvision/s3d.yaml --against benchmarks.torchvision_networks:s3d

They have random weights: only their time is compared.
"""

from __future__ import annotations

from functools import cache

from torch import Tensor, nn
from torchvision.models import video


def s3d(slow: Tensor) -> Tensor:
    """Computes the logits of torchvision's S3D for clips [B, 3, T, H, W]."""
    logits: Tensor = _build_s3d()(slow)
    return logits


def r2plus1d_18(slow: Tensor) -> Tensor:
    """Computes the logits of torchvision's R(2+1)D-18 for clips [B, 3, T, H, W]."""
    logits: Tensor = _build_r2plus1d_18()(slow)
    return logits


@cache
def _build_s3d() -> nn.Module:
    network: nn.Module = video.s3d(weights=None)
    return network.eval()


@cache
def _build_r2plus1d_18() -> nn.Module:
    network: nn.Module = video.r2plus1d_18(weights=None)
    return network.eval()
