"""What the Inception networks over time (I3D, S3D) have in common.

Mixed block:   +--> b0  1x1x1 ------------------+
+--> b1a 1x1x1 --> b1b 3x3x3 ----+
x  --------+                                +--> concatenated
+--> b2a 1x1x1 --> b2b 3x3x3 ----+
+--> max pool 3x3x3 --> b3b 1x1x1+
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.models.backbone import SingleStreamBackbone
from ava_det.models.conv_unit import ConvUnit, Size

# Channels of b0, b1a, b1b, b2a, b2b, b3b (Carreira and Zisserman 2017; the widths of Inception-v1).
MIXED = {
    "mixed_3b": (64, 96, 128, 16, 32, 32),
    "mixed_3c": (128, 128, 192, 32, 96, 64),
    "mixed_4b": (192, 96, 208, 16, 48, 64),
    "mixed_4c": (160, 112, 224, 24, 64, 64),
    "mixed_4d": (128, 128, 256, 24, 64, 64),
    "mixed_4e": (112, 144, 288, 32, 64, 64),
    "mixed_4f": (256, 160, 320, 32, 128, 128),
    "mixed_5b": (256, 160, 320, 32, 128, 128),
    "mixed_5c": (384, 192, 384, 48, 128, 128),
}
# The max pool before a block: kernel and stride.
POOLS: dict[str, tuple[Size, Size]] = {
    "conv_2b": ((1, 3, 3), (1, 2, 2)),
    "mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
ENDPOINTS = ("conv_1a", "conv_2b", "conv_2c", *MIXED)
Pool = Callable[[Tensor, Size, Size], Tensor]


class InceptionBackbone(SingleStreamBackbone):
    """Runs the blocks of `ENDPOINTS` one after the other; a subclass makes them.

    Args:
        in_channels: Channels of a frame.
        roi_endpoint: The last block for person boxes; None runs all, for whole clips.
        pool: Max-pools x by kernel and stride.
        pool_window: See `Backbone`.
    """

    def __init__(
        self,
        in_channels: int,
        roi_endpoint: str | None,
        pool: Pool,
        pool_window: Sequence[int],
    ) -> None:
        super().__init__(in_channels)
        last = ENDPOINTS.index(roi_endpoint or "mixed_5c")
        self.endpoints = ENDPOINTS[: last + 1]
        self.left_out = ENDPOINTS[last + 1 :]
        self.feature_stride = 32 if "mixed_5b" in self.endpoints else 16
        self.pool = pool
        if any(pool_window):
            time, height, width = pool_window
            self.pool_window = (time, height, width)

    def compute(self, clip: Tensor) -> list[Tensor]:
        """Computes the features [B, out_channels[0], about T/8, h, w] of a clip."""
        return [self.run(self.endpoints, clip)]

    def run(self, endpoints: Sequence[str], x: Tensor) -> Tensor:
        """Runs some of the blocks, with the pools before them."""
        for name in endpoints:
            if name in POOLS:
                x = self.pool(x, *POOLS[name])
            x = self.get_submodule(name)(x)
        return x


class Mixed(nn.Module):
    """Runs the four branches of a Mixed block; all keep the size.

    Args:
        in_channels: Channels of the input.
        widths: Channels of b0, b1a, b1b, b2a, b2b, b3b.
        make_unit: Makes the 3x3x3 units b1b and b2b, of input and output channels.
        eps: Of the batch norms.
        gate: Makes what each branch ends with, given its channels; None for nothing.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        make_unit: Callable[[int, int], nn.Module],
        eps: float,
        gate: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = widths
        self.b0 = ConvUnit(in_channels, b0, (1, 1, 1), eps=eps)
        self.b1a = ConvUnit(in_channels, b1a, (1, 1, 1), eps=eps)
        self.b1b = make_unit(b1a, b1b)
        self.b2a = ConvUnit(in_channels, b2a, (1, 1, 1), eps=eps)
        self.b2b = make_unit(b2a, b2b)
        self.b3b = ConvUnit(in_channels, b3b, (1, 1, 1), eps=eps)
        self.out_channels = b0 + b1b + b2b + b3b
        self.gates = nn.ModuleList()
        if gate is not None:
            self.gates.extend(gate(channels) for channels in (b0, b1b, b2b, b3b))

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, T, H, W]."""
        pooled = max_pool(x, (3, 3, 3), (1, 1, 1), (1, 1, 1))
        branches = [
            self.b0(x),
            self.b1b(self.b1a(x)),
            self.b2b(self.b2a(x)),
            self.b3b(pooled),
        ]
        for index, gate in enumerate(self.gates):
            branches[index] = gate(branches[index])
        return _concatenate(branches)


def scale_widths(widths: Sequence[int], width: int) -> list[int]:
    """Scales published channels to a stem of `width` channels; it is 64 as published."""
    return [max(1, round(channels * width / 64)) for channels in widths]


def _concatenate(branches: Sequence[Tensor]) -> Tensor:
    """Joins branches [B, C, T, H, W] by channels, in the order of memory where channels are last.

    torch.cat alone loses that order where a convolution over time was computed as a 2D one: the
    stride of a batch of one clip then hides it, and all pools that follow are the slow 3D ones.
    """
    if not all(b.is_contiguous(memory_format=torch.channels_last_3d) for b in branches):
        return torch.cat(list(branches), dim=1)
    rows = [branch.permute(0, 2, 3, 4, 1) for branch in branches]
    return torch.cat(rows, dim=-1).permute(0, 4, 1, 2, 3)


def max_pool(x: Tensor, kernel: Size, stride: Size, padding: Size) -> Tensor:
    """Max-pools x [B, C, T, H, W], over space and then over time.

    Where channels are last in memory both are views for 2D pooling, which is several times faster.
    """
    if not x.is_contiguous(memory_format=torch.channels_last_3d):
        return F.max_pool3d(x, kernel, stride, padding)
    frames = x.transpose(1, 2).flatten(0, 1)
    frames = F.max_pool2d(frames, kernel[1:], stride[1:], padding[1:])
    x = torch.unflatten(frames, 0, (x.shape[0], x.shape[2])).transpose(1, 2)
    if kernel[0] == stride[0] == 1:
        return x
    moments = F.max_pool2d(x.flatten(3), (kernel[0], 1), (stride[0], 1), (padding[0], 0))
    return torch.unflatten(moments, 3, x.shape[3:])


def pad_same(x: Tensor, kernel: Size, stride: Size) -> Tensor:
    """Pads x by zeros as TensorFlow's SAME does: at the end by one more where that is uneven.

    The output of a layer without padding then has ceil(size / stride) cells a side.
    """
    pads: list[int] = []
    for size, length, step in zip(x.shape[:1:-1], kernel[::-1], stride[::-1], strict=True):
        total = length - 1 - (size - 1) % step
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)
