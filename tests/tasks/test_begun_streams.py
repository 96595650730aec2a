"""What a training of two streams begins with, and what it says of its weights."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from torch import nn

from ava_det.checkpoint import WeightsError
from ava_det.config import Config, ConfigError, config_to_dict, load_config
from ava_det.models.build import build_model
from ava_det.tasks.action_detection import build_action_model
from ava_det.tasks.run_folder import RunFolder
from ava_det.tasks.training_run import TrainingRun

CONFIG = "configs/ava/i3d_two_stream.yaml"
CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Overrides that name a small classifier of RGB, and one of flow by DIS."""
    overrides = ["weights=null", "flow_weights=null", "model.width=4", "model.head=classification"]
    named = []
    for stream, key in (("rgb", "weights"), ("flow", "flow_weights")):
        own = [f"model.streams={stream}", "data.flow_algorithm=dis"]
        config = load_config(CONFIG, [*overrides, *own])
        content = {"model": build_model(config).state_dict(), "config": config_to_dict(config)}
        torch.save(content, tmp_path / f"{stream}.pt")
        named.append(f"{key}={tmp_path}/{stream}.pt")
    return named


def begin(config: Config, folder: Path, eval_only: bool = False) -> nn.Module:
    run = TrainingRun(config, RunFolder(str(folder)), CPU, "fp32", False, eval_only)
    return build_action_model(run)


def test_each_stream_is_said_and_other_flow_is_named(
    files: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = load_config(CONFIG, ["model.width=4", *files])
    with caplog.at_level(logging.WARNING, "ava_det"):
        model = begin(config, tmp_path / "run")
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        f"{tmp_path}/rgb.pt, rgb",
        f"{tmp_path}/flow.pt, flow",
    ]
    assert all("left out" in line or "not in the model" in line for line in lines)
    [warning] = caplog.messages
    assert "flow.pt was trained on flow of data.flow_algorithm=dis, here it is tvl1" in warning
    stored = torch.load(tmp_path / "flow.pt")["model"]["backbone.conv_1a.conv.weight"]
    assert torch.equal(model.state_dict()["backbone.flow.conv_1a.conv.weight"], stored)


def test_weights_of_rgb_begin_flow_and_have_learned_no_flow(
    files: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    rgb = files[0].partition("=")[2]
    config = load_config(CONFIG, ["model.width=4", f"weights={rgb}", f"flow_weights={rgb}"])
    with caplog.at_level(logging.WARNING, "ava_det"):
        begin(config, tmp_path / "run")
    said = capsys.readouterr().out
    assert said.count("each of 2 channels of flow has the mean") == 1
    assert not caplog.messages


def test_nothing_is_scored_with_half_of_a_network(files: list[str], tmp_path: Path) -> None:
    config = load_config(CONFIG, ["model.width=4", files[0], "flow_weights=null"])
    with pytest.raises(WeightsError, match="expected weights of both streams, found none of flow"):
        begin(config, tmp_path / "run", eval_only=True)


def test_a_network_of_one_stream_takes_one_file(files: list[str]) -> None:
    with pytest.raises(
        ConfigError, match=r"flow_weights: expected null, or model\.streams two_stream"
    ):
        load_config(CONFIG, ["model.streams=flow", *files])
