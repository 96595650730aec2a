"""STC-ResNeXt (Diba et al., ECCV 2018): a 3D ResNeXt whose blocks weight channels by clip and time.

    clip [B, 3, T, H, W]
      |
    stem 7x7x7, C, stride 1,2^2, max pool 3x3x3 /2          T/2, /4
      |
    res2 3 blocks, 4C                                       T/2, /4
    res3 4 blocks, 8C                                       T/4, /8
    res4 23 blocks, 16C                                     T/8, /16
    res5 3 blocks, 32C                                      T/16, /32 (or /16 for boxes)
      |
      +--> [features]

    block: 1x1x1 -> 3x3x3 in C/2 groups -> 1x1x1, + shortcut      STC of x [C, T, H, W]:

              +-- mean over T, H, W [C]  --> C/r  --> C, sigmoid --> times x --+
        x ----+                                                                +-- mean of both
              +-- mean over H, W    [TC] --> TC/r --> C, sigmoid --> times x --+

The ResNeXt-101 under it is that of Hara et al. (CVPR 2018), 32 groups of 4 channels in res2. The
second branch fixes the number of frames. The authors published neither code nor weights: the two
branches are as their readers describe them, and what these descriptions leave open is a value here,
with the reason for it: `reduction`, `placement`, `squeeze` and `excite`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.config.backbones import STC_PLACEMENTS
from ava_det.config.networks import BLOCKS_PER_STAGE
from ava_det.models.backbone import SingleStreamBackbone
from ava_det.models.conv_unit import ConvUnit
from ava_det.models.inception3d import max_pool

STAGES = ("res2", "res3", "res4", "res5")
# Between and after the two linear layers: those of squeeze-and-excitation (Hu et al., CVPR 2018),
# on which the paper says its block is built.
squeeze = F.relu
excite = torch.sigmoid


class STCResNeXt(SingleStreamBackbone):
    """Computes the features of STC-ResNeXt.

    Args:
        depth: One of `BLOCKS_PER_STAGE`; 101 as published.
        width: Channels C of the stem, an even number; 64 as published.
        num_frames: T of every clip.
        reduction: r of both branches. 16 is that of squeeze-and-excitation.
        placement: What the STC block works on: `block`, the output of each residual block, as
            readers describe it, or `residual`, before the sum, as squeeze-and-excitation does.
        res5_stride: Of space: 2 for classification, 1 for detection.
        in_channels: Channels of a frame.

    Raises:
        ValueError: The width is odd, or the placement does not exist.
    """

    def __init__(
        self,
        *,
        depth: int = 101,
        width: int = 64,
        num_frames: int = 16,
        reduction: int = 16,
        placement: str = "block",
        res5_stride: int = 2,
        in_channels: int = 3,
    ) -> None:
        super().__init__(in_channels)
        if width % 2 or placement not in STC_PLACEMENTS:
            raise ValueError(f"width {width} is odd, or placement {placement!r} does not exist")
        self.num_frames = num_frames
        self.feature_stride = 16 * res5_stride
        self.stem = ConvUnit(in_channels, width, (7, 7, 7), (1, 2, 2))
        channels = width
        frames = _halve(num_frames)
        for index, (name, count) in enumerate(zip(STAGES, BLOCKS_PER_STAGE[depth], strict=True)):
            out = 4 * width * 2**index
            stage = nn.Sequential()
            for number in range(count):
                time = 2 if index and not number else 1
                space = res5_stride if time == 2 and name == "res5" else time
                frames = _halve(frames) if time == 2 else frames
                correlation = STCBlock(out, frames, reduction)
                stage.append(
                    ResNeXtBlock(channels, out, width // 2, (time, space), correlation, placement)
                )
                channels = out
            self.add_module(name, stage)
        self.out_channels = [channels]

    def compute(self, clip: Tensor) -> list[Tensor]:
        """Computes the features [B, 32 * width, T/16, h, w].

        Raises:
            ValueError: The clip has another number of frames than `num_frames`.
        """
        if clip.shape[2] != self.num_frames:
            raise ValueError(f"the clip has {clip.shape[2]} frames, expected {self.num_frames}")
        x = max_pool(self.stem(clip), (3, 3, 3), (2, 2, 2), (1, 1, 1))
        for name in STAGES:
            x = self.get_submodule(name)(x)
        return [x]


class ResNeXtBlock(nn.Module):
    """Adds a bottleneck with groups to its input, and weights channels by an STC block.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; twice those between the convolutions.
        groups: Of the 3x3x3 convolution.
        stride: In time, and in height and width.
        correlation: The STC block.
        placement: See `STCResNeXt`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        groups: int,
        stride: tuple[int, int],
        correlation: STCBlock,
        placement: str,
    ) -> None:
        super().__init__()
        inner = out_channels // 2
        steps = (stride[0], stride[1], stride[1])
        self.a = ConvUnit(in_channels, inner, (1, 1, 1))
        self.b = ConvUnit(inner, inner, (3, 3, 3), steps, groups=groups)
        self.c = ConvUnit(inner, out_channels, (1, 1, 1), relu=False)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels or max(stride) > 1:
            self.shortcut = ConvUnit(in_channels, out_channels, (1, 1, 1), steps, relu=False)
        self.correlation = correlation
        self.placement = placement

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, T', H', W']."""
        y = self.c(self.b(self.a(x)))
        if self.placement == "residual":
            return F.relu(self.correlation(y) + self.shortcut(x), inplace=True)
        weighted: Tensor = self.correlation(F.relu(y + self.shortcut(x), inplace=True))
        return weighted


class STCBlock(nn.Module):
    """Weights the channels of a clip by their means over the clip and at each moment.

    Args:
        channels: Channels of the clip.
        frames: Frames of the clip.
        reduction: Divides the width between the two linear layers of each branch.
    """

    def __init__(self, channels: int, frames: int, reduction: int) -> None:
        super().__init__()
        moments = channels * frames
        self.clip_squeeze = nn.Linear(channels, max(1, channels // reduction))
        self.clip_excite = nn.Linear(max(1, channels // reduction), channels)
        self.time_squeeze = nn.Linear(moments, max(1, moments // reduction))
        self.time_excite = nn.Linear(max(1, moments // reduction), channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, channels, frames, H, W] to the same shape."""
        means = x.float().mean(dim=(3, 4)).to(self.clip_squeeze.weight.dtype)
        of_clip = excite(self.clip_excite(squeeze(self.clip_squeeze(means.mean(dim=2)))))
        of_time = excite(self.time_excite(squeeze(self.time_squeeze(means.flatten(1)))))
        weights = ((of_clip + of_time) / 2).to(x.dtype)
        return x * weights[:, :, None, None, None]


def _halve(frames: int) -> int:
    """Returns the frames that a layer of stride 2 leaves."""
    return (frames + 1) // 2
