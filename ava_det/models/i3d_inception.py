"""I3D (Carreira and Zisserman, CVPR 2017): Inception-v1 with every kernel inflated over time.

    clip [B, 3, T, H, W]
      |
    Conv_1a 7x7x7, 64, stride 2,2^2        T/2, /2
      |  max pool 1x3^2, stride 1,2^2
    Conv_2b 1x1x1, 64
    Conv_2c 3x3x3, 192                     T/2, /4
      |  max pool 1x3^2, stride 1,2^2
    Mixed_3b 256, 3c 480                   T/2, /8
      |  max pool 3x3^2, stride 2,2^2
    Mixed_4b 512, 4c 512, 4d 512, 4e 528, 4f 832      T/4, /16    --> features for boxes
      |  max pool 2x2^2, stride 2,2^2                                  (or after 4e)
    Mixed_5b 832, 5c 1024                  T/8, /32    --> features for whole clips

Every layer is padded as TensorFlow's SAME, which at a stride of 2 is uneven for even sizes. All
batch norms have eps 1e-3. Girdhar's detector (arXiv 1807.10066) aligns each box at every time step
of Mixed_4f and runs Mixed_5b and 5c on what it cut out: `run_tail`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ava_det.models.conv_unit import ConvUnit, Size
from ava_det.models.inception3d import (
    MIXED,
    InceptionBackbone,
    Mixed,
    max_pool,
    pad_same,
    scale_widths,
)

_EPS = 1e-3


class I3DInception(InceptionBackbone):
    """Computes I3D's features.

    Args:
        width: Channels of the stem; all others are in proportion to the published ones.
        in_channels: Channels of a frame: 3 for RGB, 2 for optical flow.
        roi_endpoint: The last block for person boxes, such as `mixed_4f`; None for whole clips.
        roi_tail: Whether Mixed_5b and Mixed_5c are kept for `run_tail`.
        pool_window: See `Backbone`; zeros for none.

    Attributes:
        tail_channels: Channels of `run_tail`'s output; 0 without a tail.
    """

    def __init__(
        self,
        width: int = 64,
        in_channels: int = 3,
        roi_endpoint: str | None = None,
        roi_tail: bool = False,
        pool_window: Sequence[int] = (2, 7, 7),
    ) -> None:
        super().__init__(in_channels, roi_endpoint, pool_same, pool_window)
        stem, second = scale_widths((64, 192), width)
        self.conv_1a = SameConvUnit(in_channels, stem, (7, 7, 7), (2, 2, 2))
        self.conv_2b = ConvUnit(stem, stem, (1, 1, 1), eps=_EPS)
        self.conv_2c = _make_unit(stem, second)
        channels = second
        for name, widths in MIXED.items():
            if name in self.endpoints or (roi_tail and name in ("mixed_5b", "mixed_5c")):
                block = Mixed(channels, scale_widths(widths, width), _make_unit, _EPS)
                self.add_module(name, block)
                channels = block.out_channels
            if name == self.endpoints[-1]:
                self.out_channels = [channels]
        self.tail_channels = channels if roi_tail else 0
        if roi_tail:
            self.left_out = ()

    def run_tail(self, x: Tensor) -> Tensor:
        """Maps boxes cut out of Mixed_4f, [K, C, T, h, w], through Mixed_5b and Mixed_5c.

        The pool before Mixed_5b is left out, so that neither frames nor cells become fewer.
        """
        features: Tensor = self.get_submodule("mixed_5c")(self.get_submodule("mixed_5b")(x))
        return features


class SameConvUnit(ConvUnit):
    """Pads its input as TensorFlow's SAME does for the stride, then runs a `ConvUnit`."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: Size, stride: Size, eps: float = _EPS
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, padding=(0, 0, 0), eps=eps)
        self.kernel = kernel
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, T / stride, ...], rounded up."""
        return super().forward(pad_same(x, self.kernel, self.stride))


def _make_unit(in_channels: int, out_channels: int) -> nn.Module:
    return ConvUnit(in_channels, out_channels, (3, 3, 3), eps=_EPS)


def pool_same(x: Tensor, kernel: Size, stride: Size) -> Tensor:
    """Max-pools x, which went through a ReLU, padded as TensorFlow's SAME."""
    # After a ReLU zeros around it change no maximum.
    return max_pool(pad_same(x, kernel, stride), kernel, stride, (0, 0, 0))
