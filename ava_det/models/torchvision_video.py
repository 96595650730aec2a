"""torchvision's video transformers as backbones, for clips of any size.

    mvit_v2_s   conv 3x7x7/2,4,4 -> 16 blocks whose attention pools its keys -> LayerNorm
                (Li et al., CVPR 2022)            [B, 768, T/2, H/32, W/32]
    swin3d_*    patches 2x4x4 -> 4 stages of attention in windows of 8x7x7 -> LayerNorm
                (Liu et al., CVPR 2022)           [B, 768 or 1024, T/2, H/32, W/32]

The layers are torchvision's own modules, and so are the names of their weights. Only the way
through them is written here: torchvision's `forward` ends in class logits, and that of MViT takes
the size of its maps from the constructor. Their position tables are built for 224 x 224; every
block of MViT resizes its own to the maps that it gets, and windows of Swin are padded.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.video.mvit import MSBlockConfig, MViT
from torchvision.models.video.swin_transformer import SwinTransformer3d

from ava_det.models.backbone import SingleStreamBackbone

# MViTv2-S: blocks and heads of each stage, and how far its attention pools keys and values
_MVIT_STAGES = ((1, 1, 8), (2, 2, 4), (11, 4, 2), (2, 8, 1))
_MVIT_WIDTH = 96
# Video Swin: channels, blocks and heads of each stage
SWIN_SIZES: dict[str, tuple[int, tuple[int, ...], tuple[int, ...]]] = {
    "swin3d_t": (96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "swin3d_s": (96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "swin3d_b": (128, (2, 2, 18, 2), (4, 8, 16, 32)),
}


class MViTBlocks(nn.ModuleList):
    """Runs torchvision's MViT blocks one after another on maps of any size."""

    def forward(self, tokens: Tensor, size: tuple[int, int, int]) -> Tensor:
        """Computes the last block's map.

        Args:
            tokens: [B, 1 + T * H * W, C], the class token first.
            size: (T, H, W) of the patches.

        Returns:
            [B, T', H', W', C'], without the class token.
        """
        for block in self:
            tokens, size = block(tokens, size)
        return torch.unflatten(tokens[:, 1:], 1, size)


class MultiscaleTransformer(SingleStreamBackbone):
    """Computes the features of MViTv2-S.

    Args:
        width: Channels of the first stage; None for the 96 of the published network. Each later
            stage doubles them.
        drop_path: Share of residual branches that training skips in the last block, fewer before.
    """

    feature_stride = 32
    token_parts = ("pos_encoding", "blocks", "norm")

    def __init__(self, width: int | None = None, drop_path: float = 0.2) -> None:
        super().__init__()
        blocks = _describe_mvit_blocks(width or _MVIT_WIDTH)
        network = MViT(
            spatial_size=(224, 224),  # of the published position tables
            temporal_size=16,
            block_setting=blocks,
            residual_pool=True,
            residual_with_cls_embed=False,
            rel_pos_embed=True,
            proj_after_attn=True,
            stochastic_depth_prob=drop_path,
        )
        self.out_channels = [blocks[-1].output_channels]
        self.conv_proj = network.conv_proj
        self.pos_encoding = network.pos_encoding
        self.blocks = MViTBlocks(network.blocks)
        self.norm = network.norm

    def list_layers(self) -> list[list[nn.Module]]:
        """Lists the patches' convolution with the class token, and then each block."""
        return [[self.conv_proj, self.pos_encoding], *([block] for block in self.blocks)]

    def compute(self, clip: Tensor) -> list[Tensor]:
        """Computes the map [B, 8 * width, T/2, H/32, W/32], rounded up, of a clip."""
        patches = self.conv_proj(clip)
        size = (patches.shape[2], patches.shape[3], patches.shape[4])
        tokens = self.pos_encoding(patches.flatten(2).transpose(1, 2))
        return [self.norm(self.blocks(tokens, size)).permute(0, 4, 1, 2, 3)]


def _describe_mvit_blocks(width: int) -> list[MSBlockConfig]:
    """Describes MViTv2-S block by block, with heads of `width` channels."""
    blocks = []
    channels = width
    for stage, (count, heads, pool) in enumerate(_MVIT_STAGES):
        for index in range(count):
            is_halving = stage > 0 and index == 0
            blocks.append(
                MSBlockConfig(
                    num_heads=heads,
                    input_channels=channels,
                    output_channels=width * heads,
                    kernel_q=[3, 3, 3],
                    kernel_kv=[3, 3, 3],
                    stride_q=[1, 2, 2] if is_halving else [1, 1, 1],
                    stride_kv=[1, pool, pool],
                )
            )
            channels = width * heads
    return blocks


class ShiftedWindowTransformer(SingleStreamBackbone):
    """Computes the features of Video Swin.

    Args:
        size: swin3d_t, swin3d_s or swin3d_b.
        width: Channels of the first stage, a multiple of its heads; None as published. Each later
            stage doubles them.
        drop_path: Share of residual branches that training skips in the last block, fewer before.
    """

    feature_stride = 32
    token_parts = ("patch_embed", "features", "norm")

    def __init__(
        self, size: str = "swin3d_t", width: int | None = None, drop_path: float = 0.1
    ) -> None:
        super().__init__()
        published, depths, heads = SWIN_SIZES[size]
        network = SwinTransformer3d(
            patch_size=[2, 4, 4],
            embed_dim=width or published,
            depths=list(depths),
            num_heads=list(heads),
            window_size=[8, 7, 7],
            stochastic_depth_prob=drop_path,
            norm_layer=partial(nn.LayerNorm, eps=1e-5),
        )
        self.out_channels = [network.num_features]
        self.patch_embed = network.patch_embed
        self.features = network.features
        self.norm = network.norm
        _forget_computed_tables(self)

    def list_layers(self) -> list[list[nn.Module]]:
        """Lists the patches and then each block; a stage's merging belongs to its last block."""
        layers: list[list[nn.Module]] = [[self.patch_embed]]
        for part in self.features:
            if isinstance(part, nn.Sequential):
                layers += [[block] for block in part]
            else:
                layers[-1].append(part)
        return layers

    def compute(self, clip: Tensor) -> list[Tensor]:
        """Computes the map [B, 8 * width, T/2, H/32, W/32], rounded up, of a clip."""
        return [self.norm(self.features(self.patch_embed(clip))).permute(0, 4, 1, 2, 3)]


def _forget_computed_tables(module: nn.Module) -> None:
    """Leaves the tables of indices, which the constructor computes, out of the state dict."""
    for part in module.modules():
        table: Any = getattr(part, "relative_position_index", None)
        if isinstance(table, torch.Tensor):
            part.register_buffer("relative_position_index", table, persistent=False)
