"""How the projects around VideoMAE name the entries of one and the same video transformer.

Our names are

    backbone.patch_embed.{weight,bias}
    backbone.position_table
    backbone.blocks.{i}.{norm1,norm2}.{weight,bias}
    backbone.blocks.{i}.attn.{qkv.weight,q_bias,v_bias,proj.weight,proj.bias}
    backbone.blocks.{i}.mlp.{fc1,fc2}.{weight,bias}
    backbone.norm.{weight,bias}
    head.{norm,projection}.{weight,bias}
"""

from __future__ import annotations

from ava_det.checkpoint.translation import SKIP, Table

# Entries of the decoder that pretraining reconstructs pixels with.
_PRETRAINING = r"(?:decoder|encoder_to_decoder)\..+|mask_token"


def mmaction2_videomae() -> Table:
    """Returns the names of MMAction2's VideoMAE, detectors and classifiers."""
    return [
        (r"backbone\.patch_embed\.projection\.(weight|bias)", r"backbone.patch_embed.\1"),
        (r"backbone\.pos_embed", "backbone.position_table"),
        (r"backbone\.(blocks\.\d+\.mlp)\.layers\.0\.0\.(.+)", r"backbone.\1.fc1.\2"),
        (r"backbone\.(blocks\.\d+\.mlp)\.layers\.1\.(.+)", r"backbone.\1.fc2.\2"),
        (r"backbone\.fc_norm\.(.+)", r"head.norm.\1"),
    ]


def videomae() -> Table:
    """Returns the names of VideoMAE's own code.

    VideoMAEv2, VideoMAE-Action-Detection and Unmasked Teacher kept them.
    """
    return [
        (r"patch_embed\.proj\.(weight|bias)", r"backbone.patch_embed.\1"),
        (r"pos_embed", "backbone.position_table"),
        (r"(blocks\.\d+\..+|norm\..+)", r"backbone.\1"),
        (r"fc_norm\.(.+)", r"head.norm.\1"),
        (r"head\.(weight|bias)", r"head.projection.\1"),
        (_PRETRAINING, SKIP),
    ]


def hub_videomae() -> Table:
    """Returns the names of the hub's VideoMAE; its three parts of qkv are joined after loading."""
    parts = {"query": 0, "key": 1, "value": 2}
    layer = r"(?:videomae\.)?encoder\.layer\.(\d+)\."
    return [
        (
            r"(?:videomae\.)?embeddings\.patch_embeddings\.projection\.(weight|bias)",
            r"backbone.patch_embed.\1",
        ),
        (r"(?:videomae\.)?embeddings\.position_embeddings", "backbone.position_table"),
        (
            layer + r"attention\.attention\.(query|key|value)\.weight",
            lambda m: f"backbone.blocks.{m[1]}.attn.qkv.weight[{parts[m[2]]}]",
        ),
        (layer + r"attention\.attention\.([qv]_bias)", r"backbone.blocks.\1.attn.\2"),
        (layer + r"attention\.output\.dense\.(.+)", r"backbone.blocks.\1.attn.proj.\2"),
        (layer + r"layernorm_before\.(.+)", r"backbone.blocks.\1.norm1.\2"),
        (layer + r"layernorm_after\.(.+)", r"backbone.blocks.\1.norm2.\2"),
        (layer + r"intermediate\.dense\.(.+)", r"backbone.blocks.\1.mlp.fc1.\2"),
        (layer + r"output\.dense\.(.+)", r"backbone.blocks.\1.mlp.fc2.\2"),
        (r"(?:videomae\.)?layernorm\.(.+)", r"backbone.norm.\1"),
        (r"fc_norm\.(.+)", r"head.norm.\1"),
        (r"classifier\.(weight|bias)", r"head.projection.\1"),
        (_PRETRAINING, SKIP),
    ]
