"""An exported network runs under the config it was exported with, and says what differs."""

from __future__ import annotations

import pytest

from ava_det.config import ConfigError, config_to_dict, load_config
from ava_det.inference.trained_model import require_same_network

CONFIG = "configs/synthetic/slowfast.yaml"
WHOSE = "network.onnx was exported with"


def test_what_is_only_of_training_may_differ() -> None:
    exported = config_to_dict(load_config(CONFIG))
    del exported["model"]["temporal_difference_init"]  # a file from before there was the key
    del exported["model"]["long_term"]  # likewise: it was exported with the default
    require_same_network(load_config(CONFIG, ["model.dropout=0.5"]), exported, WHOSE)


def test_a_bank_may_come_from_another_place() -> None:
    exported = config_to_dict(load_config(CONFIG))
    elsewhere = [f"model.long_term.{key}=/elsewhere" for key in ("bank_weights", "bank_dir")]
    require_same_network(load_config(CONFIG, elsewhere), exported, WHOSE)
    wider = load_config(CONFIG, ["model.long_term.window_seconds=8"])
    with pytest.raises(ConfigError, match=r"model\.long_term: expected"):
        require_same_network(wider, exported, WHOSE)


def test_another_network_or_another_clip_is_named() -> None:
    exported = config_to_dict(load_config(CONFIG))
    for override, key in (("model.alpha=2", "model.alpha"), ("data.clip_fps=25", "data.clip_fps")):
        with pytest.raises(
            ConfigError, match=rf"{key}: expected .* network.onnx was exported with"
        ):
            require_same_network(load_config(CONFIG, [override]), exported, WHOSE)


def test_other_flow_is_named_where_the_network_reads_flow() -> None:
    own = ["model.streams=flow", "model.backbone=slow_only"]
    exported = config_to_dict(load_config(CONFIG, own))
    with pytest.raises(ConfigError, match=r"data\.flow_gap: expected 1, as network\.onnx was exp"):
        require_same_network(load_config(CONFIG, [*own, "data.flow_gap=2"]), exported, WHOSE)
    rgb = config_to_dict(load_config(CONFIG))
    require_same_network(load_config(CONFIG, ["data.flow_gap=2"]), rgb, WHOSE)
