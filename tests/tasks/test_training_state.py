"""The state that --resume goes on from must be of the same optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ava_det.checkpoint import save_checkpoint
from ava_det.config import Config, ConfigError, config_to_dict
from ava_det.tasks.training_run import STATE_KEYS, load_training_state


def save_state(path: Path, **train: Any) -> Config:
    """Saves a state trained with these keys of `train`; returns the default config."""
    config = Config()
    values = config_to_dict(config)
    values["train"] |= train
    save_checkpoint(path, {**dict.fromkeys(STATE_KEYS, 0), "optimizer": {}, "config": values})
    return config


def test_another_optimizer_or_layer_decay_cannot_go_on(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    config = save_state(path)
    assert load_training_state(config, path)["config"] == config_to_dict(config)
    for key, value in (("optimizer", "adamw"), ("layer_decay", 0.75), ("ema_decay", 0.9)):
        config = save_state(path, **{key: value})
        with pytest.raises(ConfigError, match=rf"train\.{key}: expected {value}, with which .*"):
            load_training_state(config, path)


def test_a_state_from_before_layer_decay_goes_on_without_it(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    config = Config()
    values = config_to_dict(config)
    del values["train"]["layer_decay"]
    save_checkpoint(path, {**dict.fromkeys(STATE_KEYS, 0), "optimizer": {}, "config": values})
    assert load_training_state(config, path)
