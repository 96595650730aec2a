"""Every naming scheme of the compared networks, written from our names and read back exactly."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from ava_det.checkpoint import load_weights
from ava_det.config import load_config
from ava_det.models.build import build_model
from tests.support.foreign_names import CAFFE2_BN
from tests.support.foreign_names import to_mmaction2 as to_mmaction2_resnet

BRANCHES = {"b0": "0", "b1a": "1.0", "b1b": "1.1", "b2a": "2.0", "b2b": "2.1", "b3b": "3.1"}
NUMBERS = {"conv_1a": 0, "conv_2b": 2, "conv_2c": 3, "mixed_3b": 5, "mixed_3c": 6, "mixed_4b": 8}
NUMBERS |= {"mixed_4c": 9, "mixed_4d": 10, "mixed_4e": 11, "mixed_4f": 12, "mixed_5b": 14}
NUMBERS |= {"mixed_5c": 15}


def to_hassony2(name: str) -> str:
    if name.startswith("head"):
        return f"conv3d_0c_1x1.conv3d.{name.rpartition('.')[2]}"
    _, block, *unit, part, leaf = name.split(".")
    part = {"conv": "conv3d", "bn": "batch3d"}[part]
    size = {"conv_1a": "_7x7", "conv_2b": "_1x1", "conv_2c": "_3x3"}.get(block, "")
    owner = block.replace("conv_", "conv3d_") + size
    return ".".join([owner, *(f"branch_{BRANCHES[one]}" for one in unit), part, leaf])


def to_piergiaj(name: str) -> str:
    if name.startswith("head"):
        return f"logits.conv3d.{name.rpartition('.')[2]}"
    _, block, *unit, part, leaf = name.split(".")
    part = {"conv": "conv3d", "bn": "bn"}[part]
    size = {"conv_1a": "_7x7", "conv_2b": "_1x1", "conv_2c": "_3x3"}.get(block, "")
    owner = block.replace("conv_", "Conv3d_").replace("mixed", "Mixed") + size
    return ".".join([owner, *unit, part, leaf])


def to_kylemin(name: str) -> str:
    if name.startswith("head"):
        return f"module.fc.0.{name.rpartition('.')[2]}"
    _, block, *unit, part, leaf = name.split(".")
    axis = f"_{unit.pop()[0]}" if unit and unit[-1] in ("spatial", "temporal") else ""
    branch = [f"branch{BRANCHES[one] if one != 'b0' else '0.0'}" for one in unit]
    return ".".join(["module.base", str(NUMBERS[block]), *branch, part + axis, leaf])


def to_mmaction2(name: str) -> str:
    if name.startswith("head"):
        return f"cls_head.fc_cls.{name.rpartition('.')[2]}"
    *owner, unit, part, leaf = name.replace(".shortcut.", ".shortcut_").split(".")
    half, axis = unit.split("_")
    conv = {"stem": "conv1", "a": "conv1", "b": "conv2", "shortcut": "downsample"}[half]
    inner = "bn" if (axis, part) == ("temporal", "bn") else f"conv.{part}_{axis[0]}"
    return ".".join([*owner, conv, inner, leaf])


def to_vmz(name: str) -> str:
    if name.startswith("head"):
        return f"last_out_L400_{name.rpartition('.')[2][0]}"
    _, *owner, unit, part, leaf = name.split(".")
    end = f"_{CAFFE2_BN[leaf]}" if part == "bn" else "_w"
    if unit.startswith("stem"):
        middle = "_middle" if unit == "stem_spatial" else ""
        return f"conv1{middle}{'_spatbn_relu' if part == 'bn' else ''}{end}"
    layer = int(owner[0].removeprefix("layer"))
    number = int(owner[1]) + layer - 1  # one block a layer
    if unit == "shortcut":
        return f"shortcut_projection_{number}{'_spatbn' if part == 'bn' else ''}{end}"
    half, axis = unit.split("_")
    middle = "_middle" if axis == "spatial" else ""
    return (
        f"comp_{number}_{'spatbn' if part == 'bn' else 'conv'}_{'ab'.index(half) + 1}{middle}{end}"
    )


SCHEMES: list[tuple[str, tuple[str, ...], Callable[[str], str], str]] = [
    ("i3d_inception", (), to_hassony2, "hassony2"),
    ("i3d_inception", ("streams=flow",), to_hassony2, "hassony2"),
    ("i3d_inception", ("streams=flow",), to_piergiaj, "piergiaj"),
    ("s3d", (), to_kylemin, "kylemin"),
    (
        "r2plus1d",
        ("r2plus1d.form=mmaction2", "r2plus1d.depth=10"),
        to_mmaction2,
        "mmaction2_r2plus1d",
    ),
    ("r2plus1d", ("r2plus1d.depth=10",), to_vmz, "vmz"),
    ("r2plus1d", ("r2plus1d.depth=10", "streams=flow"), to_vmz, "vmz"),
    (
        "nl_i3d",
        ("depth=14", "nl_i3d.non_local_res3=[]"),
        partial(to_mmaction2_resnet, two_pathways=False),
        "mmaction2",
    ),
]


@pytest.mark.parametrize(("backbone", "values", "rename", "source"), SCHEMES)
def test_a_file_of_these_names_is_read_back_exactly(
    backbone: str,
    values: tuple[str, ...],
    rename: Callable[[str], str],
    source: str,
    tmp_path: Path,
) -> None:
    config = load_config(
        "configs/kinetics/i3d_r50_8x8.yaml",
        [f"model.backbone={backbone}", "model.width=4", *(f"model.{value}" for value in values)],
    )
    model = build_model(config)
    state = {
        name: torch.randn(tensor.shape)
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    theirs = {rename(name): tensor for name, tensor in state.items()}
    assert len(theirs) == len(state)
    path = tmp_path / "weights.pkl"
    if source == "vmz":
        blobs = {name: tensor.numpy() for name, tensor in theirs.items()}
        path.write_bytes(pickle.dumps({"blobs": {**blobs, "lr": 0.1}}))
    else:
        torch.save({"state_dict": theirs}, path)
    report = load_weights(model, path)
    assert report.source == source
    for name, tensor in state.items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0, msg=name)
