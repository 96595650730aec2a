"""Weights on frames unlike those they were trained on: said loudly, key by key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ava_det.checkpoint import save_checkpoint
from ava_det.config import config_to_dict, load_config
from ava_det.device.select import prepare_torch
from ava_det.inference.trained_model import load_trained_model
from ava_det.inference.unlike_input import describe_unlike_input

RunTool = Callable[..., tuple[int, str, str]]
PUBLISHED = ["pyslowfast/SLOWFAST_32x2_R101_50_50_v2.1", "mmaction2/slowfast_r50_8x8_v2.2"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_configs_fit_their_weights(name: str) -> None:
    assert describe_unlike_input(load_config(f"configs/ava/{name}.yaml"), name, {}) == []


@pytest.mark.parametrize(
    "override",
    [
        "frame_grid=seconds",
        "frame_colour=tagged",
        "box_arithmetic=exact",
        "slow_frame_policy=stride",
        "mean=[0,0,0]",
    ],
)
def test_each_wrong_key_of_published_weights_is_named(override: str) -> None:
    config = load_config(f"configs/ava/{PUBLISHED[0]}.yaml", [f"data.{override}"])
    [sentence] = describe_unlike_input(config, PUBLISHED[0], {})
    assert override.partition("=")[0] in sentence
    assert "expect lower scores" in sentence


def test_a_network_of_one_pathway_reads_every_frame() -> None:
    config = load_config(
        "configs/ava/pyslowfast/SLOW_8x8_R50.yaml", ["data.slow_frame_policy=stride"]
    )
    assert describe_unlike_input(config, "pyslowfast/SLOW_8x8_R50", {}) == []


def test_a_checkpoint_carries_what_it_saw(
    synthetic_config: list[str],
    tmp_path: Path,
    run_tool: RunTool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, _ = run_tool("train_ava", *synthetic_config)
    assert code == 0
    weights = tmp_path / "run/checkpoints/last.pt"
    path = synthetic_config[1]
    overrides = synthetic_config[2:]
    for extra, expected in ((["data.frame_colour=bt601"], 1), ([], 0)):
        config = load_config(path, [*overrides, *extra])
        load_trained_model(config, weights, prepare_torch(config))
        stderr = capsys.readouterr().err
        assert (
            stderr.count("was trained with data.frame_colour=tagged, here it is bt601") == expected
        )


def test_weights_that_do_not_say_are_taken_as_they_are(tmp_path: Path) -> None:
    config = load_config("configs/ava/slowfast_r50_4x16.yaml")
    old = config_to_dict(config)
    del old["data"]["frame_colour"]
    for content in ({}, {"config": "text"}, {"config": old}):
        save_checkpoint(tmp_path / "old.pt", content)
        assert describe_unlike_input(config, tmp_path / "old.pt", content) == []


FLOW = "configs/kinetics/i3d_inception_flow.yaml"


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("piergiaj/flow_imagenet", FLOW),
        ("vmz/r2.5d_d34_l32_ft_sports1m_optical_flow", "configs/kinetics/r2plus1d_34_flow.yaml"),
    ],
)
def test_published_weights_of_flow_name_what_differs_in_one_sentence(
    name: str, config: str
) -> None:
    assert describe_unlike_input(load_config(config), name, {}) == []
    other = load_config(config, ["data.flow_algorithm=dis", "data.flow_std=[1,1]"])
    [sentence] = describe_unlike_input(other, name, {})
    assert sentence.startswith(f"{name} was trained on flow of data.flow_algorithm=")
    assert sentence.endswith(", here they are dis, [1.0, 1.0]: expect lower scores")


def test_a_checkpoint_of_flow_carries_what_it_saw_and_one_of_rgb_does_not() -> None:
    here = load_config(FLOW, ["data.flow_gap=2"])
    learned = config_to_dict(load_config(FLOW))
    [sentence] = describe_unlike_input(here, "last.pt", {"config": learned})
    assert "flow of data.flow_gap=1, here it is 2" in sentence
    without = config_to_dict(load_config(FLOW, ["model.streams=rgb"]))
    assert describe_unlike_input(here, "last.pt", {"config": without}) == []
    rgb = load_config(FLOW, ["model.streams=rgb", "data.flow_gap=2"])
    assert describe_unlike_input(rgb, "last.pt", {"config": learned}) == []
