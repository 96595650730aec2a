"""The feature pyramid (arXiv 1612.03144): five maps with equal channels at strides 4 to 64."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.detectors.faster_rcnn.resnet import ResNet

STRIDES = (4, 8, 16, 32, 64)


class FeaturePyramid(nn.Module):
    """Computes P2..P6 of images by a ResNet and top-down connections.

    Args:
        bottom_up: The ResNet.
        channels: Of every map.
    """

    def __init__(self, bottom_up: ResNet, channels: int = 256) -> None:
        super().__init__()
        self.bottom_up = bottom_up
        self.levels = range(2, 2 + len(bottom_up.out_channels))
        for level, in_channels in zip(self.levels, bottom_up.out_channels, strict=True):
            lateral = nn.Conv2d(in_channels, channels, 1)
            output = nn.Conv2d(channels, channels, 3, padding=1)
            for conv in (lateral, output):
                nn.init.kaiming_uniform_(conv.weight, a=1)
                nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            self.add_module(f"fpn_lateral{level}", lateral)
            self.add_module(f"fpn_output{level}", output)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps images [B, 3, H, W], H and W multiples of 32, to P2..P6.

        Returns:
            Five maps [B, channels, H / stride, W / stride] at the strides 4, 8, 16, 32 and 64.
        """
        maps = self.bottom_up(images)
        merged: Tensor | None = None
        levels: list[Tensor] = []
        for level, features in zip(reversed(self.levels), reversed(maps), strict=True):
            lateral = getattr(self, f"fpn_lateral{level}")(features)
            merged = (
                lateral
                if merged is None
                else lateral + F.interpolate(merged, scale_factor=2.0, mode="nearest")
            )
            levels.insert(0, getattr(self, f"fpn_output{level}")(merged))
        levels.append(levels[-1][:, :, ::2, ::2])  # P6: every second cell of P5
        return levels
