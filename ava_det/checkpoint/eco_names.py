"""Names of ECO's authors, in PyTorch: one flat name a layer, `inception_3a_3x3_reduce`.

They stand behind `module.base_model.`, with the classifier beside them as `module.new_fc`, or
inside them as `fc_final` where training had no dropout before it.
"""

from __future__ import annotations

import re

from ava_det.checkpoint.translation import Source, Table

_LAYERS = {
    "1x1": "one",
    "3x3_reduce": "three.0",
    "3x3": "three.1",
    "double_3x3_reduce": "twice.0",
    "double_3x3_1": "twice.1",
    "double_3x3_2": "twice.2",
    "pool_proj": "projection",
}
# The block that normalizes a block's sum, at its beginning.
_NEXT = {"3a": "res3b", "3b": "res4a", "4a": "res4b", "4b": "res5a", "5a": "res5b", "5b": "last"}


def _unit(suffix: str | None) -> str:
    return "bn" if suffix else "conv"


def _inception(match: re.Match[str]) -> str:
    block, layer, norm, leaf = match.groups()
    part = _LAYERS[layer]
    network = "frames" if block in ("3a", "3b") else "rest"
    place = f"{network}.inception_{block}.{part}"
    if block in ("3c", "4e"):  # blocks without a 1x1, whose first 3x3 of two stands alone
        inner = "stack" if block == "3c" else "rest.inner_4e"
        first = {"twice.0": f"{inner}.0", "twice.1": f"{inner}.1"}
        place = first.get(part, place.replace("twice.2", "twice"))
    return f"backbone.{place}.{_unit(norm)}.{leaf}"


def _make_table(_names: list[str]) -> Table:
    stem = {"conv1_7x7_s2": "conv1", "conv2_3x3_reduce": "conv2_reduce", "conv2_3x3": "conv2"}
    layers = "|".join(sorted(_LAYERS, key=len, reverse=True))
    return [
        (
            rf"({'|'.join(stem)})(_bn)?\.(.+)",
            lambda m: f"backbone.frames.{stem[m[1]]}.{_unit(m[2])}.{m[3]}",
        ),
        (rf"inception_(\d[a-e])_({layers})(_bn)?\.(.+)", _inception),
        (r"res3a_2\.(.+)", r"backbone.volume.res3a.\1"),
        (r"res([3-5][ab])_bn\.(.+)", lambda m: f"backbone.volume.{_NEXT[m[1]]}.norm.{m[2]}"),
        (
            r"(res[3-5][ab])_1(_bn)?\.(.+)",
            lambda m: f"backbone.volume.{m[1]}.a.{_unit(m[2])}.{m[3]}",
        ),
        (r"(res[3-5][ab])_2\.(.+)", r"backbone.volume.\1.b.\2"),
        (r"(res[3-5][ab])_down\.(.+)", r"backbone.volume.\1.shortcut.\2"),
        (r"(?:fc_final|new_fc)\.(weight|bias)", r"head.projection.\1"),
    ]


ECO = Source(r"inception_3c_double_3x3_1\.", _make_table)
