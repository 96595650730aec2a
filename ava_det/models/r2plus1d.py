"""R(2+1)D (Tran et al., CVPR 2018): a ResNet whose 3x3x3 convolutions are split in two.

    clip [B, 3, T, H, W]
      |
    stem   1x7x7 to 45, stride 1,2^2 --> 3x1x1 to 64         T, /2    (max pool 1x3^2: mmaction2)
      |
    layer1  3 basic blocks of 64                             T, /2
    layer2  4 of 128, stride 2,2^2                           T/2, /4
    layer3  6 of 256, stride 2,2^2                           T/4, /8
    layer4  3 of 512, stride 2,2^2 (1 for boxes)             T/8, /16

    basic block:  x --> split conv --> BN, ReLU --> split conv --> BN --> + --> ReLU
                  +-----------------(1x1x1, BN where the shape changes)---^
    split conv:   1x3x3 to M channels --> BN, ReLU --> 3x1x1

M keeps the parameters of the 3x3x3: floor(27 i o / (9 i + 3 o)) for i input and o output channels.
VMZ's networks take i and o of each convolution, torchvision's those of a block's first for both;
MMAction2 has 83 channels in the stem, a max pool after it, shortcuts that are split too (1x1x1 to
floor(3 i o / (i + 3 o)), BN, ReLU, 1x1x1), and an eps of 1e-5 in the norms between two halves.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.config.backbones import R2PLUS1D_BLOCKS, R2PLUS1D_FORMS
from ava_det.models.backbone import SingleStreamBackbone
from ava_det.models.conv_unit import ConvUnit
from ava_det.models.inception3d import max_pool, scale_widths

# Of the norms between the halves in MMAction2, which leaves them at torch's default.
_MMACTION2_INNER_EPS = 1e-5


class R2Plus1D(SingleStreamBackbone):
    """Computes the features of R(2+1)D.

    Args:
        width: Channels of the stem; all others are in proportion to the published ones.
        in_channels: Channels of a frame.
        depth: One of `R2PLUS1D_BLOCKS`.
        form: Whose widths: one of `R2PLUS1D_FORMS`.
        bn_eps: Of the batch norms, but for those between the halves in the form of MMAction2; a
            property of weights.
        last_stride: Spatial stride of layer4: 2, or 1 for boxes.

    Raises:
        ValueError: A value does not exist.
    """

    def __init__(
        self,
        width: int = 64,
        in_channels: int = 3,
        depth: int = 34,
        form: str = "vmz",
        bn_eps: float = 1e-3,
        last_stride: int = 2,
    ) -> None:
        super().__init__(in_channels)
        if form not in R2PLUS1D_FORMS or depth not in R2PLUS1D_BLOCKS:
            raise ValueError(f"form {form!r} or depth {depth} does not exist")
        (middle,) = scale_widths((83 if form == "mmaction2" else 45,), width)
        self.feature_stride = (16 if form == "mmaction2" else 8) * last_stride
        self.has_pool = form == "mmaction2"
        inner_eps = _MMACTION2_INNER_EPS if form == "mmaction2" else bn_eps
        self.stem_spatial = ConvUnit(in_channels, middle, (1, 7, 7), (1, 2, 2), eps=inner_eps)
        self.stem_temporal = ConvUnit(middle, width, (3, 1, 1), eps=bn_eps)
        channels = width
        for index, blocks in enumerate(R2PLUS1D_BLOCKS[depth]):
            out_channels = width * 2**index
            space = (1, 2, 2, last_stride)[index]
            layer = nn.Sequential()
            for number in range(blocks):
                first = number == 0
                strides = (2 if first and index > 0 else 1, space if first else 1)
                layer.append(
                    SplitBlock(
                        channels, out_channels, strides, eps=bn_eps, inner_eps=inner_eps, form=form
                    )
                )
                channels = out_channels
            self.add_module(f"layer{index + 1}", layer)
        self.out_channels = [channels]

    def compute(self, clip: Tensor) -> list[Tensor]:
        """Computes the features [B, 8 * width, T/8, h, w] of a clip."""
        x = self.stem_temporal(self.stem_spatial(clip))
        if self.has_pool:
            x = max_pool(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        for index in range(1, 5):
            x = self.get_submodule(f"layer{index}")(x)
        return [x]


class SplitBlock(nn.Module):
    """Adds two split convolutions to its input.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        strides: Of the first convolution, in time and in space.
        eps: Of the batch norms after a split convolution.
        inner_eps: Of those between its halves.
        form: See `R2Plus1D`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        strides: tuple[int, int],
        *,
        eps: float,
        inner_eps: float,
        form: str,
    ) -> None:
        super().__init__()
        time, space = strides
        first = count_middle(in_channels, out_channels)
        second = first if form == "torchvision" else count_middle(out_channels, out_channels)
        stride = (1, space, space)
        self.a_spatial = ConvUnit(in_channels, first, (1, 3, 3), stride, eps=inner_eps)
        self.a_temporal = ConvUnit(first, out_channels, (3, 1, 1), (time, 1, 1), eps=eps)
        self.b_spatial = ConvUnit(out_channels, second, (1, 3, 3), eps=inner_eps)
        self.b_temporal = ConvUnit(second, out_channels, (3, 1, 1), eps=eps, relu=False)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels and form == "mmaction2":
            self.shortcut = _split_shortcut(in_channels, out_channels, strides, eps, inner_eps)
        elif in_channels != out_channels:
            self.shortcut = ConvUnit(
                in_channels, out_channels, (1, 1, 1), (time, space, space), eps=eps, relu=False
            )

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, T/stride, H/stride, W/stride]."""
        y = self.a_temporal(self.a_spatial(x))
        y = self.b_temporal(self.b_spatial(y))
        return F.relu(y + self.shortcut(x))


def _split_shortcut(
    in_channels: int, out_channels: int, strides: tuple[int, int], eps: float, inner_eps: float
) -> nn.Module:
    """Builds MMAction2's shortcut: it splits every convolution, a 1x1x1 too."""
    time, space = strides
    middle = count_middle(in_channels, out_channels, cells=1)
    spatial = ConvUnit(in_channels, middle, (1, 1, 1), (1, space, space), eps=inner_eps)
    temporal = ConvUnit(middle, out_channels, (1, 1, 1), (time, 1, 1), eps=eps, relu=False)
    return nn.Sequential(OrderedDict(spatial=spatial, temporal=temporal))


def count_middle(in_channels: int, out_channels: int, cells: int = 9) -> int:
    """Returns M, so that 1x3x3 to M and 3x1x1 have at most the parameters of a 3x3x3.

    Args:
        in_channels: Of the first half.
        out_channels: Of the second half.
        cells: Of the first half's kernel: 9, or 1 for MMAction2's shortcuts, whose M it computes
            as if the second half still had 3 frames.
    """
    inputs = cells * in_channels
    return max(1, 3 * inputs * out_channels // (inputs + 3 * out_channels))
