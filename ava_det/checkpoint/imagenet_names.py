"""Names of ImageNet's ResNets, as torchvision gives them, and of a two-stream network with them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ava_det.checkpoint.translation import Source, Table

_STEM = "backbone.slow.stem.conv.weight"
_CONVS = {"1": "a", "2": "b", "3": "c"}
_BLOCK = r"layer([1-4])\.(\d+)\."


def _make_table(_names: list[str]) -> Table:
    def block(match: re.Match[str], part: str) -> str:
        return f"backbone.slow.res{int(match[1]) + 1}.blocks.{match[2]}.{part}"

    return [
        (r"conv1(?:_custom)?\.weight", _STEM),
        (r"bn1\.(.+)", r"backbone.slow.stem.bn.\1"),
        (_BLOCK + r"conv([123])\.weight", lambda m: block(m, f"{_CONVS[m[3]]}.weight")),
        (_BLOCK + r"bn([123])\.(.+)", lambda m: block(m, f"{_CONVS[m[3]]}_bn.{m[4]}")),
        (_BLOCK + r"downsample\.0\.weight", lambda m: block(m, "shortcut.weight")),
        (_BLOCK + r"downsample\.1\.(.+)", lambda m: block(m, f"shortcut_bn.{m[3]}")),
        (r"fc(?:_custom)?\.(weight|bias)", r"head.projection.\1"),
    ]


def _put_fields_in_order(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Moves the first of a stack's fields from the last place to the first.

    jeffreyyihuang's loader (dataloader/motion_dataloader.py) begins with channels -2 and -1.
    """
    ours = dict(tensors)
    if _STEM in ours and ours[_STEM].shape[1] != 3:
        ours[_STEM] = ours[_STEM].roll(2, 1)
    return ours


IMAGENET_SOURCES: dict[str, Source] = {
    "jeffreyyihuang": Source(r"conv1_custom\.weight", _make_table, _put_fields_in_order),
    "imagenet": Source(r"layer1\.0\.conv1\.weight", _make_table),
}
