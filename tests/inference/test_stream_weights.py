"""Weights of two-stream networks: from a file of each stream, or of both."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ava_det.checkpoint import WeightsError, load_weights
from ava_det.checkpoint.architecture import describe_network
from ava_det.commands import convert
from ava_det.config import config_to_dict, load_config
from ava_det.inference.stream_weights import load_streams
from ava_det.inference.trained_model import load_plain_model
from ava_det.models.build import build_model

CONFIG = "configs/kinetics/i3d_inception_flow.yaml"
SMALL = ("model.width=4", "model.num_classes=3", "weights=null")
FUSIONS = ["late", "map"]


def build(streams: str, *overrides: str) -> nn.Module:
    values = [*SMALL, f"model.streams={streams}", *(f"model.{value}" for value in overrides)]
    model = build_model(load_config(CONFIG, values)).eval()
    generator = torch.Generator().manual_seed(len(streams))
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(drawn + 0.5 if name.endswith("running_var") else drawn - 0.5)
    return model


def save(model: nn.Module, path: Path) -> Path:
    torch.save({"model": model.state_dict()}, path)
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {stream: save(build(stream), tmp_path / f"{stream}.pt") for stream in ("rgb", "flow")}


def entries_of(model: nn.Module, before: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(before): tensor
        for name, tensor in model.state_dict().items()
        if name.startswith(before)
    }


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_each_half_from_its_own_file(files: dict[str, Path]) -> None:
    model = build("two_stream", "flow.weights=[0.25,1.0]")
    loaded = load_streams(model, files["rgb"], files["flow"])
    assert [part.stream for part in loaded] == ["rgb", "flow"]
    for stream in ("rgb", "flow"):
        assert_same(entries_of(model, f"{stream}."), build(stream).state_dict())
    slow, flow = torch.randn(1, 3, 16, 64, 64), torch.randn(1, 2, 16, 64, 64)
    with torch.no_grad():
        expected = 0.25 * build("rgb")(slow) + build("flow")(flow=flow)
        assert torch.allclose(model(slow, flow=flow), expected, rtol=1e-4)


def test_at_the_maps_the_head_is_that_of_rgb(files: dict[str, Path]) -> None:
    model = build("two_stream", "flow.fusion=map")
    load_streams(model, files["rgb"], files["flow"])
    for stream in ("rgb", "flow"):
        expected = entries_of(build(stream), "backbone.")
        assert_same(entries_of(model, f"backbone.{stream}."), expected)
    assert_same(entries_of(model, "head."), entries_of(build("rgb"), "head."))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_training_may_begin_flow_with_weights_of_rgb(files: dict[str, Path], fusion: str) -> None:
    model = build("two_stream", f"flow.fusion={fusion}", "flow.stack=5")
    rgb, flow = load_streams(model, files["rgb"], files["rgb"], ("head",), across_modalities=True)
    assert rgb.report.spread_channels is None
    assert flow.report.spread_channels == 10
    before = "flow.backbone." if fusion == "late" else "backbone.flow."
    stem = model.state_dict()[f"{before}conv_1a.conv.weight"]
    mean = build("rgb").state_dict()["backbone.conv_1a.conv.weight"].mean(1, keepdim=True)
    torch.testing.assert_close(stem, mean.expand_as(stem))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_file_of_both_is_read_back_whole(fusion: str, tmp_path: Path) -> None:
    expected = build("two_stream", f"flow.fusion={fusion}")
    state = {f"module.{name}": tensor for name, tensor in expected.state_dict().items()}
    torch.save({"model": state, "epoch": 3}, tmp_path / "last.pt")
    for load in (load_weights, load_streams):
        model = build("two_stream", f"flow.fusion={fusion}")
        nn.init.zeros_(next(iter(model.parameters())))
        load(model, tmp_path / "last.pt")
        assert_same(model.state_dict(), expected.state_dict())


def test_both_streams_of_scores_begin_a_network_of_maps(tmp_path: Path) -> None:
    late = build("two_stream", "num_classes=7")
    model = build("two_stream", "flow.fusion=map")
    load_streams(model, save(late, tmp_path / "late.pt"), None, ("head",))
    for stream in ("rgb", "flow"):
        expected = entries_of(late, f"{stream}.backbone.")
        assert_same(entries_of(model, f"backbone.{stream}."), expected)


def test_one_half_alone_begins_a_training_and_scores_nothing(files: dict[str, Path]) -> None:
    model = build("two_stream")
    before = {name: tensor.clone() for name, tensor in entries_of(model, "rgb.").items()}
    (flow,) = load_streams(model, None, files["flow"], ("head",))
    assert flow.stream == "flow"
    assert_same(entries_of(model, "rgb."), before)
    with pytest.raises(WeightsError, match=r"rgb\.pt: expected weights of both streams, found no"):
        load_streams(model, files["rgb"])


def test_files_in_each_others_place_are_refused_by_name(files: dict[str, Path]) -> None:
    with pytest.raises(WeightsError, match=r"flow\.pt.* of model\.streams=flow, the model has rgb"):
        load_streams(build("two_stream"), files["flow"], files["rgb"])


def test_a_second_source_of_one_stream_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    both = save(build("two_stream"), tmp_path / "both.pt")
    with pytest.raises(WeightsError, match=r"both\.pt: has both streams, expected no flow_weights"):
        load_streams(build("two_stream"), both, files["flow"])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_misfit_names_the_streams(files: dict[str, Path], fusion: str, tmp_path: Path) -> None:
    model = build("two_stream", f"flow.fusion={fusion}")
    assert describe_network(model.state_dict())["model.flow.fusion"] == fusion
    with pytest.raises(WeightsError, match=r"streams=rgb, the model has two_stream"):
        load_weights(model, files["rgb"])
    with pytest.raises(WeightsError, match=r"streams=two_stream, the model has flow"):
        load_weights(build("flow"), save(model, tmp_path / "both.pt"))
    other = build("two_stream", f"flow.fusion={FUSIONS[1 - FUSIONS.index(fusion)]}")
    with pytest.raises(WeightsError, match=rf"fusion={fusion}, the model has"):
        load_weights(other, tmp_path / "both.pt")


def test_convert_names_other_flow_before_it_is_forgotten(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(files["flow"])
    content["config"] = config_to_dict(load_config(CONFIG, SMALL))
    torch.save(content, files["flow"])
    named = ["--weights", str(files["flow"]), "--output", str(tmp_path / "own.safetensors")]
    assert convert.main([*named, "--config", CONFIG, *SMALL]) == 0
    assert capsys.readouterr().err == ""
    assert convert.main([*named, "--config", CONFIG, *SMALL, "data.flow_algorithm=dis"]) == 0
    [warning] = capsys.readouterr().err.splitlines()
    assert "flow.pt was trained on flow of data.flow_algorithm=tvl1, here it is dis" in warning


def test_convert_joins_a_file_of_each(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--weights", files["rgb"], "--flow-weights", files["flow"], "--config", CONFIG]
    target = tmp_path / "both.safetensors"
    arguments = [*map(str, named), "--output", str(target), *SMALL]
    assert convert.main([*arguments, "model.streams=two_stream"]) == 0
    said = capsys.readouterr().out
    assert f"{files['rgb']}, rgb: " in said and f"{files['flow']}, flow: " in said
    config = load_config(CONFIG, [*SMALL, "model.streams=two_stream"])
    model, _ = load_plain_model(config, target)
    for stream in ("rgb", "flow"):
        assert_same(entries_of(model, f"{stream}."), build(stream).state_dict())
    assert convert.main(arguments) == 2
    assert (
        "--flow-weights: expected a config of model.streams two_stream" in capsys.readouterr().err
    )
