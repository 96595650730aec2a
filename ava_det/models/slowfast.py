"""SlowFast (Feichtenhofer et al., ICCV 2019): two pathways at two frame rates.

Both see the same seconds of video.

    slow  [B, 3, T, H, W]                             fast  [B, 3, alpha*T, H, W]
      |                                                 |
     stem 1x7x7, C, /4  <------- lateral 0 ----------  stem 5x7x7, beta*C, /4
      |                                                 |
     res2 4C            <------- lateral 1 ----------  res2 4*beta*C          temporal kernel 3 in
      |                                                 |                     every Fast block;
     res3 8C, /8        <------- lateral 2 ----------  res3 8*beta*C, /8      in the Slow pathway
      |                                                 |                     only in res4 and res5
     res4 16C, /16      <------- lateral 3 ----------  res4 16*beta*C, /16
      | (non-local)                                     |
     res5 32C, /32 (or /16 dilated)                    res5 32*beta*C
      |                                                 |
      +--------------> [slow features, fast features] <-+

Only the Fast pathway sees all alpha*T frames, and it never strides in time (section 3.2); only
information flows from Fast to Slow (section 3.3). With one of the two pathways alone this file is
also the paper's Slow-only, Fast-only and I3D ("3D R-50") networks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.config.networks import BACKBONES, BLOCKS_PER_STAGE, LATERALS
from ava_det.models.backbone import Backbone, require_clip
from ava_det.models.batch_norm import BatchNorm3d
from ava_det.models.factorized_conv import FactorizedConv3d
from ava_det.models.non_local import NonLocalForm
from ava_det.models.resnet3d import Pathway


class LateralConnection(nn.Module):
    """Fuses Fast features into the Slow pathway (section 3.3).

    Fast features are [B, beta*C, alpha*T, h, w], Slow ones [B, C, T, h, w].

    Args:
        kind: `ttoc_sum` and `ttoc_concat` pack alpha frames into channels, `t_sample` takes every
            alpha-th frame, `t_conv` convolves `kernel` frames with stride alpha into 2*beta*C
            channels. All but the sum concatenate.
        fast_channels: beta*C.
        alpha: Frame rate of the Fast pathway over that of the Slow one.
        kernel: Frames of the convolution of `t_conv`.
        norm: Whether BN and ReLU follow the convolution of `t_conv`; MMAction2's AVA models have
            neither.
    """

    def __init__(
        self, kind: str, fast_channels: int, alpha: int, kernel: int, norm: bool = True
    ) -> None:
        super().__init__()
        self.kind = kind
        self.alpha = alpha
        widening = {"ttoc_sum": 0, "ttoc_concat": alpha, "t_sample": 1, "t_conv": 2}
        self.added_channels = widening[kind] * fast_channels
        if kind == "t_conv":
            self.conv = FactorizedConv3d(
                fast_channels,
                self.added_channels,
                (kernel, 1, 1),
                stride=(alpha, 1, 1),
                padding=(kernel // 2, 0, 0),
                bias=False,
            )
            self.bn = BatchNorm3d(self.added_channels) if norm else None

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        """Returns the Slow pathway's next input, [B, C + added_channels, T, h, w]."""
        if self.kind == "t_conv":
            added = self.conv(fast)
            if self.bn is not None:
                added = F.relu(self.bn(added), inplace=True)
            return torch.cat([slow, added], dim=1)
        if self.kind == "t_sample":
            return torch.cat([slow, fast[:, :, :: self.alpha]], dim=1)
        # Channels of one packed frame: all channels of its first Fast frame, then of its second,
        # and so on.
        packed = fast.unflatten(2, (-1, self.alpha)).movedim(3, 1).flatten(1, 2)
        return slow + packed if self.kind == "ttoc_sum" else torch.cat([slow, packed], dim=1)


class SlowFast(Backbone):
    """Computes the features of every network in the paper's tables of SlowFast.

    Args:
        backbone: One of `BACKBONES`.
        depth: One of `BLOCKS_PER_STAGE`.
        width: Channels C of the Slow (or only) stem.
        alpha: Frame rate of the Fast pathway over that of the Slow one.
        beta_inv: 1/beta. Fast widths are the Slow ones divided by it, each rounded.
        lateral: One of `LATERALS`.
        lateral_kernel: See `LateralConnection`.
        lateral_norm: See `LateralConnection`.
        res4_temporal_blocks: How many blocks of res4 keep their temporal kernel, in both pathways;
            None keeps all.
        res5_stride: See `Pathway`.
        res5_dilation: See `Pathway`.
        non_local_res4: See `Pathway`. Non-local blocks are part of the Slow (or only) pathway.
        non_local_pool: Pool of those blocks, see `NonLocalForm`.
        zero_init_last_gamma: Whether each residual branch starts as zero (Goyal et al. 2017).
        temporal_difference_init: Whether half of the temporal filters start with a mean of 0 over
            time, see `remove_temporal_means`.
        in_channels: Channels of a frame; of Slow-only and I3D another number than 3 for flow.

    Attributes:
        out_channels: Channels of each pathway's features.
        feature_stride: Clip pixels per feature cell.

    Raises:
        ValueError: A name or a combination does not exist.
    """

    def __init__(
        self,
        backbone: str = "slowfast",
        depth: int = 50,
        width: int = 64,
        alpha: int = 8,
        beta_inv: int = 8,
        lateral: str = "t_conv",
        lateral_kernel: int = 5,
        lateral_norm: bool = True,
        res4_temporal_blocks: int | None = None,
        res5_stride: int = 2,
        res5_dilation: int = 1,
        non_local_res4: Collection[int] = (),
        non_local_pool: tuple[int, int, int] = (2, 2, 2),
        zero_init_last_gamma: bool = True,
        temporal_difference_init: bool = False,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        _check_values(backbone, depth, width, alpha, beta_inv, lateral)
        self.alpha, self.in_channels = alpha, in_channels
        self.feature_stride = 16 * res5_stride

        def build_pathway(
            stream: str, stem_kernel: int, beta_inv: int, extra_channels: Sequence[int]
        ) -> Pathway:
            is_alone = backbone != "slowfast"
            return Pathway(
                width,
                stem_kernel,
                list_temporal_kernels(stream, depth, res4_temporal_blocks),
                beta_inv=beta_inv,
                extra_channels=extra_channels,
                res5_stride=res5_stride,
                res5_dilation=res5_dilation,
                non_local_res4=non_local_res4 if is_alone or stream == "slow" else (),
                non_local_form=NonLocalForm(pool=non_local_pool),
                time_pool_res2=stream == "i3d",
                in_channels=in_channels,
            )

        self.slow: Pathway | None = None
        self.fast: Pathway | None = None
        self.laterals = nn.ModuleList()
        laterals: list[LateralConnection] = []
        if backbone in ("slowfast", "fast_only"):
            self.fast = build_pathway("fast", 5, beta_inv, ())
        if self.fast is not None and backbone == "slowfast" and lateral != "none":
            channels = self.fast.stage_channels[:4]
            laterals = _build_laterals(lateral, channels, alpha, lateral_kernel, lateral_norm)
            self.laterals.extend(laterals)
        if backbone in ("slowfast", "slow_only"):
            self.slow = build_pathway("slow", 1, 1, [one.added_channels for one in laterals])
        if backbone == "i3d":
            self.slow = build_pathway("i3d", 5, 1, ())
        self.out_channels = [p.stage_channels[4] for p in (self.slow, self.fast) if p is not None]
        initialize(self, zero_init_last_gamma)
        if temporal_difference_init:
            remove_temporal_means(self)

    def forward(
        self, slow: Tensor | None = None, fast: Tensor | None = None, flow: Tensor | None = None
    ) -> list[Tensor]:
        """Computes the features of each pathway.

        Args:
            slow: Float [B, 3, T, H, W]; ignored where there is no Slow pathway.
            fast: Float [B, 3, alpha*T, H, W]; ignored where there is no Fast pathway.
            flow: Float [B, in_channels, T, H, W], in place of slow in Slow-only and I3D whose
                frames have another number of channels than 3.

        Returns:
            A tensor [B, out_channels[i], T_i, H/feature_stride, W/feature_stride] per pathway.

        Raises:
            ValueError: A clip is missing or has the wrong number of frames; the message names it.
        """
        if self.fast is None:
            assert self.slow is not None
            return [self.slow(self.choose_clip(slow, flow))]
        if self.slow is None:
            return [self.fast(require_clip(fast, "fast"))]
        slow = require_clip(slow, "slow")
        fast = require_clip(fast, "fast")
        if fast.shape[2] != self.alpha * slow.shape[2]:
            raise ValueError(
                f"the fast clip has {fast.shape[2]} frames, "
                f"expected alpha * T = {self.alpha} * {slow.shape[2]}"
            )
        for index in range(5):
            slow = self.slow.stage(index, slow)
            fast = self.fast.stage(index, fast)
            if index < len(self.laterals):
                slow = self.laterals[index](slow, fast)
        return [slow, fast]


def _check_values(
    backbone: str, depth: int, width: int, alpha: int, beta_inv: int, lateral: str
) -> None:
    for name, value, allowed in (
        ("backbone", backbone, BACKBONES),
        ("depth", depth, tuple(BLOCKS_PER_STAGE)),
        ("lateral", lateral, LATERALS),
    ):
        if value not in allowed:
            raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(str, allowed))}")
    if lateral == "ttoc_sum" and backbone == "slowfast" and (alpha != beta_inv or width % beta_inv):
        raise ValueError(
            "lateral ttoc_sum packs alpha frames of beta * C channels into C, "
            "so alpha must equal beta_inv; "
            f"got alpha {alpha} and beta_inv {beta_inv} at width {width}"
        )


def _build_laterals(
    kind: str, fast_channels: Sequence[int], alpha: int, kernel: int, norm: bool
) -> list[LateralConnection]:
    """Builds a lateral connection after the Fast stem and each of res2..res4."""
    return [LateralConnection(kind, channels, alpha, kernel, norm) for channels in fast_channels]


def list_temporal_kernels(
    stream: str, depth: int, res4_temporal_blocks: int | None
) -> list[list[int]]:
    """Lists the frames seen by each block's first convolution, for res2..res5.

    Sources: Table 1 of the SlowFast paper; for I3D, Wang et al. 2018.
    """
    pattern = {
        "slow": ((1,), (1,), (3,), (3,)),
        "fast": ((3,), (3,), (3,), (3,)),
        "i3d": ((3,), (3, 1), (3, 1), (1, 3)),
    }[stream]
    kernels = [
        [cycle[index % len(cycle)] for index in range(blocks)]
        for cycle, blocks in zip(pattern, BLOCKS_PER_STAGE[depth], strict=True)
    ]
    if res4_temporal_blocks is not None:
        kernels[2] = [
            k if index < res4_temporal_blocks else 1 for index, k in enumerate(kernels[2])
        ]
    return kernels


def initialize(backbone: nn.Module, zero_init_last_gamma: bool) -> None:
    """Draws He-normal weights for every unbiased convolution; non-local blocks draw their own.

    On the meta device there is nothing to draw, and torch takes milliseconds for each.
    """
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Conv3d) and module.bias is None and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm3d) and name.endswith(".c_bn") and zero_init_last_gamma:
            nn.init.zeros_(module.weight)


@torch.no_grad()
def remove_temporal_means(backbone: nn.Module) -> None:
    """Subtracts the mean over time from half of the temporal filters, in place.

    The first half of the filters of every temporal convolution then responds to changes only. A
    filter drawn at random responds to the sum of its frames far more than to their differences,
    because most of a video does not move, and a short training may end before it has found the
    differences. Without the mean over its frames a filter gives nothing where nothing changes. The
    other half stays as drawn and sees what does not move.
    """
    for module in backbone.modules():
        if isinstance(module, nn.Conv3d) and module.kernel_size[0] > 1:
            half = module.weight[: module.out_channels // 2]
            half -= half.mean(dim=2, keepdim=True)
