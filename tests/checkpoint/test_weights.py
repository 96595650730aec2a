"""Every published format, written from random tensors and read back exactly; and what does not
fit.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ava_det.checkpoint import WeightsError, load_checkpoint, load_weights, save_checkpoint
from ava_det.checkpoint.names import detect_source, translate
from ava_det.models.action_detector import ActionClassifier, ActionDetector
from ava_det.models.classification_head import ClassificationHead
from ava_det.models.roi_head import RoIHead
from ava_det.models.slowfast import SlowFast
from tests.support.foreign_names import (
    to_caffe2,
    to_imagenet,
    to_mmaction2,
    to_pyslowfast,
    to_pytorchvideo,
    without_counters,
)


def build(
    backbone: str = "slowfast", num_classes: int = 5, head: str = "roi", **values: object
) -> nn.Module:
    settings: dict[str, object] = {"depth": 14, "width": 8, "alpha": 4, "beta_inv": 4, **values}
    network = SlowFast(backbone, **settings)  # type: ignore[arg-type]
    if head == "roi":
        return ActionDetector(network, RoIHead(network.out_channels, num_classes, 16))
    return ActionClassifier(network, ClassificationHead(network.out_channels, num_classes))


def randomize(model: nn.Module) -> dict[str, Tensor]:
    """Fills every entry with its own numbers and returns a copy of them."""
    generator = torch.Generator().manual_seed(3)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_loaded(model: nn.Module, expected: dict[str, Tensor]) -> None:
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(tensor, expected[name]), name


def test_ours_travels_with_its_config_and_label_map(tmp_path: Path) -> None:
    expected = randomize(build())
    path = tmp_path / "last.pt"
    save_checkpoint(
        path, {"model": expected, "config": {"seed": 1}, "label_map": {3: "run"}, "epoch": 2}
    )
    model = build()
    report = load_weights(model, path)
    assert_loaded(model, expected)
    assert (report.missing, report.unexpected, report.wrong_shape) == ([], [], [])
    assert sorted(report.loaded) == sorted(expected)
    content = load_checkpoint(path)
    assert content["label_map"] == {3: "run"}
    assert content["config"] == {"seed": 1}


@pytest.mark.parametrize("container", ["model_state", "state_dict", "model", None])
@pytest.mark.parametrize("zipped", [True, False])
def test_pyslowfast_pyth_zip_and_legacy(
    tmp_path: Path, container: str | None, zipped: bool
) -> None:
    expected = randomize(build(non_local_res4=[0]))
    state = {to_pyslowfast(name): tensor for name, tensor in expected.items()}
    path = tmp_path / "weights.pkl"  # the extension lies, as it does for a published file
    content = state if container is None else {"epoch": 3, container: state, "cfg": "TRAIN: {}"}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    model = build(non_local_res4=[0])
    assert load_weights(model, path).source == "pyslowfast"
    assert_loaded(model, expected)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_caffe2_pkl(tmp_path: Path, protocol: int) -> None:
    expected = without_counters(randomize(build(non_local_res4=[0])))
    blobs = {to_caffe2(name): tensor.numpy() for name, tensor in expected.items()}
    # lower rank: trailing ones
    blobs["nonlocal_conv4_0_out_w"] = blobs["nonlocal_conv4_0_out_w"][..., 0, 0, 0]
    blobs |= {"conv1_w_momentum": np.ones(3)}
    blobs |= {"lr": np.asarray(0.1, np.float32)[()], "model_iter": np.asarray(7)[()]}
    (tmp_path / "weights.pyth").write_bytes(pickle.dumps({"blobs": blobs}, protocol))
    model = build(non_local_res4=[0])
    report = load_weights(model, tmp_path / "weights.pyth")
    assert report.source == "caffe2"
    assert report.unexpected == []
    assert_loaded(model, expected)


@pytest.mark.parametrize("backbone", ["slowfast", "slow_only"])
@pytest.mark.parametrize("head", ["roi", "classification"])
def test_pytorchvideo(tmp_path: Path, backbone: str, head: str) -> None:
    expected = randomize(build(backbone, head=head))
    two = backbone == "slowfast"
    detection = head == "roi"
    state = {
        to_pytorchvideo(name, two_pathways=two, detection=detection): t
        for name, t in expected.items()
    }
    torch.save({"model_state": state}, tmp_path / "weights.pyth")
    model = build(backbone, head=head)
    assert load_weights(model, tmp_path / "weights.pyth").source == "pytorchvideo"
    assert_loaded(model, expected)


def test_pytorchvideo_i3d_has_a_pool_between_its_stages() -> None:
    names = [
        "blocks.0.conv.weight",
        "blocks.1.res_blocks.0.branch2.conv_a.weight",
        "blocks.5.res_blocks.1.branch1_conv.weight",
    ]
    names += [f"blocks.{number}.res_blocks.0.branch2.conv_a.weight" for number in (3, 4, 5)]
    ours = translate({name: torch.zeros(1) for name in names}, detect_source(names))
    assert "backbone.slow.res2.blocks.0.a.weight" in ours
    assert "backbone.slow.res5.blocks.1.shortcut.weight" in ours


@pytest.mark.parametrize("backbone", ["slowfast", "slow_only"])
def test_mmaction2_drops_its_background_class(tmp_path: Path, backbone: str) -> None:
    values: dict[str, Any] = {"lateral_norm": False} if backbone == "slowfast" else {}
    expected = randomize(build(backbone, **values))
    state = {
        to_mmaction2(name, two_pathways=backbone == "slowfast"): t for name, t in expected.items()
    }
    for name in ("roi_head.bbox_head.fc_cls.weight", "roi_head.bbox_head.fc_cls.bias"):
        state[name] = torch.cat([torch.full_like(state[name][:1], 99.0), state[name]])
    torch.save({"meta": {"epoch": 1}, "state_dict": state}, tmp_path / "weights.pth")
    model = build(backbone, **values)
    assert load_weights(model, tmp_path / "weights.pth").source == "mmaction2"
    assert_loaded(model, expected)


def test_safetensors(tmp_path: Path) -> None:
    expected = randomize(build())
    save_file(expected, tmp_path / "weights.bin")
    model = build()
    load_weights(model, tmp_path / "weights.bin")
    assert_loaded(model, expected)


def test_imagenet_weights_are_inflated(tmp_path: Path) -> None:
    model = build("i3d", num_classes=1000)
    expected = randomize(model)
    flat = {
        to_imagenet(name): tensor[:, :, 0] if tensor.ndim == 5 else tensor
        for name, tensor in expected.items()
    }
    torch.save(flat, tmp_path / "resnet.pth")
    report = load_weights(model, tmp_path / "resnet.pth")
    assert report.source == "imagenet"
    stem = model.state_dict()["backbone.slow.stem.conv.weight"]
    assert stem.shape[2] == 5
    for frame in range(5):
        torch.testing.assert_close(stem[:, :, frame], flat["conv1.weight"] / 5)
    assert torch.equal(
        model.state_dict()["backbone.slow.res3.blocks.0.b_bn.bias"], flat["layer2.0.bn2.bias"]
    )


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("s1.pathway0_stem.conv.weight", "backbone.slow.stem.conv.weight"),
        ("s1.pathway1_stem.bn.running_var", "backbone.fast.stem.bn.running_var"),
        ("s3_fuse.conv_f2s.weight", "backbone.laterals.2.conv.weight"),
        ("s2.pathway0_res0.branch1_bn.bias", "backbone.slow.res2.blocks.0.shortcut_bn.bias"),
        ("s5.pathway1_res2.branch2.c_bn.weight", "backbone.fast.res5.blocks.2.c_bn.weight"),
        (
            "s4.pathway0_nonlocal13.conv_theta.weight",
            "backbone.slow.res4.non_local.13.theta.weight",
        ),
        ("res_conv1_bn_rm", "backbone.slow.stem.bn.running_mean"),
        ("t_conv1_w", "backbone.fast.stem.conv.weight"),
        ("t_pool1_subsample_w", "backbone.laterals.0.conv.weight"),
        ("t_res4_22_branch2c_bn_subsample_bn_riv", "backbone.laterals.3.bn.running_var"),
        ("t_res3_3_branch2b_bn_s", "backbone.fast.res3.blocks.3.b_bn.weight"),
        ("res4_22_branch2a_w", "backbone.slow.res4.blocks.22.a.weight"),
        ("nonlocal_conv4_20_bn_s", "backbone.slow.res4.non_local.20.bn.weight"),
        ("nonlocal_conv4_6_phi_b", "backbone.slow.res4.non_local.6.phi.bias"),
        ("pred_w", "head.projection.weight"),
        ("model.blocks.0.multipathway_blocks.1.norm.weight", "backbone.fast.stem.bn.weight"),
        ("blocks.3.multipathway_fusion.norm.running_mean", "backbone.laterals.3.bn.running_mean"),
        (
            "backbone.fast_path.layer1.0.downsample.bn.weight",
            "backbone.fast.res2.blocks.0.shortcut_bn.weight",
        ),
        ("backbone.slow_path.layer3_lateral.conv.weight", "backbone.laterals.3.conv.weight"),
        ("roi_head.bbox_head.fc_cls.0.weight", "head.hidden.weight"),
        ("layer4.2.conv3.weight", "backbone.slow.res5.blocks.2.c.weight"),
    ],
)
def test_known_names(theirs: str, ours: str) -> None:
    marks = {"layer4": "layer1.0.conv1.weight", "roi_head": "backbone.conv1.conv.weight"}
    mark = marks.get(theirs.split(".")[0], theirs)
    if theirs.startswith(("pred", "nonlocal", "res_", "t_pool", "t_res4_22")):
        mark = "conv1_w"
    if "_fuse" in theirs:
        mark = "s1.pathway0_stem.conv.weight"
    if theirs.startswith("blocks.3"):
        mark = "blocks.0.multipathway_blocks.0.conv.weight"
    if theirs.startswith("backbone."):
        mark = "backbone.slow_path.conv1.conv.weight"
    tensors = {mark: torch.zeros(1), theirs: torch.zeros(1)}
    assert ours in translate(tensors, detect_source(tensors))


def test_a_kinetics_checkpoint_starts_a_detector_only_where_that_is_asked_for(
    tmp_path: Path,
) -> None:
    expected = randomize(build(head="classification", num_classes=9))
    torch.save(
        {"model_state": {to_pyslowfast(n): t for n, t in expected.items()}},
        tmp_path / "kinetics.pyth",
    )
    model = build()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(
        WeightsError, match=r"head\.projection\.weight \(file \[9, 320\], model \[5, 320\]\)"
    ):
        load_weights(model, tmp_path / "kinetics.pyth")
    assert_loaded(model, before)  # a refused file changes nothing
    report = load_weights(model, tmp_path / "kinetics.pyth", allow_missing=("head",))
    assert report.wrong_shape == ["head.projection.weight", "head.projection.bias"]
    assert_loaded(model, {**expected, **{n: before[n] for n in report.wrong_shape}})


def test_allow_missing_is_a_prefix_of_whole_names(tmp_path: Path) -> None:
    expected = randomize(build())
    del expected["head.projection.bias"]
    save_checkpoint(tmp_path / "w.pt", {"model": expected})
    with pytest.raises(WeightsError, match=r"head\.projection\.bias"):
        load_weights(build(), tmp_path / "w.pt", allow_missing=("hea",))
    assert load_weights(build(), tmp_path / "w.pt", allow_missing=("head.",)).missing == [
        "head.projection.bias"
    ]


def test_every_misfit_is_named_at_once(tmp_path: Path) -> None:
    state = randomize(build())
    del state["backbone.slow.stem.bn.weight"]
    state["backbone.slow.res9.weight"] = torch.zeros(2)
    state["head.projection.bias"] = torch.zeros(7)
    save_checkpoint(tmp_path / "w.pt", {"model": state})
    with pytest.raises(WeightsError) as caught:
        load_weights(build(), tmp_path / "w.pt")
    for expected in (
        "1 entries missing from the file: backbone.slow.stem.bn.weight",
        "backbone.slow.res9.weight",
    ):
        assert expected in str(caught.value)
    assert "head.projection.bias (file [7], model [5])" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_depth_is_said_first(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "deep.pt", {"model": randomize(build(depth=26))})
    with pytest.raises(WeightsError, match=r"res4 has 2 blocks in the file and 1 in the model"):
        load_weights(build(), tmp_path / "deep.pt")


def test_half_a_file_never_passes(tmp_path: Path) -> None:
    torch.save(
        {"model_state": {"s1.pathway0_stem.conv.weight": torch.zeros(8, 3, 1, 7, 7)}},
        tmp_path / "w.pyth",
    )
    with pytest.raises(WeightsError, match="missing from the file"):
        load_weights(build(), tmp_path / "w.pyth")
