"""Loads the network of a config with its weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ava_det.checkpoint import load_checkpoint, load_weights
from ava_det.checkpoint.published import FLOW_KEYS
from ava_det.checkpoint.zoo import INPUTS_BY_SOURCE
from ava_det.config import Config, ConfigError, config_to_dict
from ava_det.device.precision import resolve_precision
from ava_det.distributed import is_main_process
from ava_det.export import load_exported
from ava_det.inference.unlike_input import describe_unlike_input
from ava_det.models.build import build_model
from ava_det.models.inference_form import optimize_for_inference

logger = logging.getLogger("ava_det")

# Keys of `model` without effect once a network is trained.
ONLY_OF_TRAINING = {
    "dropout",
    "zero_init_last_gamma",
    "temporal_difference_init",
    "drop_path",
    "checkpoint_activations",
}
# Keys of `model.long_term` that say where the bank comes from: its network is not exported.
FILES_OF_BANK = {"bank_weights", "bank_config", "bank_dir"}


def load_trained_model(
    config: Config, weights: str | Path, device: torch.device, runtime: str = "torch"
) -> tuple[nn.Module, dict[int, str] | None]:
    """Loads the network of `config` in the form that runs fastest on the device.

    bf16 is fp32, with a warning, on a device that does not compute it natively.

    Args:
        config: Of the network; `precision` is read too.
        weights: A checkpoint or a name of the model zoo; a file of `ava-det export` for the other
            runtimes.
        device: Where the network runs.
        runtime: torch, onnx or openvino.

    Returns:
        The network, and the label map in its weights, if any.
    """
    if runtime != "torch":
        exported = load_exported(weights, runtime, device, config.precision)
        require_same_network(config, exported.facts["config"], f"{weights} was exported with")
        return exported, exported.facts["label_map"]
    model, label_map = load_plain_model(config, weights)
    precision = resolve_precision(config.precision, device)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return optimize_for_inference(model, device, dtype), label_map


def load_plain_model(
    config: Config, weights: str | Path
) -> tuple[nn.Module, dict[int, str] | None]:
    """Loads the network of `config` on the CPU, in the form that is trained.

    Args:
        config: Of the network.
        weights: A checkpoint or a name of the model zoo.

    Returns:
        The network, and the label map in its weights, if any.
    """
    model = build_model(config)
    load_weights(model, weights)
    content = load_checkpoint(weights)
    if is_main_process():
        for sentence in describe_unlike_input(config, weights, content):
            logger.warning(sentence)
    return model, _carried_label_map(content, weights)


def load_carried_label_map(weights: str | Path) -> dict[int, str] | None:
    """Reads the label map in a weights file, None where there is none.

    Raises:
        ConfigError: It does not give a name for each action id.
    """
    return _carried_label_map(load_checkpoint(weights), weights)


def _carried_label_map(content: Mapping[str, Any], weights: str | Path) -> dict[int, str] | None:
    label_map = content.get("label_map")
    if label_map is not None and not (
        isinstance(label_map, dict) and all(isinstance(key, int) for key in label_map)
    ):
        raise ConfigError(f"{weights}: expected its label_map to give a name for each action id")
    return label_map


def require_same_network(config: Config, other: Mapping[str, Any], whose: str) -> None:
    """Checks that a config has the layers and clips of another one.

    Args:
        config: The config.
        other: The other one, as a dict.
        whose: What the other one is, as a clause: `FILE was exported with`.

    Raises:
        ConfigError: A key differs.
    """
    settings = config_to_dict(config)
    defaults = config_to_dict(Config())  # of keys that are younger than the export
    model_keys = [key for key in settings["model"] if key not in ONLY_OF_TRAINING]
    data_keys = ["clip_fps", *INPUTS_BY_SOURCE["pyslowfast"]]
    if config.model.streams != "rgb":
        data_keys += FLOW_KEYS
    keys = [("model", key) for key in model_keys] + [("data", key) for key in data_keys]
    for section, key in keys:
        expected = other.get(section, {}).get(key, defaults[section][key])
        received = settings[section][key]
        if _without_training(received) != _without_training(expected):
            raise ConfigError(
                f"{section}.{key}: expected {expected!r}, as {whose}, received {received!r}"
            )


def _without_training(value: Any) -> Any:
    """Leaves out of a section what is not of the exported network: training, files of the bank."""
    if not isinstance(value, dict):
        return value
    left_out = ONLY_OF_TRAINING | FILES_OF_BANK
    return {key: inner for key, inner in value.items() if key not in left_out}
