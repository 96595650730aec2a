"""One pathway of the network: a 3D bottleneck ResNet with a temporal kernel for each block.

Feature maps are [B, C, T, H, W]. No stage strides in time (section 3 of the SlowFast paper); the
one exception is I3D, which halves the frames once, after res2.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.models.batch_norm import BatchNorm3d
from ava_det.models.factorized_conv import FactorizedConv3d
from ava_det.models.non_local import DOT_PRODUCT, NonLocal, NonLocalForm

STAGES = ("res2", "res3", "res4", "res5")


class Bottleneck(nn.Module):
    """Adds a bottleneck of three convolutions to its input.

    `a` (t x 1 x 1) -> `b` (1 x 3 x 3, with the stride and dilation) -> `c` (1 x 1 x 1). The
    shortcut is a strided 1x1x1 convolution where the shape changes, and is never dilated.
    """

    def __init__(
        self,
        in_channels: int,
        inner_channels: int,
        out_channels: int,
        temporal_kernel: int,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.a = FactorizedConv3d(
            in_channels,
            inner_channels,
            (temporal_kernel, 1, 1),
            padding=(temporal_kernel // 2, 0, 0),
            bias=False,
        )
        self.a_bn = BatchNorm3d(inner_channels)
        self.b = FactorizedConv3d(
            inner_channels,
            inner_channels,
            (1, 3, 3),
            stride=(1, stride, stride),
            padding=(0, dilation, dilation),
            dilation=(1, dilation, dilation),
            bias=False,
        )
        self.b_bn = BatchNorm3d(inner_channels)
        self.c = FactorizedConv3d(inner_channels, out_channels, 1, bias=False)
        self.c_bn = BatchNorm3d(out_channels)
        self.has_shortcut = in_channels != out_channels or stride != 1
        if self.has_shortcut:
            self.shortcut = FactorizedConv3d(
                in_channels, out_channels, 1, stride=(1, stride, stride), bias=False
            )
            self.shortcut_bn = BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, T, H/stride, W/stride]."""
        y = F.relu(self.a_bn(self.a(x)), inplace=True)
        y = F.relu(self.b_bn(self.b(y)), inplace=True)
        y = self.c_bn(self.c(y))
        residual = self.shortcut_bn(self.shortcut(x)) if self.has_shortcut else x
        return F.relu(y + residual, inplace=True)


class Stem(nn.Module):
    """Reduces a clip to a quarter of its size.

    Convolution t x 7 x 7 with spatial stride 2, BN, ReLU, then a 1 x 3 x 3 max pool with stride 2.
    """

    def __init__(self, out_channels: int, temporal_kernel: int, in_channels: int = 3) -> None:
        super().__init__()
        self.conv = FactorizedConv3d(
            in_channels,
            out_channels,
            (temporal_kernel, 7, 7),
            stride=(1, 2, 2),
            padding=(temporal_kernel // 2, 3, 3),
            bias=False,
        )
        self.bn = BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, T, H/4, W/4]."""
        y = F.relu(self.bn(self.conv(x)), inplace=True)
        return F.max_pool3d(y, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))


class Stage(nn.Module):
    """Runs the blocks of one resolution; only the first changes channels and size.

    Args:
        in_channels: Channels of the input.
        inner_channels: Channels between the convolutions of a block.
        out_channels: Channels of the output.
        temporal_kernels: Frames of each block's `a`; their count is the number of blocks.
        stride: Spatial stride of the first block.
        dilation: Spatial dilation of every block's `b`.
        non_local: Numbers, from 0, of the blocks that a non-local block follows.
        non_local_form: Their form.
        group_frames: See `NonLocal`.
        time_pool: Whether a max pool over pairs of frames ends the stage (I3D's res2).
    """

    def __init__(
        self,
        in_channels: int,
        inner_channels: int,
        out_channels: int,
        temporal_kernels: Sequence[int],
        *,
        stride: int,
        dilation: int,
        non_local: Collection[int] = (),
        non_local_form: NonLocalForm = DOT_PRODUCT,
        group_frames: int | None = None,
        time_pool: bool = False,
    ) -> None:
        super().__init__()
        outside = [index for index in non_local if not 0 <= index < len(temporal_kernels)]
        if outside:
            raise ValueError(
                f"non-local block after block {outside[0]}: "
                f"this stage has blocks 0..{len(temporal_kernels) - 1}"
            )
        self.blocks = nn.ModuleList(
            Bottleneck(
                in_channels if index == 0 else out_channels,
                inner_channels,
                out_channels,
                kernel,
                stride if index == 0 else 1,
                dilation,
            )
            for index, kernel in enumerate(temporal_kernels)
        )
        form = non_local_form, group_frames
        self.non_local = nn.ModuleDict(
            {str(index): NonLocal(out_channels, *form) for index in sorted(set(non_local))}
        )
        self.time_pool = time_pool

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, T, H/stride, W/stride].

        `time_pool` halves T.
        """
        for index, block in enumerate(self.blocks):
            x = block(x)
            if str(index) in self.non_local:
                x = self.non_local[str(index)](x)
        return F.max_pool3d(x, (2, 1, 1)) if self.time_pool else x


class Pathway(nn.Module):
    """Runs the stem and the four stages of one pathway.

    The caller may run them one by one, to fuse pathways in between.

    Args:
        width: Channels of the stem; res2..res5 put out 4, 8, 16 and 32 times as many.
        stem_kernel: Frames seen by the stem.
        temporal_kernels: Frames seen by each block of res2..res5.
        beta_inv: Divides the channels of every layer, rounded to the nearest whole number: 1/beta
            of the Fast pathway.
        extra_channels: Channels that lateral connections add to the input of res2..res5; empty for
            none.
        res5_stride: 2 for classification (features at 1/32 of the clip), 1 for detection (1/16).
        res5_dilation: 1 for classification, 2 for detection.
        non_local_res4: `non_local` of the res4 `Stage`.
        non_local_res3: `non_local` of the res3 `Stage`.
        non_local_form: See `Stage`.
        res3_group_frames: `group_frames` of the res3 `Stage`.
        time_pool_res2: `time_pool` of the res2 `Stage`.
        in_channels: Channels of a frame.
    """

    def __init__(
        self,
        width: int,
        stem_kernel: int,
        temporal_kernels: Sequence[Sequence[int]],
        *,
        beta_inv: int = 1,
        extra_channels: Sequence[int] = (),
        res5_stride: int = 2,
        res5_dilation: int = 1,
        non_local_res4: Collection[int] = (),
        non_local_res3: Collection[int] = (),
        non_local_form: NonLocalForm = DOT_PRODUCT,
        res3_group_frames: int | None = None,
        time_pool_res2: bool = False,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        inner = [max(1, round(width * factor / beta_inv)) for factor in (1, 2, 4, 8)]
        self.stage_channels = [
            max(1, round(width * factor / beta_inv)) for factor in (1, 4, 8, 16, 32)
        ]
        self.stem: nn.Module = Stem(self.stage_channels[0], stem_kernel, in_channels)
        for index, name in enumerate(STAGES):
            stage = Stage(
                self.stage_channels[index] + (extra_channels[index] if extra_channels else 0),
                inner[index],
                self.stage_channels[index + 1],
                temporal_kernels[index],
                stride=(1, 2, 2, res5_stride)[index],
                dilation=res5_dilation if name == "res5" else 1,
                non_local={"res3": non_local_res3, "res4": non_local_res4}.get(name, ()),
                non_local_form=non_local_form,
                group_frames=res3_group_frames if name == "res3" else None,
                time_pool=time_pool_res2 and name == "res2",
            )
            self.add_module(name, stage)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, stage_channels[4], T, h, w], by all stages."""
        for index in range(1 + len(STAGES)):
            x = self.stage(index, x)
        return x

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Runs the stem (index 0) or one of res2..res5 (index 1..4).

        The output has stage_channels[index] channels.
        """
        output: Tensor = self.get_submodule(("stem", *STAGES)[index])(x)
        return output
