"""Describes the network of a state dict by its names and shapes, for messages about misfits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from ava_det.checkpoint.two_streams import split_streams

# The first whose pattern is found in any name: networks people try where others are read.
_FAMILIES = {
    "X3D, from pytorchvideo": r"\bconv_b\.conv\.|\bconv_(t|xy)\.",
    "a Swin transformer": r"\blayers\.\d+\.blocks\.\d+\.attn\.",
    "a vision transformer (ViT, VideoMAE, MViT, CLIP)": (
        r"\b(blocks|layers?|resblocks)\.\d+\.(attn|attention)\b"
    ),
    "a person detector of Detectron2": r"\bproposal_generator\.|\broi_heads\.box_head\.fc",
    "a Faster R-CNN of torchvision": r"\brpn\.head\.",
    "a detector of MMDetection": r"\brpn_head\.|\bbbox_head\.",
    "a DETR": r"\btransformer\.(encoder|decoder)\.|\bclass_embed\.",
    "a YOLO": r"^model\.\d+\.(conv|cv1|m)\.",
    "a video ResNet of torchvision": r"^stem\.0\.weight|\blayer1\.0\.conv1\.0\.",
    "a ResNet of ImageNet": r"\blayer1\.0\.conv1\.weight",
    "an action network": r"\bbackbone\.(slow|fast)\.",
}

# Families with names of their own among ours: model.backbone -> a pattern that one entry begins
# with.
_BACKBONES: dict[str, str] = {
    "i3d_inception": r"backbone\.mixed_3b\.b1b\.conv\.",
    "r2plus1d": r"backbone\.layer1\.0\.a_spatial\.",
    "s3d": r"backbone\.mixed_3b\.b1b\.spatial\.",
    "eco": r"backbone\.volume\.res3a",
    "artnet": r"backbone\.res2a\.",
    "stc": r"backbone\.res2\.0\.correlation\.",
    "two_stream_cnn": r"backbone\.conv5\.weight",
    "vit": r"backbone\.patch_embed\.weight",
    "mvit_v2_s": r"backbone\.conv_proj\.",
    "swin3d_b": r"backbone\.features\.4\.17\.",  # swin3d_s has the same names
    "swin3d_t": r"backbone\.features\.",
}

# The first convolutions of a network, whose input are the channels of a frame.
FIRST_CONVOLUTION = re.compile(
    r"backbone\.((slow|fast)\.stem|conv_1a(\.spatial)?|stem(_spatial)?|frames\.conv1|"
    r"conv1\.(appearance|relation))\.conv\.weight|backbone\.(conv1|patch_embed)\.weight"
)


def name_family(names: Iterable[str]) -> str | None:
    """Names another kind of network by the names of its entries.

    Args:
        names: Of the entries.

    Returns:
        Such as "a DETR"; None where the names are not known.
    """
    all_names = list(names)
    return next(
        (
            family
            for family, mark in _FAMILIES.items()
            if any(re.search(mark, name) for name in all_names)
        ),
        None,
    )


def describe_network(tensors: Mapping[str, Tensor]) -> dict[str, object]:
    """Describes a network in keys of the `model` section.

    Args:
        tensors: Its entries under our names.

    Returns:
        Key -> the value that fits these entries; keys that names and shapes do not determine are
        left out.
    """
    streams = split_streams(tensors)
    if streams:
        fusion = "map" if any(name.startswith("head.") for name in tensors) else "late"
        return _describe_two_streams(streams) | {"model.flow.fusion": fusion}
    slow, fast = (
        tensors.get(f"backbone.{pathway}.stem.conv.weight") for pathway in ("slow", "fast")
    )
    first = fast if slow is None else slow
    facts: dict[str, object] = {}
    for family, mark in _BACKBONES.items():
        if any(re.match(mark, name) for name in tensors):
            sizes = _describe_vit(tensors) if family == "vit" else {}
            if family == "swin3d_b" and len(tensors["backbone.norm.weight"]) != 1024:
                family = "swin3d_s"
            sizes |= _describe_channels(tensors)
            return {"model.backbone": family} | sizes | _describe_head(tensors)
    if first is None or first.ndim != 5:
        return {}
    if slow is not None and fast is not None:
        facts["model.backbone"] = "slowfast"
        facts["model.beta_inv"] = len(slow) // max(len(fast), 1)
    else:
        has_res3 = any(name.startswith("backbone.slow.res3.non_local.") for name in tensors)
        kind = "nl_i3d" if has_res3 else "i3d"
        single = kind if first.shape[2] > 1 else "slow_only"
        facts["model.backbone"] = "fast_only" if slow is None else single
    facts["model.depth"] = 2 + 3 * sum(_count_blocks(tensors, stage) for stage in range(2, 6))
    if slow is not None:
        facts["model.width"] = len(slow)
    lateral = tensors.get("backbone.laterals.0.conv.weight")
    if lateral is not None and lateral.ndim == 5:
        facts["model.lateral_kernel"] = lateral.shape[2]
        facts["model.lateral_norm"] = "backbone.laterals.0.bn.weight" in tensors
    non_local = r"backbone\.\w+\.res4\.non_local\.(\d+)\."
    facts["model.non_local_res4"] = sorted(
        {int(m[1]) for name in tensors if (m := re.match(non_local, name))}
    )
    facts |= _describe_channels(tensors)
    return facts | _describe_non_local(tensors) | _describe_head(tensors)


def _describe_two_streams(streams: Mapping[str, Mapping[str, Tensor]]) -> dict[str, object]:
    facts = describe_network(streams["rgb"]) | {"model.streams": "two_stream"}
    of_flow = describe_network(streams["flow"])
    own = {"model.backbone": "model.flow.backbone", "model.flow.stack": "model.flow.stack"}
    return facts | {own[key]: of_flow[key] for key in own if key in of_flow}


def _describe_non_local(tensors: Mapping[str, Tensor]) -> dict[str, object]:
    """Describes what the names say of blocks that stand in res3 too, as in `nl_i3d` alone."""
    block = r"backbone\.slow\.res3\.non_local\.(\d+)\.(.+)"
    parts = [(int(m[1]), m[2]) for name in tensors if (m := re.match(block, name))]
    if not parts:
        return {}
    inner = {part for _, part in parts}
    embedded = "embedded_gaussian or dot_product"
    return {
        "model.nl_i3d.non_local_res3": sorted({index for index, _ in parts}),
        "model.nl_i3d.non_local_form": "wang" if "out.bias" in inner else "mmaction2",
        "model.nl_i3d.non_local_mode": embedded if "theta.weight" in inner else "gaussian",
    }


def _describe_channels(tensors: Mapping[str, Tensor]) -> dict[str, object]:
    first = next((t for name, t in tensors.items() if FIRST_CONVOLUTION.fullmatch(name)), None)
    if first is None or first.ndim not in (4, 5):
        return {}
    channels = first.shape[1] // count_places(first)
    if channels == 3:
        return {"model.streams": "rgb"}
    return {"model.streams": "flow", "model.flow.stack": channels // 2}


def count_places(first: Tensor) -> int:
    """Counts the pixels that are channels of one frame to the kernel [O, I, ...] of a first layer.

    They are 8 for S3D's stem on blocks of 2 x 2 x 2 pixels, whose kernels have 2 x 4 x 4 cells.
    """
    return 8 if first.shape[2:] == (2, 4, 4) else 1


def _describe_vit(tensors: Mapping[str, Tensor]) -> dict[str, object]:
    patches = tensors["backbone.patch_embed.weight"]
    blocks = {m[1] for name in tensors if (m := re.match(r"backbone\.blocks\.(\d+)\.", name))}
    facts: dict[str, object] = {
        "model.vit.width": len(patches),
        "model.vit.depth": len(blocks),
        "model.vit.tubelet": patches.shape[2],
    }
    table = tensors.get("backbone.position_table")
    if table is not None and table.ndim == 3:
        facts["model.num_slow_frames"] = table.shape[1] // 14**2 * patches.shape[2]
    return facts


def _describe_head(tensors: Mapping[str, Tensor]) -> dict[str, object]:
    last = tensors.get("head.projection.weight")
    if last is None:
        return {}
    hidden = "head.hidden.weight" in tensors
    marks = {"acrn": "head.relate.weight", "atr": "head.theta.weight"}
    relation = next((name for name, mark in marks.items() if mark in tensors), "none")
    return {
        "model.num_classes": len(last),
        "model.roi_hidden_layer": hidden,
        "model.roi_relation": relation,
    }


def compare_networks(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> str:
    """Says how the network of a file differs from a model, in keys of the config.

    Args:
        theirs: The file's entries, under our names.
        ours: The model's entries.

    Returns:
        Parts of a sentence, separated by semicolons; empty where no difference is known.
    """
    file = describe_network(theirs)
    model = describe_network(ours)
    differing = [key for key in file if key in model and file[key] != model[key]]
    parts = []
    if "model.depth" in differing:
        blocks = [_count_blocks(tensors, 4) for tensors in (theirs, ours)]
        parts.append(f"res4 has {blocks[0]} blocks in the file and {blocks[1]} in the model")
    if differing:
        wanted = ", ".join(f"{key}={file[key]}" for key in differing)
        model_values = ", ".join(str(model[key]) for key in differing)
        parts.append(f"the file is of {wanted}, the model has {model_values}")
    return "; ".join(parts)


def _count_blocks(names: Iterable[str], stage: int) -> int:
    """Counts a stage's blocks in one pathway; both have the same."""
    pattern = re.compile(rf"backbone\.(?:slow|fast)\.res{stage}\.blocks\.(\d+)\.")
    return 1 + max((int(match[1]) for name in names if (match := pattern.match(name))), default=-1)
