"""Names of R(2+1)D's public weights.

In our names a network is

    backbone.stem_{spatial,temporal}.{conv.weight,bn.X}
    backbone.layer{1..4}.{i}.{a,b}_{spatial,temporal}.{conv.weight,bn.X}
    backbone.layer{1..4}.{i}.shortcut[.spatial|.temporal].{conv.weight,bn.X}

where MMAction2's shortcuts have the part in brackets.
"""

from __future__ import annotations

import re

from ava_det.checkpoint.translation import SKIP, Source, Table

_HALVES = {"conv1": "a", "conv2": "b"}
# blocks of layer1..layer4 by the number of blocks, which Caffe2 counts through
_BLOCKS = {4: (1, 1, 1, 1), 8: (2, 2, 2, 2), 16: (3, 4, 6, 3)}


def _torchvision(_: list[str]) -> Table:
    stem = {"0": "spatial.conv", "1": "spatial.bn", "3": "temporal.conv", "4": "temporal.bn"}
    block = {"0.0": "spatial.conv", "0.1": "spatial.bn", "0.3": "temporal.conv", "1": "temporal.bn"}
    return [
        (r"stem\.([0134])\.(.+)", lambda m: f"backbone.stem_{stem[m[1]]}.{m[2]}"),
        (
            r"(layer\d\.\d+)\.(conv[12])\.(0\.[013]|1)\.(\w+)",
            lambda m: f"backbone.{m[1]}.{_HALVES[m[2]]}_{block[m[3]]}.{m[4]}",
        ),
        (r"(layer\d\.\d+)\.downsample\.0\.(\w+)", r"backbone.\1.shortcut.conv.\2"),
        (r"(layer\d\.\d+)\.downsample\.1\.(\w+)", r"backbone.\1.shortcut.bn.\2"),
        (r"fc\.(weight|bias)", r"head.projection.\1"),
    ]


def _mmaction2(_: list[str]) -> Table:
    inner = {"conv_s": "spatial.conv", "bn_s": "spatial.bn", "conv_t": "temporal.conv"}

    def unit(match: re.Match[str]) -> str:
        layer, half, part, rest = match.groups()
        name = "temporal.bn" if part == "bn" else inner[part.removeprefix("conv.")]
        if half == "downsample":
            return f"backbone.{layer}.shortcut.{name}.{rest}"
        owner = f"{layer}.{_HALVES[half]}" if layer else "stem"
        return f"backbone.{owner}_{name}.{rest}"

    return [
        (
            r"backbone\.(?:(layer\d\.\d+)\.)?(conv[12]|downsample)"
            r"\.(conv\.\w+?_[st]|bn)\.(\w+)",
            unit,
        ),
        (r"cls_head\.fc_cls\.(weight|bias)", r"head.projection.\1"),
    ]


def _caffe2(names: list[str]) -> Table:
    leaves = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}
    numbers = [int(m[1]) for name in names if (m := re.match(r"comp_(\d+)_conv_1_w", name))]
    places: list[str] = []
    for layer, blocks in enumerate(_BLOCKS.get(1 + max(numbers, default=-1), ()), start=1):
        places += [f"layer{layer}.{index}" for index in range(blocks)]

    def place(number: str) -> str:
        return places[int(number)] if int(number) < len(places) else f"comp_{number}"

    def conv(match: re.Match[str]) -> str:
        middle = "spatial" if match[3] else "temporal"
        return f"backbone.{place(match[1])}.{'ab'[int(match[2]) - 1]}_{middle}.conv.weight"

    def norm(match: re.Match[str]) -> str:
        middle = "spatial" if match[3] else "temporal"
        half = "ab"[int(match[2]) - 1]
        return f"backbone.{place(match[1])}.{half}_{middle}.bn.{leaves[match[4]]}"

    return [
        (r".*(momentum|model_iter).*|(.*_)?lr(_.*)?", SKIP),
        (r"conv1_middle_w", "backbone.stem_spatial.conv.weight"),
        (
            r"conv1_middle_spatbn_relu_(s|b|rm|riv)",
            lambda m: f"backbone.stem_spatial.bn.{leaves[m[1]]}",
        ),
        (r"conv1_w", "backbone.stem_temporal.conv.weight"),
        (r"conv1_spatbn_relu_(s|b|rm|riv)", lambda m: f"backbone.stem_temporal.bn.{leaves[m[1]]}"),
        (r"comp_(\d+)_conv_([12])(_middle)?_w", conv),
        (r"comp_(\d+)_spatbn_([12])(_middle)?_(s|b|rm|riv)", norm),
        (
            r"shortcut_projection_(\d+)_w",
            lambda m: f"backbone.{place(m[1])}.shortcut.conv.weight",
        ),
        (
            r"shortcut_projection_(\d+)_spatbn_(s|b|rm|riv)",
            lambda m: f"backbone.{place(m[1])}.shortcut.bn.{leaves[m[2]]}",
        ),
        (r"last_out_L\d+_w", "head.projection.weight"),
        (r"last_out_L\d+_b", "head.projection.bias"),
    ]


R2PLUS1D_SOURCES: dict[str, Source] = {
    "torchvision_r2plus1d": Source(r"layer1\.0\.conv1\.0\.3\.weight", _torchvision),
    "mmaction2_r2plus1d": Source(r"backbone\.conv1\.conv\.conv_s\.", _mmaction2),
    "vmz": Source(r"conv1_middle_w", _caffe2),
}
