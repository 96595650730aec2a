"""ARTNet (Wang et al., CVPR 2018): appearance and relations between frames, side by side.

    clip [B, 3, T, H, W]
      |
     stem: SMART 7x7, C                      T/2, /2
     res2a, res2b: 3x3x3, SMART 3x3, C       T/2, /2          SMART of x, k x k:
     res3a, res3b: 3x3x3, SMART 3x3, 2C      T/4, /4             x --+-- 1 x k x k, BN --------+
     res4a, res4b: 3x3x3, SMART 3x3, 4C      T/8, /8                 |                         |
     res5a, res5b: 3x3x3, 3x3x3, 8C          T/16, /16               +-- 3 x k x k, BN,        |
      |                                                                  square, half of       |
     BN, ReLU                                                            each pair, BN --- concat
      |                                                                                       |
      +--> [features]                                                          ReLU, 1x1x1, C

The layers are those of the authors' Caffe definition (112_artnet_resnet_18), the "ARTNet (d)" of
the paper's tables: 16 frames of 112 x 112, T/16 = 1. Blocks normalize before they convolve, see
`preactivation`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.models.backbone import SingleStreamBackbone
from ava_det.models.conv_unit import ConvUnit, Size
from ava_det.models.factorized_conv import FactorizedConv3d
from ava_det.models.preactivation import LastNorm, PreactivatedBlock, plain_conv

# (stage, channels in units of C): two blocks each
STAGES = ((2, 1), (3, 2), (4, 4), (5, 8))


class ARTNet(SingleStreamBackbone):
    """Computes the features of ARTNet-ResNet18.

    Args:
        width: Channels C of conv1; 64 as published. Must be even.
        in_channels: Channels of a frame.
    """

    feature_stride = 16

    def __init__(self, *, width: int = 64, in_channels: int = 3) -> None:
        super().__init__(in_channels)
        self.conv1 = SMARTUnit(in_channels, width, 7, (2, 2, 2), bias=False)
        self.blocks: list[str] = []
        channels = width
        for stage, factor in STAGES:
            for letter in "ab":
                out = width * factor
                has_bias = stage > 2
                b: nn.Module = plain_conv(out, out)
                if stage < 5:
                    b = SMARTUnit(out, out, 3, bias=has_bias)
                stride = (2, 2, 2) if stage > 2 and letter == "a" else (1, 1, 1)
                block = PreactivatedBlock(channels, out, b, stride=stride, bias=has_bias)
                self.add_module(f"res{stage}{letter}", block)
                self.blocks.append(f"res{stage}{letter}")
                channels = out
        self.last = LastNorm(channels)
        self.out_channels = [channels]

    def compute(self, clip: Tensor) -> list[Tensor]:
        """Computes the features [B, 8 * width, T/16, H/16, W/16]."""
        x = self.conv1(clip)
        for name in self.blocks:
            x = self.get_submodule(name)(x)
        return [self.last(x)]


class SMARTUnit(nn.Module):
    """Fuses what a frame shows with how it relates to its neighbors.

    The relation is multiplicative: the energy of a filter pair over three frames, as in the
    energy model of motion.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, of the appearance and of the relation's filters.
        kernel: Rows and columns of the kernels.
        stride: In time, height and width.
        bias: Whether the convolutions have a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: Size = (1, 1, 1),
        *,
        bias: bool,
    ) -> None:
        super().__init__()

        def unit(frames: int) -> ConvUnit:
            size = (frames, kernel, kernel)
            return ConvUnit(in_channels, out_channels, size, stride, bias=bias, relu=False)

        self.appearance = unit(1)
        self.relation = unit(3)
        pairs = out_channels // 2
        self.pairs = ConvUnit(out_channels, pairs, (1, 1, 1), groups=pairs, relu=False)
        # Fixed by the authors: their learning rate of these weights is 0.
        nn.init.constant_(self.pairs.conv.weight, 0.5)
        self.pairs.conv.weight.requires_grad_(False)
        self.reduce = FactorizedConv3d(out_channels + pairs, out_channels, 1, bias=bias)
        nn.init.kaiming_normal_(self.reduce.weight, mode="fan_out", nonlinearity="relu")
        if self.reduce.bias is not None:
            nn.init.zeros_(self.reduce.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, T', H', W']."""
        energy = self.pairs(self.relation(x).square())
        both = torch.cat([self.appearance(x), energy], dim=1)
        reduced: Tensor = self.reduce(F.relu(both, inplace=True))
        return reduced
