"""Weights of RGB that begin networks of optical flow, and particulars of flow's own files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ava_det.checkpoint import WeightsError, load_weights
from ava_det.checkpoint.modality import spread_rgb
from ava_det.config import load_config
from ava_det.models.build import build_model
from tests.support.foreign_names import to_imagenet, without_counters

# family, overrides that make it small, the first convolutions of its backbone
NETWORKS = [
    ("i3d_inception", ["width=4"], "conv_1a.conv"),
    ("i3d", ["width=8", "depth=14"], "slow.stem.conv"),
    ("s3d", ["width=4"], "conv_1a.spatial.conv"),
    ("s3d", ["width=4", "s3d.stem=space_to_depth"], "conv_1a.conv"),
    ("r2plus1d", ["width=4", "r2plus1d.depth=10"], "stem_spatial.conv"),
    ("nl_i3d", ["width=8", "depth=14", "nl_i3d.non_local_res3=[]"], "slow.stem.conv"),
    ("two_stream_cnn", ["width=4"], "conv1"),
    ("artnet", ["width=8"], "conv1.appearance.conv conv1.relation.conv"),
    ("eco", ["width=8"], "frames.conv1.conv"),
]


def build(family: str, overrides: list[str], channels: int = 3) -> nn.Module:
    values = [f"model.{value}" for value in overrides]
    values.append(f"model.backbone={family}")
    if channels != 3:
        values += ["model.streams=flow", f"model.flow.stack={channels // 2}"]
    return build_model(load_config("configs/kinetics/i3d_r50_8x8.yaml", values))


def save(model: nn.Module, path: Path) -> Path:
    torch.save({"state_dict": model.state_dict()}, path)
    return path


@pytest.mark.parametrize(("family", "overrides", "first"), NETWORKS)
@pytest.mark.parametrize("channels", [2, 20])
def test_gray_frames_and_as_many_channels_of_flow_are_the_same_to_the_first_convolution(
    family: str, overrides: list[str], first: str, channels: int, tmp_path: Path
) -> None:
    """Each flow channel has the mean of three kernels: C equal channels give C / 3 of the gray."""
    rgb = build(family, overrides)
    flow = build(family, overrides, channels)
    report = load_weights(flow, save(rgb, tmp_path / "rgb.pth"), across_modalities=True)
    assert not report.wrong_shape
    assert f"each of {channels} channels of flow" in str(report)
    kernels = [f"{name}.weight" for name in first.split()]
    found = flow.backbone.state_dict()
    for name, tensor in rgb.backbone.state_dict().items():
        if name in kernels:
            expected = tensor.sum(1) * (channels / 3)
            torch.testing.assert_close(found[name].sum(1), expected, rtol=1e-4, atol=1e-5)
        else:
            assert torch.equal(found[name], tensor), name


def test_places_of_a_stem_on_blocks_of_pixels_keep_their_own_means() -> None:
    name = "backbone.conv_1a.conv.weight"
    kernel = torch.arange(24.0).reshape(1, 24, 1, 1, 1).expand(-1, -1, 2, 4, 4)
    target = torch.empty(1, 16, 2, 4, 4)
    tensors, channels = spread_rgb({name: kernel}, {name: target})
    assert channels == 2
    expected = torch.arange(1.0, 24, 3).repeat_interleave(2)
    assert torch.equal(tensors[name][0, :, 0, 0, 0], expected)


def test_images_are_spread_and_inflated_at_once(tmp_path: Path) -> None:
    rgb = build("i3d", ["width=8", "depth=14", "num_classes=1000"])
    images = {
        to_imagenet(name): tensor[:, :, 0] if tensor.ndim == 5 else tensor
        for name, tensor in rgb.state_dict().items()
    }
    torch.save(images, tmp_path / "resnet.pth")
    flow = build("i3d", ["width=8", "depth=14", "num_classes=1000"], 20)
    load_weights(flow, tmp_path / "resnet.pth", across_modalities=True)
    stem = flow.state_dict()["backbone.slow.stem.conv.weight"]
    expected = images["conv1.weight"].mean(1) / 5  # of five frames
    torch.testing.assert_close(stem, expected[:, None, None].expand_as(stem))


def test_nothing_is_spread_unasked(tmp_path: Path) -> None:
    rgb = build("i3d_inception", ["width=4"])
    flow = build("i3d_inception", ["width=4"], 2)
    path = save(rgb, tmp_path / "rgb.pth")
    with pytest.raises(WeightsError, match=r"of model\.streams=rgb, the model has flow"):
        load_weights(flow, path)


def test_flow_begins_no_other_stack_of_flow(tmp_path: Path) -> None:
    path = save(build("i3d_inception", ["width=4"], 2), tmp_path / "flow.pth")
    facts = {3: r"streams=flow, the model has rgb", 20: r"flow\.stack=1, the model has 10"}
    for channels, expected in facts.items():
        with pytest.raises(WeightsError, match=expected):
            load_weights(
                build("i3d_inception", ["width=4"], channels), path, across_modalities=True
            )


@pytest.mark.parametrize(("channels", "shift"), [(3, 0), (20, 2)])
def test_the_field_that_jeffreyyihuang_puts_last_comes_first(
    channels: int, shift: int, tmp_path: Path
) -> None:
    overrides = ["width=8", "depth=14", "two_stream_cnn.architecture=resnet", "num_classes=101"]
    expected = build("two_stream_cnn", overrides, channels)
    state: dict[str, Tensor] = {
        to_imagenet(name).replace("fc.", "fc_custom.").replace("conv1.w", "conv1_custom.w")
        if not name.startswith("backbone.slow.res")
        else to_imagenet(name): tensor[:, :, 0] if tensor.ndim == 5 else tensor
        for name, tensor in without_counters(expected.state_dict()).items()
    }
    state["conv1_custom.weight"] = state["conv1_custom.weight"].roll(-shift, 1)
    torch.save({"epoch": 3, "state_dict": state, "best_prec1": 79.4}, tmp_path / "best.pth.tar")
    model = build("two_stream_cnn", overrides, channels)
    report = load_weights(model, tmp_path / "best.pth.tar")
    assert report.source == "jeffreyyihuang"
    for name, tensor in without_counters(expected.state_dict()).items():
        assert torch.equal(model.state_dict()[name], tensor), name
