"""Our parameter names as other projects write them, built the other way round than
`ava_det.checkpoint.names`.
"""

from __future__ import annotations

from torch import Tensor

CAFFE2_BN = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}


def to_pyslowfast(name: str) -> str:
    head, *parts = name.split(".")
    if head == "head":
        return name
    pathway = "1" if parts[0] == "fast" else "0"
    if parts[0] == "laterals":
        part = "conv_f2s" if parts[2] == "conv" else "bn"
        return f"s{int(parts[1]) + 1}_fuse.{part}.{parts[3]}"
    if parts[1] == "stem":
        return f"s1.pathway{pathway}_stem.{parts[2]}.{parts[3]}"
    stage = parts[1][-1]
    kind = parts[2]
    index = parts[3]
    layer = parts[4]
    leaf = parts[5]
    if kind == "non_local":
        layer = layer if layer == "bn" else f"conv_{layer}"
        return f"s{stage}.pathway{pathway}_nonlocal{index}.{layer}.{leaf}"
    layer = (
        layer.replace("shortcut", "branch1") if layer.startswith("shortcut") else f"branch2.{layer}"
    )
    return f"s{stage}.pathway{pathway}_res{index}.{layer}.{leaf}"


def to_caffe2(name: str) -> str:
    head, *parts = name.split(".")
    if head == "head":
        return f"pred_{parts[1][0]}"
    prefix = "t_" if parts[0] == "fast" else ""
    leaf = parts[-1]
    if parts[0] == "laterals":
        stem = (
            "t_pool1_subsample"
            if parts[1] == "0"
            else f"t_res{int(parts[1]) + 1}_0_branch2c_bn_subsample"
        )
        return f"{stem}_w" if parts[2] == "conv" else f"{stem}_bn_{CAFFE2_BN[leaf]}"
    if parts[1] == "stem":
        return (
            f"{prefix}conv1_w" if parts[2] == "conv" else f"{prefix}res_conv1_bn_{CAFFE2_BN[leaf]}"
        )
    stage = parts[1][-1]
    kind = parts[2]
    index = parts[3]
    layer = parts[4]
    if kind == "non_local":
        return (
            f"nonlocal_conv{stage}_{index}_{layer}_{CAFFE2_BN[leaf] if layer == 'bn' else leaf[0]}"
        )
    branch = "branch1" if layer.startswith("shortcut") else f"branch2{layer[0]}"
    suffix = f"bn_{CAFFE2_BN[leaf]}" if layer.endswith("_bn") else "w"
    return f"{prefix}res{stage}_{index}_{branch}_{suffix}"


def to_pytorchvideo(name: str, *, two_pathways: bool, detection: bool) -> str:
    head, *parts = name.split(".")
    if head == "head":
        last = 6 if two_pathways else 5
        return f"detection_head.proj.{parts[1]}" if detection else f"blocks.{last}.proj.{parts[1]}"
    prefix = "model." if detection else ""
    if parts[0] == "laterals":
        part = "conv_fast_to_slow" if parts[2] == "conv" else "norm"
        return f"{prefix}blocks.{parts[1]}.multipathway_fusion.{part}.{parts[3]}"
    pathway = f"multipathway_blocks.{'1' if parts[0] == 'fast' else '0'}." if two_pathways else ""
    if parts[1] == "stem":
        return f"{prefix}blocks.0.{pathway}{'conv' if parts[2] == 'conv' else 'norm'}.{parts[3]}"
    number = int(parts[1][-1]) - 1
    index = parts[3]
    layer = parts[4]
    leaf = parts[5]
    kind = "norm" if layer.endswith("_bn") else "conv"
    inner = f"branch1_{kind}" if layer.startswith("shortcut") else f"branch2.{kind}_{layer[0]}"
    return f"{prefix}blocks.{number}.{pathway}res_blocks.{index}.{inner}.{leaf}"


def to_mmaction2(name: str, *, two_pathways: bool) -> str:
    head, *parts = name.split(".")
    if head == "head":
        return f"roi_head.bbox_head.fc_cls.{parts[1]}"
    if parts[0] == "laterals":
        stem = "conv1_lateral" if parts[1] == "0" else f"layer{parts[1]}_lateral"
        return f"backbone.slow_path.{stem}.{parts[2]}.{parts[3]}"
    pathway = f"{parts[0]}_path." if two_pathways else ""
    if parts[1] == "stem":
        return f"backbone.{pathway}conv1.{parts[2]}.{parts[3]}"
    layer = int(parts[1][-1]) - 1
    conv = {"a": "conv1", "b": "conv2", "c": "conv3", "shortcut": "downsample"}[
        parts[4].removesuffix("_bn")
    ]
    kind = "bn" if parts[4].endswith("_bn") else "conv"
    return f"backbone.{pathway}layer{layer}.{parts[3]}.{conv}.{kind}.{parts[5]}"


def to_imagenet(name: str) -> str:
    head, *parts = name.split(".")
    if head == "head":
        return f"fc.{parts[1]}"
    if parts[1] == "stem":
        return f"{'conv1' if parts[2] == 'conv' else 'bn1'}.{parts[3]}"
    layer = int(parts[1][-1]) - 1
    index = parts[3]
    part = parts[4]
    leaf = parts[5]
    if part.startswith("shortcut"):
        return f"layer{layer}.{index}.downsample.{'1' if part.endswith('_bn') else '0'}.{leaf}"
    number = "abc".index(part[0]) + 1
    return f"layer{layer}.{index}.{'bn' if part.endswith('_bn') else 'conv'}{number}.{leaf}"


def without_counters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without BN's batch counters, which some formats do not carry."""
    return {
        name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")
    }


def to_eco(name: str) -> str:
    head, network, *parts = name.split(".")
    if head == "head":
        return f"fc_final.{parts[-1]}"
    leaf = parts[-1]
    norm = "_bn" if parts[-2] in ("bn", "norm") else ""
    if network == "volume":
        block = parts[0]
        if parts[1] == "norm":
            order = ["res3a", "res3b", "res4a", "res4b", "res5a", "res5b", "last"]
            return f"{order[order.index(block) - 1]}_bn.{leaf}"
        layer = {"a": "_1", "b": "_2", "shortcut": "_down"}.get(parts[1], "_2")
        return f"{block}{layer}{norm}.{leaf}"
    inner = ["double_3x3_reduce", "double_3x3_1", "double_3x3_2"]
    if network == "stack":
        return f"inception_3c_{inner[int(parts[0])]}{norm}.{leaf}"
    if parts[0] in ("conv1", "conv2_reduce", "conv2"):
        stem = {"conv1": "conv1_7x7_s2", "conv2_reduce": "conv2_3x3_reduce", "conv2": "conv2_3x3"}
        return f"{stem[parts[0]]}{norm}.{leaf}"
    if parts[0] == "inner_4e":
        return f"inception_4e_{inner[int(parts[1])]}{norm}.{leaf}"
    layers = {
        "one": ["1x1"],
        "three": ["3x3_reduce", "3x3"],
        "twice": inner,
        "projection": ["pool_proj"],
    }[parts[1]]
    layer = layers[int(parts[2])] if parts[2].isdigit() else layers[-1]
    return f"{parts[0]}_{layer}{norm}.{leaf}"
