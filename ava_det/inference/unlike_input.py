"""Says how the input of a config differs from that which weights were trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ava_det.checkpoint.published import FLOW_INPUTS, FLOW_KEYS
from ava_det.checkpoint.zoo import INPUTS_BY_SOURCE, ZOO
from ava_det.config import Config
from ava_det.config.networks import FAMILIES


def describe_unlike_input(
    config: Config, weights: str | Path, content: Mapping[str, Any]
) -> list[str]:
    """Describes how frames and scores of this config differ from those the weights learned.

    Args:
        config: Of the network.
        weights: A checkpoint or a name of the model zoo.
        content: Of the weights file; a checkpoint of this toolkit contains its config.

    Returns:
        One sentence a key; none for weights that do not say.
    """
    name = str(weights)
    carried = {} if name in ZOO else _read_sections(content, ("data", "model"))
    settings = (
        INPUTS_BY_SOURCE.get(name.partition("/")[0], {}) if name in ZOO else carried.get("data", {})
    )
    keys = [
        key
        for key in INPUTS_BY_SOURCE["pyslowfast"]
        if key in settings and settings[key] != getattr(config.data, key)
    ]
    if len(FAMILIES[config.model.backbone].clips) == 1 and "slow_frame_policy" in keys:
        keys.remove("slow_frame_policy")  # one pathway reads every frame
    sentences = [
        f"{name} was trained with data.{key}={settings[key]}, "
        f"here it is {getattr(config.data, key)}: expect lower scores"
        for key in keys
    ]
    # a checkpoint that is older than the key learned a sigmoid for each action
    learned = carried.get("model", {}).get("multilabel", True)
    if "model" in carried and learned != config.model.multilabel:
        sentences.append(
            f"{name} was trained with model.multilabel={learned}, here it is "
            f"{config.model.multilabel}: the scores are not those that were learned"
        )
    return sentences + describe_unlike_flow(config, weights, content)


def describe_unlike_flow(
    config: Config, weights: str | Path, content: Mapping[str, Any]
) -> list[str]:
    """Describes how the optical flow of this config differs from that the weights learned.

    Args:
        config: Of the network.
        weights: A checkpoint or a name of the model zoo.
        content: Of the weights file; a checkpoint of this toolkit contains its config.

    Returns:
        One sentence; none where the network reads no flow, or the weights do not say.
    """
    if config.model.streams == "rgb":
        return []
    name = str(weights)
    sections = _read_sections(content, ("data", "model"))
    has_flow = sections.get("model", {}).get("streams", "rgb") != "rgb"
    learned = sections.get("data", {}) if has_flow else {}
    settings = FLOW_INPUTS.get(name, {}) if name in ZOO else learned
    keys = [
        key for key in FLOW_KEYS if key in settings and settings[key] != getattr(config.data, key)
    ]
    if not keys:
        return []
    theirs = ", ".join(f"data.{key}={settings[key]}" for key in keys)
    ours = ", ".join(str(getattr(config.data, key)) for key in keys)
    verb = "it is" if len(keys) == 1 else "they are"
    return [f"{name} was trained on flow of {theirs}, here {verb} {ours}: expect lower scores"]


def _read_sections(
    content: Mapping[str, Any], names: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Returns those sections of the config in a weights file that it has."""
    config = content.get("config")
    sections = config if isinstance(config, Mapping) else {}
    return {name: sections[name] for name in names if isinstance(sections.get(name), Mapping)}
