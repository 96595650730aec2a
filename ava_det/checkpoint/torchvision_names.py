"""torchvision's names of its video transformers, which ours are behind `backbone.`."""

from __future__ import annotations

from ava_det.checkpoint.translation import SKIP, Source, Table


def _mvit() -> Table:
    return [
        (r"(conv_proj|pos_encoding|blocks|norm)\.(.+)", r"backbone.\1.\2"),
        (r"head\.1\.(weight|bias)", r"head.projection.\1"),
    ]


def _swin3d() -> Table:
    return [
        (r".+\.relative_position_index", SKIP),  # computed, not learned
        (r"(patch_embed|features|norm)\.(.+)", r"backbone.\1.\2"),
        (r"head\.(weight|bias)", r"head.projection.\1"),
    ]


TORCHVISION_SOURCES = {
    "torchvision_mvit": Source(r"pos_encoding\.class_token", lambda _: _mvit()),
    # the image networks of that name begin their blocks with features.1
    "torchvision_swin3d": Source(r"features\.0\.0\.attn\.", lambda _: _swin3d()),
}
