"""S3D and S3D-G (Xie et al., ECCV 2018): I3D with its kernels split into space and time.

    clip [B, 3, T, H, W]
      |
    Conv_1a, 64, stride 2,2^2      separable:       1x7x7 then 7x1x1
      |                            full:            7x7x7, or 3x7x7
      |                            space_to_depth:  2x4x4 on blocks of 2x2x2 pixels
      |  max pool 1x3^2, stride 1,2^2                                    T/2, /4
    Conv_2b 1x1x1, 64
    Conv_2c 1x3x3 then 3x1x1, 192   (gate)
      |  max pool, Mixed_3b ... Mixed_4f                                 T/4, /16   --> boxes
      |  max pool, Mixed_5b, Mixed_5c                                    T/8, /32   --> clips

The blocks are I3D's (`inception3d.py`), each 3x3x3 a 1x3x3 and a 3x1x1, both with batch norm and
ReLU. S3D-G gates Conv_2c and the four branches of every Mixed block: channels are multiplied by the
sigmoid of a linear layer on their means over the clip.

TF-slim's form is `stem="full"`, `stem_frames=3`,
`padding="same"`, `temporal_norm=False` and gates without bias (tensorflow/models,
research/slim/nets/s3dg.py); no Kinetics weights of it are public.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.config.backbones import S3D_PADDINGS, S3D_STEMS
from ava_det.models.conv_unit import ConvUnit, Size
from ava_det.models.factorized_conv import FactorizedConv3d
from ava_det.models.i3d_inception import SameConvUnit, pool_same
from ava_det.models.inception3d import (
    MIXED,
    InceptionBackbone,
    Mixed,
    max_pool,
    pad_same,
    scale_widths,
)


class S3D(InceptionBackbone):
    """Computes the features of S3D, or of S3D-G.

    Args:
        width: Channels of the stem; all others are in proportion to the published ones.
        in_channels: Channels of a frame.
        roi_endpoint: The last block for person boxes, such as `mixed_4f`; None for whole clips.
        stem: One of `S3D_STEMS`.
        stem_frames: Frames of the kernel of a separable or full stem, an odd number.
        padding: Of the max pools, one of `S3D_PADDINGS`: `symmetric` has half a kernel around them
            and none at 5a, `end` has one cell after them, as TensorFlow's SAME at even sizes,
            `same` is that SAME at all sizes, of a separable or full stem too.
        temporal_norm: Whether batch norms follow the convolutions over time; without, those have a
            bias and begin as the identity.
        gating: Whether this is S3D-G.
        gate_bias: Whether the gates' linear layers have a bias.
        bn_eps: Of all batch norms; a property of weights.
        pool_window: See `Backbone`; zeros for none.

    Raises:
        ValueError: A name does not exist.
    """

    def __init__(
        self,
        width: int = 64,
        in_channels: int = 3,
        roi_endpoint: str | None = None,
        stem: str = "separable",
        stem_frames: int = 7,
        padding: str = "symmetric",
        temporal_norm: bool = True,
        gating: bool = False,
        gate_bias: bool = True,
        bn_eps: float = 1e-3,
        pool_window: Sequence[int] = (2, 7, 7),
    ) -> None:
        if stem not in S3D_STEMS or padding not in S3D_PADDINGS:
            raise ValueError(f"stem {stem!r} or padding {padding!r} does not exist")
        pool = {"symmetric": _pool_symmetric, "end": _pool_end, "same": pool_same}[padding]
        super().__init__(in_channels, roi_endpoint, pool, pool_window)
        first, second = scale_widths((64, 192), width)
        unit = partial(SeparableUnit, eps=bn_eps, temporal_norm=temporal_norm)
        gate = partial(Gate, bias=gate_bias) if gating else None
        conv = SameConvUnit if padding == "same" else ConvUnit
        if stem == "separable":
            sizes = (7, stem_frames)
            self.conv_1a: nn.Module = unit(in_channels, first, sizes=sizes, stride=2, conv=conv)
        elif stem == "full":
            kernel = (stem_frames, 7, 7)
            self.conv_1a = conv(in_channels, first, kernel, (2, 2, 2), eps=bn_eps)
        else:
            self.conv_1a = SpaceToDepthStem(in_channels, first, bn_eps)
        self.conv_2b = ConvUnit(first, first, (1, 1, 1), eps=bn_eps)
        self.conv_2c = unit(first, second)
        self.gate_2c = gate(second) if gate is not None else nn.Identity()
        channels = second
        for name, widths in MIXED.items():
            if name in self.endpoints:
                block = Mixed(channels, scale_widths(widths, width), unit, bn_eps, gate)
                self.add_module(name, block)
                channels = block.out_channels
        self.out_channels = [channels]

    def run(self, endpoints: Sequence[str], x: Tensor) -> Tensor:
        """Runs some of the blocks, with the pools before them and the gate after Conv_2c."""
        early, late = (
            [name for name in endpoints if (name in MIXED) is is_late] for is_late in (False, True)
        )
        x = super().run(early, x)
        return super().run(late, self.gate_2c(x))


class SeparableUnit(nn.Module):
    """Convolves in space, then in time, each with batch norm and ReLU.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of both convolutions.
        sizes: Sides of the kernel in space, and in time.
        stride: In space and in time.
        eps: Of the batch norms.
        temporal_norm: See `S3D`.
        conv: Makes a unit of channels, kernel, stride and eps, padded for its stride.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        sizes: tuple[int, int] = (3, 3),
        stride: int = 1,
        eps: float = 1e-3,
        temporal_norm: bool = True,
        conv: Callable[..., nn.Module] = ConvUnit,
    ) -> None:
        super().__init__()
        space, time = sizes
        self.spatial = conv(
            in_channels, out_channels, (1, space, space), (1, stride, stride), eps=eps
        )
        kernel, strides = (time, 1, 1), (stride, 1, 1)
        self.temporal: nn.Module
        if temporal_norm:
            self.temporal = conv(out_channels, out_channels, kernel, strides, eps=eps)
        else:
            self.temporal = BiasedUnit(out_channels, time, stride, is_same=conv is SameConvUnit)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, T/stride, H/stride, W/stride]."""
        output: Tensor = self.temporal(self.spatial(x))
        return output


class BiasedUnit(nn.Module):
    """Convolves in time with a bias, and rectifies; begins as the identity at its middle frame.

    Args:
        channels: Channels of input and output.
        frames: Frames of the kernel.
        stride: In time.
        is_same: Whether the padding is TensorFlow's SAME, not half a kernel on both sides.
    """

    def __init__(self, channels: int, frames: int, stride: int, *, is_same: bool) -> None:
        super().__init__()
        self.kernel = (frames, 1, 1)
        self.stride = (stride, 1, 1)
        self.is_same = is_same
        padding = (0 if is_same else frames // 2, 0, 0)
        self.conv = FactorizedConv3d(
            channels, channels, self.kernel, stride=self.stride, padding=padding
        )
        nn.init.dirac_(self.conv.weight)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, channels, T, H, W] to [B, channels, T / stride, H, W]."""
        padded = pad_same(x, self.kernel, self.stride) if self.is_same else x
        return F.relu(self.conv(padded), inplace=True)


class SpaceToDepthStem(ConvUnit):
    """Packs 2x2x2 blocks of pixels into channels and convolves them.

    A packed channel is dt * 4C + dh * 2C + dw * C + c. The convolution is padded on both sides of
    each axis by more than its even kernel needs; its first frame, row and column are dropped.
    """

    def __init__(self, in_channels: int, out_channels: int, eps: float) -> None:
        super().__init__(8 * in_channels, out_channels, (2, 4, 4), padding=(1, 2, 2), eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, T/2, H/2, W/2], rounded up.

        An odd side is padded by a row of zeros at its end.
        """
        x = F.pad(x, [side for size in x.shape[:1:-1] for side in (0, size % 2)])
        batch, channels, frames, height, width = x.shape
        blocks = x.reshape(batch, channels, frames // 2, 2, height // 2, 2, width // 2, 2)
        packed = blocks.permute(0, 3, 5, 7, 1, 2, 4, 6).flatten(1, 4)
        return super().forward(packed)[:, :, 1:, 1:, 1:]


class Gate(nn.Linear):
    """Weights the channels of a clip by what is in the whole clip (S3D-G, section 4.3)."""

    def __init__(self, channels: int, bias: bool = True) -> None:
        super().__init__(channels, channels, bias=bias)
        nn.init.trunc_normal_(self.weight, std=0.01)
        if bias:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Maps input [B, C, T, H, W] to the same shape."""
        means = input.float().mean(dim=(2, 3, 4)).to(self.weight.dtype)
        weights = torch.sigmoid(super().forward(means)).to(input.dtype)
        return input * weights[:, :, None, None, None]


def _pool_symmetric(x: Tensor, kernel: Size, stride: Size) -> Tensor:
    # half of an odd kernel; the 2x2x2 pool has none and drops an odd frame, row or column
    time, height, width = ((side - 1) // 2 for side in kernel)
    return max_pool(x, kernel, stride, (time, height, width))


def _pool_end(x: Tensor, kernel: Size, stride: Size) -> Tensor:
    # One cell after an odd kernel, and whatever the last window lacks.
    pads: list[int] = []
    for size, length, step in zip(x.shape[:1:-1], kernel[::-1], stride[::-1], strict=True):
        pads += [0, length - step + size % step]
    # What is pooled went through a ReLU, so zeros around it change no maximum.
    return max_pool(F.pad(x, pads), kernel, stride, (0, 0, 0))
