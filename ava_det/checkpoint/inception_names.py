"""Names of I3D's and S3D's public weights.

In our names a block of Inception over time is

    backbone.conv_{1a,2b,2c}[.spatial|.temporal].{conv.weight,bn.X}
    backbone.mixed_{3b..5c}.{b0,b1a,b1b,b2a,b2b,b3b}[.spatial|.temporal].{conv.weight,bn.X}
    backbone.gate_2c.{weight,bias}, backbone.mixed_{3b..5c}.gates.{0..3}.{weight,bias}

where S3D's b1b, b2b, conv_2c and most of its stems have the part in brackets.
"""

from __future__ import annotations

import re

from ava_det.checkpoint.translation import SKIP, Source, Table

# the number of a block in networks that are one list of layers, pools included
_NUMBERED = {
    "0": "conv_1a",
    "2": "conv_2b",
    "3": "conv_2c",
    **{str(5 + index): f"mixed_3{letter}" for index, letter in enumerate("bc")},
    **{str(8 + index): f"mixed_4{letter}" for index, letter in enumerate("bcdef")},
    **{str(14 + index): f"mixed_5{letter}" for index, letter in enumerate("bc")},
}
_MIXED = [name for name in _NUMBERED.values() if name.startswith("mixed")]
# a unit of a Mixed block by its branch and its place there
_UNITS = {"0": "b0", "0.0": "b0", "1.0": "b1a", "1.1": "b1b", "2.0": "b2a", "2.1": "b2b"}
_UNITS["3.1"] = "b3b"


def _piergiaj(_: list[str]) -> Table:
    parts = {"conv3d": "conv", "bn": "bn"}
    return [
        (
            r"Conv3d_(1a|2[bc])_\dx\d\.(conv3d|bn)\.(.+)",
            lambda m: f"backbone.conv_{m[1]}.{parts[m[2]]}.{m[3]}",
        ),
        (
            r"Mixed_(\d[b-f])\.(b0|b1a|b1b|b2a|b2b|b3b)\.(conv3d|bn)\.(.+)",
            lambda m: f"backbone.mixed_{m[1]}.{m[2]}.{parts[m[3]]}.{m[4]}",
        ),
        (r"logits\.conv3d\.(weight|bias)", r"head.projection.\1"),
    ]


def _hassony2(_: list[str]) -> Table:
    parts = {"conv3d": "conv", "batch3d": "bn"}
    return [
        (
            r"conv3d_(1a|2[bc])_\dx\d\.(conv3d|batch3d)\.(.+)",
            lambda m: f"backbone.conv_{m[1]}.{parts[m[2]]}.{m[3]}",
        ),
        (
            r"mixed_(\d[b-f])\.branch_(0|[123]\.[01])\.(conv3d|batch3d)\.(.+)",
            lambda m: f"backbone.mixed_{m[1]}.{_UNITS[m[2]]}.{parts[m[3]]}.{m[4]}",
        ),
        (r"conv3d_0c_1x1\.conv3d\.(weight|bias)", r"head.projection.\1"),
    ]


def _kylemin(_: list[str]) -> Table:
    def layer(match: re.Match[str]) -> str:
        number, branch, kind, axis, rest = match.groups()
        unit = f".{_UNITS[branch]}" if branch else ""
        part = {None: "", "s": ".spatial", "t": ".temporal"}[axis]
        return f"backbone.{_NUMBERED[number]}{unit}{part}.{kind}.{rest}"

    return [
        (r"base\.(\d+)(?:\.branch([0-3]\.[01]))?\.(conv|bn)(?:_([st]))?\.(.+)", layer),
        (r"fc\.0\.(weight|bias)", r"head.projection.\1"),
    ]


def _torchvision(_: list[str]) -> Table:
    def layer(match: re.Match[str]) -> str:
        number, branch, axis, kind, rest = match.groups()
        unit = f".{_UNITS[branch]}" if branch else ""
        part = {None: "", "0": ".spatial", "1": ".temporal"}[axis]
        return f"backbone.{_NUMBERED[number]}{unit}{part}.{'conv' if kind == '0' else 'bn'}.{rest}"

    return [
        (r"features\.(\d+)\.branch(0|[123]\.[01])(?:\.([01]))?\.([01])\.(\w+)", layer),
        (r"features\.(\d+)()(?:\.([01]))?\.([01])\.(\w+)", layer),
        (r"classifier\.1\.(weight|bias)", r"head.projection.\1"),
    ]


def _googlenet(_: list[str]) -> Table:
    """Names of torchvision's GoogLeNet for images, Inception-v1 with I3D's 3x3 in its branch 3."""
    blocks = dict(zip(("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"), _MIXED, strict=True))
    units = {"1": "b0", "2.0": "b1a", "2.1": "b1b", "3.0": "b2a", "3.1": "b2b", "4.1": "b3b"}
    stem = {"1": "conv_1a", "2": "conv_2b", "3": "conv_2c"}
    return [
        (r"aux[12]\..+", SKIP),  # classifiers that help the training
        (r"conv([123])\.(.+)", lambda m: f"backbone.{stem[m[1]]}.{m[2]}"),
        (
            r"inception(\d[a-e])\.branch(1|[234]\.[01])\.(.+)",
            lambda m: f"backbone.{blocks[m[1]]}.{units[m[2]]}.{m[3]}",
        ),
        (r"fc\.(weight|bias)", r"head.projection.\1"),
    ]


def _antoine77340(names: list[str]) -> Table:
    def layer(match: re.Match[str]) -> str:
        block, branch, kind, number, rest = match.groups()
        unit = f".{branch.replace('_', '')}" if branch else ""
        name = block if block.startswith("mixed") else block.replace("conv1", "conv_1a")
        owner = f"backbone.{name}{unit}"
        separable = f"{match[0][: match.start(3)]}conv2.weight" in names
        part = {"1": ".spatial", "2": ".temporal"}[number] if separable else ""
        return f"{owner}{part}.{kind}.{rest}"

    return [
        (r"text_module\..+", SKIP),
        (r"(conv1|conv_2[bc])()\.(conv|bn)([12])\.(.+)", layer),
        (r"(mixed_\d[b-f])\.conv_(b\d(?:_[ab])?)\.(conv|bn)([12])\.(.+)", layer),
        (r"gating\.fc\.(weight|bias)", r"backbone.gate_2c.\1"),
        (r"(mixed_\d[b-f])\.gating_b(\d)\.fc\.(weight|bias)", r"backbone.\1.gates.\2.\3"),
        (r"fc\.(weight|bias)", r"head.projection.\1"),
    ]


INCEPTION_SOURCES: dict[str, Source] = {
    "piergiaj": Source(r"Conv3d_1a_7x7\.conv3d\.", _piergiaj),
    "hassony2": Source(r"conv3d_1a_7x7\.conv3d\.", _hassony2),
    "kylemin": Source(r"base\.0\.conv_s\.", _kylemin),
    "torchvision_s3d": Source(r"features\.0\.0\.0\.weight", _torchvision),
    "torchvision_googlenet": Source(r"inception3a\.branch1\.conv\.weight", _googlenet),
    "antoine77340": Source(r"conv1\.conv1\.weight", _antoine77340),
}
