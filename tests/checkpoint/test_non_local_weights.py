"""Names of the non-local I3D's publishers, on files made of random tensors."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ava_det.checkpoint import WeightsError, load_weights
from ava_det.config import load_config
from ava_det.models.build import build_model
from tests.support.foreign_names import to_caffe2, to_mmaction2, without_counters

NET = "configs/kinetics/video_nonlocal_net/i3d_nonlocal"
MMACTION2 = "configs/kinetics/mmaction2/nl_i3d_r50"
LFB = ["configs/ava/nl_i3d_r50.yaml", "configs/ava/nl_i3d_r101.yaml"]


def build(config: str, *overrides: str) -> nn.Module:
    return build_model(load_config(config, ["model.width=4", "model.beta_inv=4", *overrides]))


def draw_entries(config: str, *overrides: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        state = without_counters(build(config, *overrides).state_dict())
    return {name: torch.randn(t.shape, generator=generator) for name, t in state.items()}


def write_blobs(path: Path, entries: Mapping[str, Tensor]) -> Path:
    """Writes a Caffe2 file as training leaves it: with momentum and the iteration."""
    blobs: dict[str, object] = {}
    for name, tensor in entries.items():
        blobs[to_caffe2(name)] = tensor.numpy()
        blobs[f"{to_caffe2(name)}_momentum"] = torch.zeros_like(tensor).numpy()
    path.write_bytes(pickle.dumps({"blobs": {**blobs, "lr": 0.1, "model_iter": 140000}}))
    return path


def without_statistics(entries: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: t for name, t in entries.items() if ".running_" not in name}


def assert_holds(model: nn.Module, entries: Mapping[str, Tensor]) -> None:
    state = model.state_dict()
    for name, tensor in entries.items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=0, msg=name)


def to_mmaction2_non_local(name: str) -> str:
    if not name.startswith("backbone") or ".non_local." not in name:
        return to_mmaction2(name, two_pathways=False).replace("roi_head.bbox_head", "cls_head")
    _, _, stage, _, index, part, leaf = name.split(".")
    layers = {"theta": "theta.conv", "phi": "phi.0.conv", "g": "g.0.conv"}
    layers |= {"out": "conv_out.conv", "bn": "conv_out.bn"}
    return f"backbone.layer{int(stage[-1]) - 1}.{index}.non_local_block.{layers[part]}.{leaf}"


@pytest.mark.parametrize("config", LFB)
def test_long_term_feature_banks_detectors(config: str, tmp_path: Path) -> None:
    entries = without_statistics(draw_entries(config))
    assert {to_caffe2(name) for name in entries} >= {
        "conv1_w",
        "res_conv1_bn_s",
        "res4_5_branch2c_bn_b",
        "nonlocal_conv3_1_theta_w",
        "nonlocal_conv3_3_bn_s",
        "pred_b",
    }
    model = build(config)
    report = load_weights(model, write_blobs(tmp_path / "model_final.pkl", entries))
    assert report.source == "caffe2"
    assert "norms have no statistics" in str(report)
    assert_holds(model, entries)
    check_norms_are_affine(model)


def check_norms_are_affine(model: nn.Module) -> None:
    for module in model.eval().modules():
        if isinstance(module, nn.BatchNorm3d):
            x = torch.randn(1, module.num_features, 2, 2, 2)
            shape = (1, -1, 1, 1, 1)
            expected = module.weight.view(shape) * x + module.bias.view(shape)
            torch.testing.assert_close(module(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["32x2", "8x8"])
def test_video_nonlocal_net_with_statistics(form: str, tmp_path: Path) -> None:
    entries = draw_entries(f"{NET}_{form}.yaml")
    model = build(f"{NET}_{form}.yaml")
    report = load_weights(model, write_blobs(tmp_path / "model.pkl", entries))
    assert "statistics" not in str(report)
    assert_holds(model, entries)


@pytest.mark.parametrize("form", ["128x1", "32x4"])
def test_video_nonlocal_net_with_fixed_norms_has_none_in_its_blocks(
    form: str, tmp_path: Path
) -> None:
    entries = without_statistics(draw_entries(f"{NET}_{form}.yaml"))
    entries = {n: t for n, t in entries.items() if ".non_local." not in n or ".bn." not in n}
    model = build(f"{NET}_{form}.yaml")
    load_weights(model, write_blobs(tmp_path / "model.pkl", entries))
    assert_holds(model, entries)
    check_norms_are_affine(model)
    for name, tensor in model.state_dict().items():
        if ".non_local." in name and name.endswith("bn.weight"):
            assert torch.equal(tensor, torch.ones_like(tensor))


@pytest.mark.parametrize("lost", ["running_mean", "weight"])
def test_one_lost_entry_of_a_norm_is_no_fixed_norm(lost: str, tmp_path: Path) -> None:
    entries = draw_entries(f"{NET}_8x8.yaml")
    del entries[f"backbone.slow.res3.non_local.1.bn.{lost}"]
    path = write_blobs(tmp_path / "model.pkl", entries)
    with pytest.raises(WeightsError, match=rf"res3\.non_local\.1\.bn\.{lost}"):
        load_weights(build(f"{NET}_8x8.yaml"), path)


def test_a_network_without_groups_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_blobs(tmp_path / "model.pkl", without_statistics(draw_entries(LFB[0])))
    with caplog.at_level(logging.WARNING, "ava_det"):
        load_weights(build(LFB[0]), path)
        assert caplog.messages == []
        load_weights(build(LFB[0], "model.nl_i3d.res3_group_frames=null"), path)
    assert ["set model.nl_i3d.res3_group_frames=4" in text for text in caplog.messages] == [True]


@pytest.mark.parametrize("mode", ["dot_product", "embedded_gaussian", "gaussian"])
def test_mmaction2(mode: str, tmp_path: Path) -> None:
    config = f"{MMACTION2}_{mode}.yaml"
    entries = draw_entries(config)
    theirs = {to_mmaction2_non_local(name): tensor for name, tensor in entries.items()}
    assert len(theirs) == len(entries)
    assert ("backbone.layer2.1.non_local_block.theta.conv.weight" in theirs) is (mode != "gaussian")
    assert "backbone.layer3.5.non_local_block.conv_out.conv.bias" not in theirs
    torch.save({"state_dict": theirs}, tmp_path / "model.pth")
    model = build(config)
    assert load_weights(model, tmp_path / "model.pth").source == "mmaction2"
    assert_holds(model, entries)


Writer = Callable[[Path, Mapping[str, Tensor]], Path]


def write_mmaction2(path: Path, entries: Mapping[str, Tensor]) -> Path:
    torch.save({"state_dict": {to_mmaction2_non_local(n): t for n, t in entries.items()}}, path)
    return path


REFUSED: list[tuple[Writer, str, str, str]] = [
    (write_blobs, LFB[0], "configs/ava/slowfast_r50_4x16.yaml", "model.backbone=nl_i3d"),
    (write_blobs, LFB[0], "configs/ava/s3dg.yaml", "model.backbone=nl_i3d"),
    (write_blobs, LFB[0], LFB[1], "res4 has 6 blocks in the file and 23 in the model"),
    (
        write_mmaction2,
        f"{MMACTION2}_gaussian.yaml",
        f"{MMACTION2}_dot_product.yaml",
        "model.nl_i3d.non_local_mode=gaussian",
    ),
    (
        write_mmaction2,
        f"{MMACTION2}_dot_product.yaml",
        "configs/kinetics/nl_i3d_r50.yaml",
        "model.nl_i3d.non_local_form=mmaction2",
    ),
    (
        write_mmaction2,
        f"{MMACTION2}_dot_product.yaml",
        "configs/kinetics/i3d_inception.yaml",
        "model.backbone=nl_i3d",
    ),
]


@pytest.mark.parametrize(("write", "config", "other", "named"), REFUSED)
def test_another_network_is_refused_by_what_the_file_is(
    write: Writer, config: str, other: str, named: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "model.pkl", draw_entries(config))
    with pytest.raises(WeightsError, match=named):
        load_weights(build(other), path)
