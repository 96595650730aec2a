"""A video ViT as MMAction2 runs it: attention that holds its N x N scores, resized table each time.

It is written from the published network's description, computes with the weights of ours, and is
only what ours is compared with.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import roi_align

from ava_det.models.action_detector import ActionDetector
from ava_det.models.vit import PATCH, TABLE_SIDE, Attention, Block, VideoTransformer


def run_eager(model: ActionDetector, slow: Tensor, rois: Tensor) -> Tensor:
    """Computes the logits of the persons in clips.

    Args:
        model: A `VideoTransformer` with a RoI head of aligned cells, mean over time.
        slow: Float [B, 3, T, H, W].
        rois: Float [K, 5], the clip's index and xyxy in pixels.

    Returns:
        Logits [K, num_classes].
    """
    backbone = cast(VideoTransformer, model.backbone)
    head = model.head
    patches = backbone.patch_embed(slow)
    frames, rows, columns = patches.shape[2:]
    table = backbone.position_table.reshape(frames, TABLE_SIDE, TABLE_SIDE, -1)
    places = F.interpolate(table.permute(0, 3, 1, 2), (rows, columns), mode="bicubic")
    tokens = patches.flatten(2).transpose(1, 2)
    tokens = tokens + places.permute(0, 2, 3, 1).reshape(1, frames * rows * columns, -1)
    for block in backbone.blocks:
        tokens = _compute_block(cast(Block, block), tokens)
    features = backbone.norm(tokens).transpose(1, 2).reshape(len(slow), -1, frames, rows, columns)
    cells = roi_align(features.mean(dim=2), rois, head.resolution, 1 / PATCH, 0, aligned=True)
    logits: Tensor = head.projection(cells.amax(dim=(2, 3)))
    return logits


def _compute_block(block: Block, tokens: Tensor) -> Tensor:
    tokens = tokens + _attend(block.attn, block.norm1(tokens))
    hidden = F.gelu(block.mlp.fc1(block.norm2(tokens)))
    added: Tensor = block.mlp.fc2(hidden)
    return tokens + added


def _attend(attention: Attention, tokens: Tensor) -> Tensor:
    batch, count, width = tokens.shape
    bias = torch.cat((attention.q_bias, torch.zeros_like(attention.v_bias), attention.v_bias))
    qkv = F.linear(tokens, attention.qkv.weight, bias)
    qkv = qkv.reshape(batch, count, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = qkv[0], qkv[1], qkv[2]
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    attended = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(batch, count, width)
    output: Tensor = attention.proj(attended)
    return output
