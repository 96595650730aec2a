"""The residual block of 3D ResNets that normalize before they convolve (He et al., ECCV 2016).

    x --+--> BN, ReLU --+--> a: 3x3x3, BN, ReLU --> b --- + --> the sum as it is
        |               |                                 |
        +---------------|-- where the shape stays --------+
                        +-- 3x3x3 with the stride --------+  where it changes

The 3D network of ECO and all of ARTNet are made of it; they differ in `b`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.models.conv_unit import ConvUnit, Size
from ava_det.models.factorized_conv import FactorizedConv3d


class PreactivatedBlock(nn.Module):
    """Adds two convolutions of the normalized input to the input as it came.

    Where the shape changes, the shortcut is a convolution of the normalized input.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        b: The second convolution, or what stands in its place: [B, out_channels, T, H, W] to the
            same shape.
        stride: In time, height and width.
        bias: Whether the convolutions have a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        b: nn.Module,
        *,
        stride: Size = (1, 1, 1),
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm3d(in_channels)
        self.a = ConvUnit(in_channels, out_channels, (3, 3, 3), stride, bias=bias)
        self.b = b
        self.has_shortcut = in_channels != out_channels or stride != (1, 1, 1)
        if self.has_shortcut:
            self.shortcut = plain_conv(in_channels, out_channels, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, T', H', W']."""
        activated = F.relu(self.norm(x), inplace=True)
        residual: Tensor = self.shortcut(activated) if self.has_shortcut else x
        added: Tensor = self.b(self.a(activated))
        return added + residual


class LastNorm(nn.Module):
    """Normalizes and rectifies the last sum of a network of `PreactivatedBlock`s."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, channels, T, H, W] to the same shape."""
        return F.relu(self.norm(x), inplace=True)


def plain_conv(
    in_channels: int, out_channels: int, stride: Size = (1, 1, 1), *, bias: bool = True
) -> FactorizedConv3d:
    """Builds a 3x3x3 convolution that nothing follows, with He-normal weights."""
    conv = FactorizedConv3d(in_channels, out_channels, 3, stride=stride, padding=1, bias=bias)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
