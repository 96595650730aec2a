"""Translates the parameter names of other projects to ours, with one table for each project.

A table is a list of (pattern, replacement); the first pattern that matches the whole name wins, and
a name that none matches stays as it is, so that it is reported as unexpected. BN entries end in X =
weight, bias, running_mean, running_var or num_batches_tracked; in our names a network is

    backbone.{slow,fast}.stem.{conv.weight,bn.X}
    backbone.{slow,fast}.res{2..5}.blocks.{i}.{a,b,c,shortcut}.weight, .{a,b,c,shortcut}_bn.X
    backbone.{slow,fast}.res4.non_local.{i}.{theta,phi,g,out}.{weight,bias}, .bn.X
    backbone.laterals.{0..3}.{conv.weight,bn.X}
    head.projection.{weight,bias}

and one of two streams has two of these, see two_streams.py. Our Faster R-CNN keeps Detectron2's
names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from ava_det.checkpoint.artnet_names import ARTNET
from ava_det.checkpoint.eco_names import ECO
from ava_det.checkpoint.imagenet_names import IMAGENET_SOURCES
from ava_det.checkpoint.inception_names import INCEPTION_SOURCES
from ava_det.checkpoint.r2plus1d_names import R2PLUS1D_SOURCES
from ava_det.checkpoint.tensorflow_names import DEEPMIND
from ava_det.checkpoint.torchvision_names import TORCHVISION_SOURCES
from ava_det.checkpoint.translation import SKIP, Source, Table
from ava_det.checkpoint.two_streams import MARK as TWO_STREAM_MARK
from ava_det.checkpoint.vit_names import hub_videomae, mmaction2_videomae, videomae


def detect_source(names: Iterable[str]) -> str:
    """Detects which of `SOURCES` wrote a state dict; returns "ava_det" if none is recognized."""
    all_names = list(names)
    for source, entry in SOURCES.items():
        if any(re.match(entry.mark, name) for name in all_names):
            return source
    return "ava_det"


def find_prefix(names: Iterable[str]) -> tuple[str, str]:
    """Finds what stands before a network's names in a larger module, such as "model.".

    Args:
        names: Of all entries of the module. Of several networks the first is taken.

    Returns:
        The prefix, and which of `SOURCES` wrote the names; "" and "ava_det" if no names are
        recognized behind any prefix.
    """
    all_names = list(names)
    for name in all_names:
        if match := re.match(rf"((?:[\w-]+\.)*?)(?:{TWO_STREAM_MARK})", name):
            return match[1], "ava_det"
    for before in ("", r"(?:[\w-]+\.)+?"):
        for source, entry in SOURCES.items():
            for name in all_names:
                if match := re.match(f"({before})(?:{entry.mark})", name):
                    return match[1], source
    # Our other networks have our head in common; so have networks of PySlowFast, found above.
    for name in all_names:
        if match := re.match(r"((?:[\w-]+\.)*?)head\.projection\.", name):
            return match[1], "ava_det"
    return "", "ava_det"


def rename(names: Iterable[str], source: str) -> dict[str, str]:
    """Translates names to ours; those that carry no weights (momentum and such) are left out.

    Args:
        names: Of the entries.
        source: Who wrote them, one of `SOURCES`.

    Returns:
        Name in the file -> our name.

    Raises:
        ValueError: Two entries get the same name.
    """
    all_names = list(names)
    table = SOURCES[source].make_table(all_names)
    renamed: dict[str, str] = {}
    claimed = set()
    for name in all_names:
        ours = _rename(name, table)
        if ours == SKIP:
            continue
        if ours in claimed:
            raise ValueError(f"two entries of the file stand for {ours}, the second is {name}")
        claimed.add(ours)
        renamed[name] = ours
    return renamed


def translate(tensors: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Returns the tensors under our names, as `rename` gives them."""
    named = {ours: tensors[name] for name, ours in rename(tensors, source).items()}
    return SOURCES[source].convert(named)


def _rename(name: str, table: Table) -> str:
    for pattern, replacement in table:
        match = re.fullmatch(pattern, name)
        if match:
            return replacement(match) if callable(replacement) else match.expand(replacement)
    return name


def _pathway(digit: str) -> str:
    return "backbone.fast" if digit == "1" else "backbone.slow"


def _pyslowfast() -> Table:
    def block(match: re.Match[str]) -> str:
        stage, pathway, index, rest = match.groups()
        rest = rest.removeprefix("branch2.").replace("branch1", "shortcut")
        return f"{_pathway(pathway)}.res{stage}.blocks.{index}.{rest}"

    return [
        (r"s1\.pathway([01])_stem\.(.+)", lambda m: f"{_pathway(m[1])}.stem.{m[2]}"),
        (r"s([2-5])\.pathway([01])_res(\d+)\.(.+)", block),
        (
            r"s([2-5])\.pathway([01])_nonlocal(\d+)\.(?:conv_)?(.+)",
            lambda m: f"{_pathway(m[2])}.res{m[1]}.non_local.{m[3]}.{m[4]}",
        ),
        (
            r"s([1-4])_fuse\.(?:conv_f2s|(bn))\.(.+)",
            lambda m: f"{_lateral(m[1], -1)}.{m[2] or 'conv'}.{m[3]}",
        ),
    ]


def _lateral(number: str, shift: int) -> str:
    return f"backbone.laterals.{int(number) + shift}"


def _caffe2() -> Table:
    bn = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}
    weights = {"w": "weight", "b": "bias"}
    parts = {"branch1": "shortcut", "branch2a": "a", "branch2b": "b", "branch2c": "c"}

    def pathway(prefix: str | None) -> str:
        return _pathway("1" if prefix else "0")

    return [
        (r".*(momentum|model_iter).*|(.*_)?lr(_.*)?", SKIP),
        (r"(t_)?conv1_w", lambda m: f"{pathway(m[1])}.stem.conv.weight"),
        (r"(t_)?res_conv1_bn_(s|b|rm|riv)", lambda m: f"{pathway(m[1])}.stem.bn.{bn[m[2]]}"),
        (
            r"(t_)?res(\d)_(\d+)_(branch1|branch2[abc])_w",
            lambda m: f"{pathway(m[1])}.res{m[2]}.blocks.{m[3]}.{parts[m[4]]}.weight",
        ),
        (
            r"(t_)?res(\d)_(\d+)_(branch1|branch2[abc])_bn_(s|b|rm|riv)",
            lambda m: f"{pathway(m[1])}.res{m[2]}.blocks.{m[3]}.{parts[m[4]]}_bn.{bn[m[5]]}",
        ),
        (r"t_pool1_subsample_w", "backbone.laterals.0.conv.weight"),
        (r"t_pool1_subsample_bn_(s|b|rm|riv)", lambda m: f"backbone.laterals.0.bn.{bn[m[1]]}"),
        (
            r"t_res([2-4])_\d+_branch2c_bn_subsample_w",
            lambda m: f"{_lateral(m[1], -1)}.conv.weight",
        ),
        (
            r"t_res([2-4])_\d+_branch2c_bn_subsample_bn_(s|b|rm|riv)",
            lambda m: f"{_lateral(m[1], -1)}.bn.{bn[m[2]]}",
        ),
        (
            r"(t_)?nonlocal_conv(\d)_(\d+)_(theta|phi|g|out)_(w|b)",
            lambda m: f"{pathway(m[1])}.res{m[2]}.non_local.{m[3]}.{m[4]}.{weights[m[5]]}",
        ),
        (
            r"(t_)?nonlocal_conv(\d)_(\d+)_bn_(s|b|rm|riv)",
            lambda m: f"{pathway(m[1])}.res{m[2]}.non_local.{m[3]}.bn.{bn[m[4]]}",
        ),
        (r"pred_(w|b)", lambda m: f"head.projection.{weights[m[1]]}"),
    ]


def _pytorchvideo(names: list[str]) -> Table:
    # Networks with a pooling stage (I3D) or without one number their stages differently: count
    # those with blocks.
    numbers = sorted(
        {
            int(m[1])
            for name in names
            if (m := re.match(r"(?:model\.)?blocks\.(\d+)\..*res_blocks\.", name))
        }
    )
    stages = {str(number): f"res{index + 2}" for index, number in enumerate(numbers)}

    def block(match: re.Match[str]) -> str:
        number, pathway, index, rest = match.groups()
        rest = re.sub(
            r"^branch1_(conv|norm)\.",
            lambda m: "shortcut." if m[1] == "conv" else "shortcut_bn.",
            rest,
        )
        rest = re.sub(
            r"^branch2\.(conv|norm)_([abc])\.",
            lambda m: f"{m[2]}{'' if m[1] == 'conv' else '_bn'}.",
            rest,
        )
        return f"{_pathway(pathway or '0')}.{stages[number]}.blocks.{index}.{rest}"

    def fusion(match: re.Match[str]) -> str:
        part = "bn" if match[2] == "norm" else "conv"
        return f"backbone.laterals.{match[1]}.{part}.{match[3]}"

    def stem(match: re.Match[str]) -> str:
        return (
            f"{_pathway(match[1] or '0')}.stem.{'bn' if match[2] == 'norm' else 'conv'}.{match[3]}"
        )

    return [
        (r"(?:model\.)?blocks\.(\d+)\.multipathway_fusion\.(conv_fast_to_slow|norm)\.(.+)", fusion),
        (r"(?:model\.)?blocks\.0\.(?:multipathway_blocks\.([01])\.)?(conv|norm)\.(.+)", stem),
        (
            r"(?:model\.)?blocks\.(\d+)\.(?:multipathway_blocks\.([01])\.)?res_blocks\.(\d+)\.(.+)",
            block,
        ),
        (r"(?:(?:model\.)?blocks\.\d+|detection_head)\.proj\.(weight|bias)", r"head.projection.\1"),
    ]


def _mmaction2() -> Table:
    parts = {"conv1": "a", "conv2": "b", "conv3": "c", "downsample": "shortcut"}
    attention = {
        "st_feat_conv": "theta",
        "lt_feat_conv": "phi",
        "global_conv": "g",
        "ln": "norm",
        "out_conv": "out",
    }

    def pathway(prefix: str | None) -> str:
        return _pathway("1" if prefix == "fast_path." else "0")

    def block(match: re.Match[str]) -> str:
        prefix, layer, index, part, kind, rest = match.groups()
        name = parts[part] + ("_bn" if kind == "bn" else "")
        return f"{pathway(prefix)}.res{int(layer) + 1}.blocks.{index}.{name}.{rest}"

    def relation(match: re.Match[str]) -> str:
        part = "relate" if match[1] == "1" else "refine"
        return f"head.{part}{'_bn' if match[2] == 'bn' else ''}.{match[3]}"

    return [
        *mmaction2_videomae(),
        (
            r"backbone\.(slow_path\.|fast_path\.)?conv1\.(conv|bn)\.(.+)",
            lambda m: f"{pathway(m[1])}.stem.{m[2]}.{m[3]}",
        ),
        (r"backbone\.slow_path\.conv1_lateral\.(conv|bn)\.(.+)", r"backbone.laterals.0.\1.\2"),
        (
            r"backbone\.slow_path\.layer([1-3])_lateral\.(conv|bn)\.(.+)",
            r"backbone.laterals.\1.\2.\3",
        ),
        (
            r"backbone\.(slow_path\.|fast_path\.)?layer([1-4])\.(\d+)\."
            r"(conv[123]|downsample)\.(conv|bn)\.(.+)",
            block,
        ),
        (
            r"backbone\.(?:slow_path\.)?layer([1-4])\.(\d+)\.non_local_block\."
            r"(theta|phi|g|conv_out)\.(?:0\.)?(conv|bn)\.(.+)",
            _mmaction2_non_local,
        ),
        (r"(?:roi_head\.bbox_head|cls_head)\.fc_cls\.(weight|bias)", r"head.projection.\1"),
        (r"roi_head\.bbox_head\.fc_cls\.0\.(weight|bias)", r"head.hidden.\1"),
        (r"roi_head\.shared_head\.conv([12])\.(conv|bn)\.(.+)", relation),
        (r"roi_head\.bbox_head\.fc_cls\.2\.(weight|bias)", r"head.projection.\1"),
        (
            r"roi_head\.shared_head\.fbo\.(st|lt)_feat_conv\.(weight|bias)",
            lambda m: f"head.fusion.{'short' if m[1] == 'st' else 'long'}.{m[2]}",
        ),
        (
            r"roi_head\.shared_head\.fbo\.non_local_layer_(\d+)\."
            r"(st_feat_conv|lt_feat_conv|global_conv|ln|out_conv)\.(?:conv\.)?(weight|bias)",
            lambda m: f"head.fusion.layers.{int(m[1]) - 1}.{attention[m[2]]}.{m[3]}",
        ),
    ]


def _mmaction2_non_local(match: re.Match[str]) -> str:
    layer, index, part, kind, rest = match.groups()
    name = "bn" if kind == "bn" else part.replace("conv_out", "out")
    return f"backbone.slow.res{int(layer) + 1}.non_local.{index}.{name}.{rest}"


def _detectron2() -> Table:
    # constants of the configuration that some files carry along
    return [(r"proposal_generator\.anchor_generator\..+|pixel_(mean|std)", SKIP)]


# The first whose mark is found counts.
SOURCES: dict[str, Source] = {
    "deepmind": DEEPMIND,
    **INCEPTION_SOURCES,
    **R2PLUS1D_SOURCES,
    "pyslowfast": Source(r"s\d\.pathway\d_", lambda _: _pyslowfast()),
    "caffe2": Source(r"(t_)?(conv1_w|res\d_\d+_branch)", lambda _: _caffe2()),
    "pytorchvideo": Source(
        r"(model\.)?blocks\.0\.(multipathway_blocks|conv|norm)\.", _pytorchvideo
    ),
    "eco": ECO,
    "artnet": ARTNET,
    "mmaction2": Source(
        r"backbone\.((slow|fast)_path\.)?conv1\.conv\.|backbone\.patch_embed\.projection\.",
        lambda _: _mmaction2(),
    ),
    **IMAGENET_SOURCES,
    **TORCHVISION_SOURCES,
    "ava_det": Source(r"backbone\.(slow|fast)\.|backbone\.patch_embed\.weight", lambda _: []),
    # behind ours and MMAction2's, which have the same names with a prefix
    "videomae": Source(r"blocks\.\d+\.attn\.q_bias", lambda _: videomae()),
    "hub": Source(
        r"(videomae\.)?embeddings\.patch_embeddings\.projection\.", lambda _: hub_videomae()
    ),
    "detectron2": Source(
        r"backbone\.(bottom_up\.|fpn_|stem\.|res\d\.)|proposal_generator\.|roi_heads\.",
        lambda _: _detectron2(),
    ),
}
