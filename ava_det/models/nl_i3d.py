"""I3D ResNets with non-local blocks (Wang et al., CVPR 2018).

    clip [B, 3, T, H, W]
      |
    stem 5x7x7, stride (1 or 2),2^2 --> max pool (1, 2 or 3)x3^2, stride (1 or 2),2^2
      |
    res2 --> max pool of pairs of frames
      |
    res3 (non-local after blocks 1, 3)
      |
    res4 (non-local after blocks 1, 3, 5)
      |
    res5 --> features of stride 32, or 16 for boxes

Stages and names are those of `resnet3d.py`, as the pathway `slow`. Publishers differ in what the
stem and its pool do along time, and in their non-local blocks:

    Wang et al.   pool by 1x2x2 before phi and g; softmax of <theta(x), phi(p)> / sqrt(C / 2) over p
    MMAction2     pool by 1x2x2 after phi and g; no division; no bias in front of the norm

Where Wang et al. train with fixed norms, and in LFB, the blocks of res3 compare the positions of
four frames at a time.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from ava_det.models.backbone import SingleStreamBackbone
from ava_det.models.conv_unit import ConvUnit
from ava_det.models.inception3d import max_pool
from ava_det.models.non_local import NonLocalForm
from ava_det.models.resnet3d import Pathway
from ava_det.models.slowfast import initialize, list_temporal_kernels

WANG = NonLocalForm("embedded_gaussian", (1, 2, 2))


class NonLocalI3D(SingleStreamBackbone):
    """Computes the features of a non-local I3D ResNet.

    Args:
        depth: See `SlowFast`.
        width: Channels of the stem.
        in_channels: Channels of a frame.
        stem_stride: Stride of the first convolution in time.
        pool_frames: Frames of the max pool after it.
        pool_stride: Stride of that max pool in time.
        pool_padding: Whether that max pool pads, in space and time.
        non_local_res3: Numbers, from 0, of the blocks that a non-local block follows.
        non_local_res4: The same of res4.
        non_local_form: How those blocks compare positions.
        res3_group_frames: Frames that those of res3 see at a time; None for all.
        res4_temporal_blocks: See `SlowFast`.
        res5_stride: 2, or 1 for boxes.
        res5_dilation: See `Pathway`.
        zero_init_last_gamma: See `SlowFast`.
    """

    def __init__(
        self,
        depth: int = 50,
        width: int = 64,
        in_channels: int = 3,
        *,
        stem_stride: int = 2,
        pool_frames: int = 3,
        pool_stride: int = 2,
        pool_padding: bool = True,
        non_local_res3: Collection[int] = (1, 3),
        non_local_res4: Collection[int] = (1, 3, 5),
        non_local_form: NonLocalForm = WANG,
        res3_group_frames: int | None = None,
        res4_temporal_blocks: int | None = None,
        res5_stride: int = 2,
        res5_dilation: int = 1,
        zero_init_last_gamma: bool = True,
    ) -> None:
        super().__init__(in_channels)
        self.feature_stride = 16 * res5_stride
        self.slow = Pathway(
            width,
            5,
            list_temporal_kernels("i3d", depth, res4_temporal_blocks),
            res5_stride=res5_stride,
            res5_dilation=res5_dilation,
            non_local_res3=non_local_res3,
            non_local_res4=non_local_res4,
            non_local_form=non_local_form,
            res3_group_frames=res3_group_frames,
            time_pool_res2=True,
            in_channels=in_channels,
        )
        self.slow.stem = TimeStem(
            in_channels, width, stem_stride, pool_frames, pool_stride, pool_padding
        )
        initialize(self, zero_init_last_gamma)
        self.out_channels = [self.slow.stage_channels[4]]

    def compute(self, clip: Tensor) -> list[Tensor]:
        """Computes the features [B, 32 * width, t, h, w] of a clip."""
        return [self.slow(clip)]


class TimeStem(ConvUnit):
    """Reduces a clip in space and time; its arguments are those of `NonLocalI3D`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        pool_frames: int,
        pool_stride: int,
        pool_padding: bool,
    ) -> None:
        super().__init__(in_channels, out_channels, (5, 7, 7), (stride, 2, 2))
        self.pool_kernel = (pool_frames, 3, 3)
        self.pool_stride = (pool_stride, 2, 2)
        self.pool_padding = (pool_frames // 2, 1, 1) if pool_padding else (0, 0, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, t, H/4, W/4]."""
        return max_pool(super().forward(x), self.pool_kernel, self.pool_stride, self.pool_padding)
