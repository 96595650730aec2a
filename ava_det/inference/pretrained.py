"""Finds what belongs to weights: their config, their network, the names of their actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ava_det.checkpoint import load_checkpoint
from ava_det.checkpoint.zoo import ZOO
from ava_det.choices import EXPORT_FORMATS
from ava_det.config import Config, ConfigError, config_from_dict, find_shipped, load_config
from ava_det.data.build import load_label_map_for
from ava_det.export import ExportedModel, read_facts
from ava_det.formats.label_map import load_label_map
from ava_det.inference.trained_model import load_trained_model

DEFAULT_THRESHOLD = 0.5
AVA_ACTIONS = "configs/ava/actions.pbtxt"  # names for AVA weights that contain none


@dataclass(frozen=True)
class TrainedNetwork:
    """Describes a network and what its scores mean.

    Attributes:
        model: The network.
        label_map: Action id (1-based) to name.
        thresholds: Action id to the score from which the action is shown: what the weights contain
            (`thresholds`: {action id: score}), else 0.5.
    """

    model: nn.Module
    label_map: Mapping[int, str]
    thresholds: Mapping[int, float]


def choose_runtime(weights: str | Path, runtime: str) -> str:
    """Returns the runtime of weights: that of an exported file by its suffix, or `runtime`."""
    if runtime != "torch":
        return runtime
    runtimes = {suffix: name for name, suffix in EXPORT_FORMATS.items()}
    return runtimes.get(Path(weights).suffix.lower(), runtime)


def choose_config(
    weights: str | Path, config: str | Path | None, overrides: Sequence[str], runtime: str
) -> Config:
    """Loads the config of a file, or without one that which belongs to the weights.

    Args:
        weights: A checkpoint, an exported file or a name of the model zoo.
        config: The config file, or None.
        overrides: `key=value` for the config.
        runtime: As `choose_runtime` returns it.

    Raises:
        ConfigError: The config does not exist, or its network scores no persons.
    """
    if config is not None:
        settings = load_config(config, overrides)
    elif runtime == "torch":
        settings = load_config_of(weights, overrides)
    else:
        settings = read_config(read_facts(weights, runtime)["config"], weights, overrides)
    if settings.model.head != "roi":
        raise ConfigError(
            f"model.head: expected roi, which scores each person, received {settings.model.head!r}"
        )
    return settings


def load_network(
    config: Config,
    weights: str | Path,
    device: torch.device,
    label_map: str | Path | None,
    runtime: str,
) -> TrainedNetwork:
    """Loads the network of `config` and the names and thresholds of its actions.

    Args:
        config: Of the network.
        weights: A checkpoint, an exported file or a name of the model zoo.
        device: Where the network runs.
        label_map: A file of action names, in place of those in the weights.
        runtime: As `choose_runtime` returns it.
    """
    model, names = load_trained_model(config, weights, device, runtime)
    if label_map is not None:
        names = load_label_map_for(
            replace(config, data=replace(config.data, label_map=str(label_map)))
        )
    names = names or load_names(config, weights)
    if isinstance(model, ExportedModel):
        stored = check_thresholds(model.facts.get("thresholds"), weights)
    else:
        stored = check_thresholds(load_checkpoint(weights).get("thresholds"), weights)
    thresholds = {action_id: stored.get(action_id, DEFAULT_THRESHOLD) for action_id in names}
    return TrainedNetwork(model, names, thresholds)


def load_config_of(weights: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Loads the config that belongs to weights: from a checkpoint, or the shipped one of a name.

    Frame grids of published weights begin with the video here, not where AVA's movies are cut.

    Raises:
        ConfigError: No config belongs to the weights.
    """
    name = str(weights)
    if name in ZOO:
        path = f"configs/ava/{name}.yaml"
        try:
            find_shipped(path)
        except ConfigError:
            raise ConfigError(
                f"--config: no shipped config belongs to {name}, expected the one to use"
            ) from None
        return load_config(path, ["data.grid_start_second=0", *overrides])
    return read_config(load_checkpoint(weights).get("config"), weights, overrides)


def read_config(stored: Any, weights: str | Path, overrides: Sequence[str]) -> Config:
    """Reads the config that a weights file contains; frame grids begin with the video.

    Args:
        stored: The config in the file.
        weights: The file.
        overrides: `key=value` for the config.

    Raises:
        ConfigError: The file contains none, or one that does not fit.
    """
    if not isinstance(stored, dict):
        raise ConfigError(
            f"--config: {weights} carries no config, expected the one it was trained by"
        )
    grid = [f"data.grid_start_second={stored.get('data', {}).get('start_second', 0)}"]
    return config_from_dict(stored, f"the config in {weights}", [*grid, *overrides])


def load_names(config: Config, weights: str | Path) -> dict[int, str]:
    """Loads the action names of weights that contain none.

    They are those of data.label_map, or AVA's for names of the model zoo.

    Returns:
        Action id to name.
    """
    label_map = config.data.label_map
    if (
        str(weights) in ZOO
        and config.model.num_classes == 80
        and not (label_map and Path(label_map).is_file())
    ):
        return load_label_map(find_shipped(AVA_ACTIONS))
    return load_label_map_for(config)


def check_thresholds(stored: Any, weights: str | Path) -> dict[int, float]:
    """Checks the thresholds in a weights file, by action id; most files have none.

    Raises:
        ConfigError: They are no scores by action id.
    """
    stored = stored or {}
    if not isinstance(stored, dict) or not all(
        isinstance(action_id, int) and isinstance(score, float) and 0 <= score <= 1
        for action_id, score in stored.items()
    ):
        raise ConfigError(
            f"{weights}: expected its thresholds to give a score 0..1 for each action id"
        )
    return stored
