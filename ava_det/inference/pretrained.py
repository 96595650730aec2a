"""Weights by name or file to a Predictor that knows its actions: the one line a program or the demo
starts with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from ava_det.checkpoint import load_checkpoint
from ava_det.checkpoint.zoo import ZOO
from ava_det.config import Config, ConfigError, config_from_dict, find_shipped, load_config
from ava_det.data.build import build_clip_reader, load_label_map_for
from ava_det.data.transforms import normalise_batch
from ava_det.detectors import PersonDetector
from ava_det.detectors.registry import build_detector
from ava_det.device.precision import resolve_precision
from ava_det.device.select import prepare_torch
from ava_det.formats.label_map import load_label_map
from ava_det.inference import predictor as inference
from ava_det.inference.trained_model import load_trained_model
from ava_det.structures import PersonBoxes

DEFAULT_ACTION_WEIGHTS = "pyslowfast/SLOWFAST_32x2_R101_50_50"
DEFAULT_THRESHOLD = 0.5
AVA_ACTIONS = "configs/ava/actions.pbtxt"  # names for AVA weights that carry none


class Predictor(inference.Predictor):
    """A Predictor with the names of its actions.

    label_map: action id (1-based) to name. thresholds: from which score on each action counts as
    seen: what the checkpoint says (`thresholds`: {action id: score}), else 0.5. start_second: what
    the first frame is worth.
    """

    def __init__(
        self,
        config: Config,
        model: nn.Module,
        persons: PersonDetector | PersonBoxes,
        device: torch.device,
        label_map: Mapping[int, str],
        thresholds: Mapping[int, float],
    ) -> None:
        if config.model.head != "roi":
            raise ConfigError(
                f"model.head: expected roi, which scores each person, received {config.model.head!r}"
            )
        data = config.data
        super().__init__(
            model,
            persons,
            build_clip_reader(config),
            data.test_short_side,
            partial(normalise_batch, mean=data.mean, std=data.std, device=device),
            config.model.num_classes,
            data.min_person_score,
            data.start_second,
            config.eval.batch_size,
            resolve_precision(config.precision, device),
        )
        self.label_map = dict(label_map)
        self.thresholds = dict(thresholds)
        self.start_second = data.start_second

    @classmethod
    def from_pretrained(
        cls,
        weights: str | Path = DEFAULT_ACTION_WEIGHTS,
        detector: str | PersonDetector | PersonBoxes = "auto",
        device: str | None = None,
        config: str | Path | None = None,
        overrides: Sequence[str] = (),
        label_map: str | Path | None = None,
        runtime: str = "torch",
    ) -> Self:
        """Loads weights, and a person detector.

        weights: a checkpoint of ours, or a name of MODEL_ZOO.md, downloaded once. detector: a name
        as in docs/person_boxes.md, an object that finds persons, or the boxes of a file
        (`load_boxes`). device: auto, cpu, cuda or cuda:N. config: the experiment the weights belong
        to; without it the one the checkpoint carries, or the shipped one of that name. overrides:
        `key=value` for the config. label_map: a file of action names, where those the weights carry
        are not wanted. runtime: torch, or onnx or openvino for an exported file. Raises ConfigError
        or WeightsError (both ValueError), in one sentence.
        """
        chosen = [*overrides] if device is None else [*overrides, f"device={device}"]
        settings = (
            load_config(config, chosen) if config is not None else load_config_of(weights, chosen)
        )
        place = prepare_torch(settings)
        persons = (
            build_detector(detector, place, settings.precision)
            if isinstance(detector, str)
            else detector
        )
        model, carried = load_trained_model(settings, weights, place, runtime)
        if label_map is not None:
            carried = load_label_map_for(
                replace(settings, data=replace(settings.data, label_map=str(label_map)))
            )
        names = carried or load_names(settings, weights)
        stored = load_thresholds(weights) if runtime == "torch" else {}
        thresholds = {action_id: stored.get(action_id, DEFAULT_THRESHOLD) for action_id in names}
        return cls(settings, model, persons, place, names, thresholds)


def load_config_of(weights: str | Path, overrides: Sequence[str] = ()) -> Config:
    """The config that belongs to weights: what a checkpoint of ours carries, or the shipped one of
    a zoo name.

    Frame grids of published weights begin with the video here, not where AVA's movies are cut.
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
    carried = load_checkpoint(weights).get("config")
    if not isinstance(carried, dict):
        raise ConfigError(f"--config: {name} carries no config, expected the one it was trained by")
    grid = [f"data.grid_start_second={carried.get('data', {}).get('start_second', 0)}"]
    return config_from_dict(carried, f"the config in {name}", [*grid, *overrides])


def load_names(config: Config, weights: str | Path) -> dict[int, str]:
    """Action id to name, of weights that carry none: of data.label_map, or AVA's own for names of
    the zoo.
    """
    given = config.data.label_map
    if (
        str(weights) in ZOO
        and config.model.num_classes == 80
        and not (given and Path(given).is_file())
    ):
        return load_label_map(find_shipped(AVA_ACTIONS))
    return load_label_map_for(config)


def load_thresholds(weights: str | Path) -> dict[int, float]:
    """The thresholds a checkpoint carries, by action id; none for most."""
    stored: Any = load_checkpoint(weights).get("thresholds") or {}
    if not isinstance(stored, dict) or not all(
        isinstance(action_id, int) and isinstance(score, float) and 0 <= score <= 1
        for action_id, score in stored.items()
    ):
        raise ConfigError(
            f"{weights}: expected its thresholds to give a score 0..1 for each action id"
        )
    return stored
