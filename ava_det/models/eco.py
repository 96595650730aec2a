"""ECO (Zolfaghari et al., ECCV 2018): each frame in 2D, the stack of frames in 3D.

    clip [B, 3, N, H, W]: one frame from each of N equal parts of a video
      |
     frames: 7x7, pool, 1x1, 3x3, pool, inception 3a, 3b      320, /8     BN-Inception,
      |                                                                   each frame alone
     stack: 1x1, 3x3 of inception 3c      96, N, /8
      |                           |
     volume: res3a, res3b       rest (full only):             3D ResNet-18 on the left,
      |      128, N, /8         inception 3c, 4a..4e, 5a, 5b  BN-Inception's rest on the right,
      |      res4a, res4b       1024, N, /32                  each frame alone
      |      256, N/2, /16        |
      |      res5a, res5b         |
      |      512, N/4, /32        |
      +--> [rest, volume] <-------+        the head takes the mean of each, and concatenates

ECO Lite has no `rest`. The layers are those of the authors' PyTorch definitions (ECO.yaml,
ECOfull.yaml); every convolution has a bias, though a norm follows most of them, and pools round up
as Caffe's do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.models.backbone import SingleStreamBackbone
from ava_det.models.conv_unit import ConvUnit
from ava_det.models.preactivation import LastNorm, PreactivatedBlock, plain_conv

# 1x1; 1x1 and 3x3; 1x1 and twice 3x3; pool and 1x1: the widths of the four branches
INCEPTIONS = {
    "3a": (64, (64, 64), (64, 96), 32),
    "3b": (64, (64, 96), (64, 96), 64),
    "4a": (224, (64, 96), (96, 128), 128),
    "4b": (192, (96, 128), (96, 128), 128),
    "4c": (160, (128, 160), (128, 160), 128),
    "4d": (96, (128, 192), (160, 192), 128),
    "5a": (352, (192, 320), (160, 224), 128),
    "5b": (352, (192, 320), (192, 224), 128),
}
# 1x1 and strided 3x3; 1x1, 3x3 and strided 3x3; the pool has no convolution
REDUCTIONS = {"3c": ((128, 160), (64, 96)), "4e": ((128, 192), (192, 256))}


class ECO(SingleStreamBackbone):
    """Computes the features of ECO Lite and ECO Full.

    Args:
        full: Whether the rest of BN-Inception is computed beside the 3D network.
        width: Channels of the first convolution; all others are the paper's times width / 64.
        res5_stride: Spatial stride of the last reduction, of both networks: 2 as published, 1 for
            features at 1/16 of the clip. The latter is ours, for detection.
        in_channels: Channels of a frame.
    """

    def __init__(
        self, *, full: bool = False, width: int = 64, res5_stride: int = 2, in_channels: int = 3
    ) -> None:
        super().__init__(in_channels)
        self.feature_stride = 16 * res5_stride
        self.frames = FrameNetwork(in_channels, width)
        inner = _scale(REDUCTIONS["3c"][1], width)
        self.stack = nn.Sequential(
            _conv(self.frames.out_channels, inner[0], 1), _conv(inner[0], inner[1], 3)
        )
        self.volume = VolumeNetwork(inner[1], width, res5_stride)
        self.rest = None
        self.out_channels = [self.volume.out_channels]
        if full:
            self.rest = FrameNetworkRest(self.frames.out_channels, width, res5_stride)
            self.out_channels = [self.rest.out_channels, self.volume.out_channels]

    def compute(self, clip: Tensor) -> list[Tensor]:
        """Computes the maps [B, C, T, h, w] of the clip: of the frames (full only), then in 3D."""
        frames = self.frames(clip)
        stacked = self.stack(frames)
        volume = self.volume(stacked)
        return [volume] if self.rest is None else [self.rest(frames, stacked), volume]


class FrameNetwork(nn.Module):
    """Computes BN-Inception up to inception 3b on each frame."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        stem = _scale((64, 64, 192), width)
        self.conv1 = _conv(in_channels, stem[0], 7, stride=2)
        self.conv2_reduce = _conv(stem[0], stem[1], 1)
        self.conv2 = _conv(stem[1], stem[2], 3)
        self.inception_3a = Inception(stem[2], "3a", width)
        self.inception_3b = Inception(self.inception_3a.out_channels, "3b", width)
        self.out_channels = self.inception_3b.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, C, N, H, W] to [B, out_channels, N, H/8, W/8]."""
        x = pool_frames(self.conv1(x), "max", 2)
        x = pool_frames(self.conv2(self.conv2_reduce(x)), "max", 2)
        features: Tensor = self.inception_3b(self.inception_3a(x))
        return features


class FrameNetworkRest(nn.Module):
    """Computes BN-Inception on each frame, from the second 3x3 of inception 3c to its end."""

    def __init__(self, in_channels: int, width: int, last_stride: int) -> None:
        super().__init__()
        self.inception_3c = Reduction(in_channels, "3c", width)
        channels = self.inception_3c.out_channels
        for name in ("4a", "4b", "4c", "4d"):
            block = Inception(channels, name, width)
            self.add_module(f"inception_{name}", block)
            channels = block.out_channels
        inner = _scale(REDUCTIONS["4e"][1], width)
        self.inner_4e = nn.Sequential(_conv(channels, inner[0], 1), _conv(inner[0], inner[1], 3))
        self.inception_4e = Reduction(channels, "4e", width, last_stride)
        self.inception_5a = Inception(self.inception_4e.out_channels, "5a", width)
        self.inception_5b = Inception(self.inception_5a.out_channels, "5b", width, pool="max")
        self.out_channels = self.inception_5b.out_channels

    def forward(self, x: Tensor, stacked: Tensor) -> Tensor:
        """Maps inception 3b's [B, C, N, h, w], and 3c's first 3x3 of it, to the last features."""
        x = self.inception_3c(x, stacked)
        for name in ("4a", "4b", "4c", "4d"):
            x = self.get_submodule(f"inception_{name}")(x)
        x = self.inception_4e(x, self.inner_4e(x))
        features: Tensor = self.inception_5b(self.inception_5a(x))
        return features


class Inception(nn.Module):
    """Concatenates four branches on each frame: 1x1, 3x3, twice 3x3, pool.

    Args:
        in_channels: Channels of the input.
        name: One of `INCEPTIONS`.
        width: As in `ECO`.
        pool: `average` or `max`, of the fourth branch.
    """

    def __init__(self, in_channels: int, name: str, width: int, pool: str = "average") -> None:
        super().__init__()
        one, three, double, projection = INCEPTIONS[name]
        self.pool = pool
        self.one = _conv(in_channels, _scale((one,), width)[0], 1)
        self.three = _branch(in_channels, _scale(three, width))
        self.twice = _branch(in_channels, _scale((*double, double[1]), width))
        self.projection = _conv(in_channels, _scale((projection,), width)[0], 1)
        self.out_channels = sum(_scale((one, three[-1], double[-1], projection), width))

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, N, h, w] to [B, out_channels, N, h, w]."""
        pooled = pool_frames(x, self.pool, 1)
        branches = [self.one(x), self.three(x), self.twice(x), self.projection(pooled)]
        return torch.cat(branches, dim=1)


class Reduction(nn.Module):
    """Concatenates three strided branches on each frame: 3x3, twice 3x3, pool.

    The first 3x3 of the second branch is not in here: that of inception 3c also feeds the 3D
    network.
    """

    def __init__(self, in_channels: int, name: str, width: int, stride: int = 2) -> None:
        super().__init__()
        three, double = REDUCTIONS[name]
        inner = _scale((*three, double[1]), width)
        self.stride = stride
        self.three = nn.Sequential(
            _conv(in_channels, inner[0], 1), _conv(inner[0], inner[1], 3, stride)
        )
        self.twice = _conv(inner[2], inner[2], 3, stride)
        self.out_channels = in_channels + inner[1] + inner[2]

    def forward(self, x: Tensor, inner: Tensor) -> Tensor:
        """Maps x [B, C, N, h, w] and the first 3x3 of it to [B, out_channels, N, h/2, w/2]."""
        # A row and a column of zeros, below everything that follows a ReLU: at odd sizes the
        # authors' pool is one cell smaller than their convolutions, at even ones nothing changes.
        grown = F.pad(x, (0, 1, 0, 1)) if self.stride == 2 else x
        pooled = pool_frames(grown, "max", self.stride)
        return torch.cat([self.three(x), self.twice(inner), pooled], dim=1)


class VolumeNetwork(nn.Module):
    """Computes the 3D ResNet-18 without its first two stages on the stack of all frames."""

    def __init__(self, in_channels: int, width: int, last_stride: int) -> None:
        super().__init__()
        self.names = ("res3b", "res4a", "res4b", "res5a", "res5b")
        channels = 2 * width
        self.res3a = plain_conv(in_channels, channels)
        for name in self.names:
            grows = name in ("res4a", "res5a")
            spatial = last_stride if name == "res5a" else 2
            out = 2 * channels if grows else channels
            stride = (2, spatial, spatial) if grows else (1, 1, 1)
            self.add_module(
                name, PreactivatedBlock(channels, out, plain_conv(out, out), stride=stride)
            )
            channels = out
        self.last = LastNorm(channels)
        self.out_channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, N, h, w] to [B, out_channels, N/4, h/4, w/4]."""
        x = self.res3a(x)
        for name in self.names:
            x = self.get_submodule(name)(x)
        features: Tensor = self.last(x)
        return features


def pool_frames(x: Tensor, kind: str, stride: int) -> Tensor:
    """Pools 3 x 3 cells of each frame of x [B, C, N, h, w].

    Stride 2 pads nothing and rounds sizes up, stride 1 pads by one cell and keeps them; an average
    counts the padding, as Caffe's does.
    """
    cells = x.transpose(1, 2).flatten(0, 1)
    if kind == "max":
        y = F.max_pool2d(cells, 3, stride, padding=2 - stride, ceil_mode=stride == 2)
    else:
        y = F.avg_pool2d(cells, 3, stride, padding=1)
    return torch.unflatten(y, 0, (x.shape[0], x.shape[2])).transpose(1, 2)


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> ConvUnit:
    return ConvUnit(in_channels, out_channels, (1, kernel, kernel), (1, stride, stride), bias=True)


def _branch(in_channels: int, widths: tuple[int, ...]) -> nn.Sequential:
    """Builds a 1x1 and then 3x3 convolutions of the widths given."""
    sides = zip((in_channels, *widths), widths, strict=False)
    return nn.Sequential(
        *(_conv(before, after, 1 if i == 0 else 3) for i, (before, after) in enumerate(sides))
    )


def _scale(widths: tuple[int, ...], width: int) -> tuple[int, ...]:
    return tuple(max(1, channels * width // 64) for channels in widths)
