"""ResNet and ResNeXt with the layers and names of Detectron2, of strides 4, 8, 16 and 32."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d

STAGES = ("res2", "res3", "res4", "res5")
RESNET_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
NORMS = ("frozen_bn", "bn", "gn")

Norm = Callable[[int], nn.Module]


class FrozenBN(FrozenBatchNorm2d):  # type: ignore[misc]  # torchvision has no types
    """Normalizes with fixed statistics and fixed scale.

    It uses the operation that Detectron2 uses, so that results are equal bit by bit.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes x [B, C, H, W]."""
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


def choose_norm(name: str) -> Norm:
    """Returns the function that builds a norm from its number of channels.

    Args:
        name: frozen_bn for published weights; bn or gn to train from scratch. gn has 32 groups, or
            the largest number that divides both 32 and the channels.

    Raises:
        ValueError: The name is not one of NORMS.
    """
    if name not in NORMS:
        raise ValueError(f"norm: expected one of {', '.join(NORMS)}, received {name!r}")
    if name == "gn":
        return lambda channels: nn.GroupNorm(math.gcd(32, channels), channels)
    return FrozenBN if name == "frozen_bn" else nn.BatchNorm2d


class ConvNorm(nn.Conv2d):
    """Convolves without bias and then normalizes.

    The norm is a submodule, so parameters are called `conv1.weight` and `conv1.norm.weight`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        norm: Norm,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm = norm(out_channels)
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Convolves and normalizes x [B, C, H, W]."""
        normalized: Tensor = self.norm(super().forward(x))
        return normalized


class BasicBlock(nn.Module):
    """Adds two 3x3 convolutions, the first with the stride, to the input (depths 18 and 34)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_channels, out_channels, 3, norm, stride)
        self.conv2 = ConvNorm(out_channels, out_channels, 3, norm)
        self.shortcut = (
            ConvNorm(in_channels, out_channels, 1, norm, stride)
            if in_channels != out_channels
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, H, W] to [B, out_channels, H/stride, W/stride]."""
        out = self.conv2(F.relu_(self.conv1(x)))
        out += x if self.shortcut is None else self.shortcut(x)
        return F.relu_(out)


class Bottleneck(nn.Module):
    """Adds three convolutions, 1x1, 3x3 (grouped in ResNeXt) and 1x1, to the input.

    Args:
        in_channels: Channels of the input.
        inner_channels: Channels of the 3x3 convolution.
        out_channels: Channels of the output.
        stride: Of the block.
        groups: Of the 3x3 convolution.
        stride_in_1x1: Whether the first 1x1 convolution has the stride, or the 3x3 convolution. It
            is true in the weights of MSRA's ResNets (R50, R101 of the zoo), false in those of
            FAIR's (X101) and torchvision's; a weights file does not say.
        norm: Builds a norm from its number of channels.
    """

    def __init__(
        self,
        in_channels: int,
        inner_channels: int,
        out_channels: int,
        stride: int,
        groups: int,
        stride_in_1x1: bool,
        norm: Norm,
    ) -> None:
        super().__init__()
        stride_1x1, stride_3x3 = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = ConvNorm(in_channels, inner_channels, 1, norm, stride_1x1)
        self.conv2 = ConvNorm(inner_channels, inner_channels, 3, norm, stride_3x3, groups)
        self.conv3 = ConvNorm(inner_channels, out_channels, 1, norm)
        self.shortcut = (
            ConvNorm(in_channels, out_channels, 1, norm, stride)
            if in_channels != out_channels
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, H, W] to [B, out_channels, H/stride, W/stride]."""
        out = self.conv3(F.relu_(self.conv2(F.relu_(self.conv1(x)))))
        out += x if self.shortcut is None else self.shortcut(x)
        return F.relu_(out)


class Stem(nn.Module):
    """Applies a 7x7 convolution and a 3x3 max pool, each of stride 2."""

    def __init__(self, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = ConvNorm(3, out_channels, 7, norm, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Maps images [B, 3, H, W] to [B, out_channels, H/4, W/4]."""
        return F.max_pool2d(F.relu_(self.conv1(x)), kernel_size=3, stride=2, padding=1)


class ResNet(nn.Module):
    """Computes the feature maps of res2..res5.

    Args:
        depth: 18, 34 (basic blocks), 50, 101 or 152 (bottlenecks).
        width: Channels of the stem; res2 has `width` (basic) or 4 * `width` (bottleneck), each
            further stage twice as many.
        groups: Of the 3x3 convolutions; ResNeXt-101-32x8d has 32.
        group_width: Channels of a group in res2, doubled by each further stage; 8 in
            ResNeXt-101-32x8d. None for `width`.
        stride_in_1x1: See `Bottleneck`.
        norm: One of NORMS.

    Attributes:
        out_channels: Channels of the four maps.

    Raises:
        ValueError: No such depth or norm exists.
    """

    def __init__(
        self,
        depth: int = 50,
        width: int = 64,
        groups: int = 1,
        group_width: int | None = None,
        stride_in_1x1: bool = True,
        norm: str = "frozen_bn",
    ) -> None:
        super().__init__()
        if depth not in RESNET_BLOCKS:
            raise ValueError(f"depth: expected one of {sorted(RESNET_BLOCKS)}, received {depth}")
        make_norm = choose_norm(norm)
        self.stem = Stem(width, make_norm)
        basic = depth < 50
        in_channels = width
        self.out_channels = []
        inner_channels = groups * (group_width or width)
        out_channels = width if basic else 4 * width
        for index, (stage, num_blocks) in enumerate(zip(STAGES, RESNET_BLOCKS[depth], strict=True)):
            blocks: list[nn.Module] = []
            for block in range(num_blocks):
                stride = 2 if index > 0 and block == 0 else 1
                blocks.append(
                    BasicBlock(in_channels, out_channels, stride, make_norm)
                    if basic
                    else Bottleneck(
                        in_channels,
                        inner_channels,
                        out_channels,
                        stride,
                        groups,
                        stride_in_1x1,
                        make_norm,
                    )
                )
                in_channels = out_channels
            self.add_module(stage, nn.Sequential(*blocks))
            self.out_channels.append(out_channels)
            inner_channels = 2 * inner_channels
            out_channels = 2 * out_channels

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps images [B, 3, H, W] to four maps [B, C_i, H / s, W / s] with s = 4, 8, 16, 32."""
        x = self.stem(images)
        maps = []
        for stage in STAGES:
            x = getattr(self, stage)(x)
            maps.append(x)
        return maps
