"""One stream of the Two-Stream CNN (Simonyan and Zisserman, NeurIPS 2014), and its modern form.

    frames [B, C, T, H, W], T = 1 in the paper: a frame of C = 3, or C = 20 of optical flow

    cnn_m_2048                                       resnet
     7x7/2, 96, norm, pool /2      (no padding)       a 2D ResNet on each frame: stem /4,
     5x5/2, 256, norm, pool /2                        res2 /4, res3 /8, res4 /16
     3x3, 512, three times         /16                res5 2048, /32 (or /16 dilated)
      |                    (without `dense`) ---> [features 512, /16]
     pool /2, 6 x 6 cells
     dense 4096, dropout, dense 2048              ---> [features 2048, one cell]

The layers of CNN-M-2048 follow Chatfield et al. (BMVC 2014); norm is local response normalization,
whose constants are those of the authors' Caffe model, quoted from memory. Nobody published this
network's video weights. Several frames are seen one by one, and the heads take their mean.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.config.networks import BLOCKS_PER_STAGE
from ava_det.models.backbone import Backbone, SingleStreamBackbone
from ava_det.models.factorized_conv import FactorizedConv3d
from ava_det.models.resnet3d import Pathway

# Pixels before the first row and column so that cell i of the features, unpadded as they are, is
# centered on pixel 16 i + 8, where RoIAlign expects it: 3 of the 7x7, then 2, 4 and 8 more of the
# first pool, the 5x5 and the second pool put it on 17 + 16 i.
ALIGNMENT = 9


class CNNM2048(SingleStreamBackbone):
    """Computes the features of CNN-M-2048 on each frame.

    Args:
        dense: Whether the two dense layers are part of it, as for classification. Without them the
            features keep their places, for boxes; the frames are then padded by `ALIGNMENT`.
        width: 64 as published; all channels are the paper's times width / 64.
        second_norm: Whether a norm follows the second convolution; the flow stream has none there.
        dropout: Share of the first dense layer's output that training drops.
        in_channels: Channels of a frame.
    """

    feature_stride = 16

    def __init__(
        self,
        *,
        dense: bool = True,
        width: int = 64,
        second_norm: bool = True,
        dropout: float = 0.5,
        in_channels: int = 3,
    ) -> None:
        super().__init__(in_channels)
        one, two, three, first, last = (
            max(1, channels * width // 64) for channels in (96, 256, 512, 4096, 2048)
        )
        self.second_norm = second_norm
        self.conv1 = _conv(in_channels, one, 7, stride=2, padding=0)
        self.conv2 = _conv(one, two, 5, stride=2, padding=1)
        self.conv3 = _conv(two, three, 3)
        self.conv4 = _conv(three, three, 3)
        self.conv5 = _conv(three, three, 3)
        self.dense = dense
        if dense:
            self.fc6 = _conv(three, first, 6, padding=0)
            self.dropout = nn.Dropout(dropout)
            self.fc7 = _conv(first, last, 1)
        self.out_channels = [last if dense else three]

    def compute(self, clip: Tensor) -> list[Tensor]:
        """Computes [B, 2048, T, 1, 1], or [B, 512, T, H/16, W/16] without the dense layers."""
        if not self.dense:
            clip = F.pad(clip, (ALIGNMENT,) * 4)
        x = _on_frames(_normalize_and_pool, F.relu(self.conv1(clip), inplace=True))
        after = _normalize_and_pool if self.second_norm else _pool
        x = _on_frames(after, F.relu(self.conv2(x), inplace=True))
        for conv in (self.conv3, self.conv4, self.conv5):
            x = F.relu(conv(x), inplace=True)
        if not self.dense:
            return [x]
        # 6 x 6 cells at 224 pixels; at other sizes the mean of what falls into each.
        x = _on_frames(lambda cells: F.adaptive_avg_pool2d(_pool(cells), 6), x)
        x = self.dropout(F.relu(self.fc6(x), inplace=True))
        return [F.relu(self.fc7(x), inplace=True)]


class FrameResNet(SingleStreamBackbone):
    """Computes the features of a 2D ResNet on each frame, as today's two-stream networks do.

    Its names are those of the Slow pathway, so that ImageNet's weights load as they do there.

    Args:
        depth: One of `BLOCKS_PER_STAGE`.
        width: Channels of the stem.
        res5_stride: See `Pathway`.
        res5_dilation: See `Pathway`.
        in_channels: Channels of a frame.
    """

    def __init__(
        self,
        *,
        depth: int = 101,
        width: int = 64,
        res5_stride: int = 2,
        res5_dilation: int = 1,
        in_channels: int = 3,
    ) -> None:
        super().__init__(in_channels)
        self.feature_stride = 16 * res5_stride
        self.slow = Pathway(
            width,
            1,
            [[1] * blocks for blocks in BLOCKS_PER_STAGE[depth]],
            res5_stride=res5_stride,
            res5_dilation=res5_dilation,
            in_channels=in_channels,
        )
        self.out_channels = self.slow.stage_channels[4:]
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def compute(self, clip: Tensor) -> list[Tensor]:
        """Computes [B, 32 * width, T, H/feature_stride, W/feature_stride]."""
        return [self.slow(clip)]


def build_two_stream_cnn(
    architecture: str,
    *,
    detection: bool,
    width: int,
    depth: int,
    res5_dilation: int,
    dropout: float,
    in_channels: int = 3,
) -> Backbone:
    """Builds one stream.

    Args:
        architecture: `cnn_m_2048` or `resnet`.
        detection: Whether boxes are scored, not whole clips.
        width: See both classes.
        depth: Of the ResNet.
        res5_dilation: Of the ResNet, for detection.
        dropout: Of CNN-M-2048, for classification.
        in_channels: Channels of a frame. CNN-M-2048 has its second norm for RGB's 3 alone.
    """
    if architecture == "resnet":
        return FrameResNet(
            depth=depth,
            width=width,
            res5_stride=1 if detection else 2,
            res5_dilation=res5_dilation if detection else 1,
            in_channels=in_channels,
        )
    return CNNM2048(
        dense=not detection,
        width=width,
        second_norm=in_channels == 3,
        dropout=dropout,
        in_channels=in_channels,
    )


def _conv(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int | None = None
) -> FactorizedConv3d:
    side = kernel // 2 if padding is None else padding
    conv = FactorizedConv3d(
        in_channels,
        out_channels,
        (1, kernel, kernel),
        stride=(1, stride, stride),
        padding=(0, side, side),
    )
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def _on_frames(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Calls a layer of images on every frame of x [B, C, T, H, W]."""
    y = layer(x.transpose(1, 2).flatten(0, 1))
    return torch.unflatten(y, 0, (x.shape[0], x.shape[2])).transpose(1, 2)


def _normalize_and_pool(cells: Tensor) -> Tensor:
    # In float32: torch has no bfloat16 kernel of it on a CPU, and it sums squares.
    normalized = F.local_response_norm(cells.float(), 5, alpha=5e-4, beta=0.75, k=2.0)
    return _pool(normalized.to(cells.dtype))


def _pool(cells: Tensor) -> Tensor:
    """Takes the maximum of 3 x 3 cells with stride 2; sizes are rounded up, as Caffe does."""
    return F.max_pool2d(cells, 3, stride=2, ceil_mode=True)
