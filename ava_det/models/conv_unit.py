"""The unit that most networks repeat: convolution, batch norm, ReLU."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.models.factorized_conv import FactorizedConv3d

Size = tuple[int, int, int]


class ConvUnit(nn.Module):
    """Convolves, normalizes and rectifies.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Frames, rows and columns of the kernel.
        stride: In time, height and width.
        padding: In time, height and width; None keeps the size at stride 1.
        groups: Of the convolution.
        bias: Whether the convolution has a bias, though the norm after it has one too.
        eps: Of the norm.
        relu: Whether a ReLU ends the unit.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Size,
        stride: Size = (1, 1, 1),
        *,
        padding: Size | None = None,
        groups: int = 1,
        bias: bool = False,
        eps: float = 1e-5,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.conv = FactorizedConv3d(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=padding or (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2),
            groups=groups,
            bias=bias,
        )
        self.bn = nn.BatchNorm3d(out_channels, eps=eps)
        self.relu = relu
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, T', H', W']."""
        y = self.bn(self.conv(x))
        return F.relu(y, inplace=True) if self.relu else y
