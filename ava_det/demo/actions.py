"""Chooses the actions that the demo shows, and the score from which each is shown."""

from __future__ import annotations

from collections.abc import Mapping

from ava_det.config import ConfigError
from ava_det.demo.thresholds import parse_thresholds
from ava_det.visualization import shorten_names


def choose_actions(classes: str | None, label_map: Mapping[int, str]) -> dict[int, str]:
    """Returns the part of a label map that --classes names; all of it for None.

    Raises:
        ConfigError: The label map has no such action.
    """
    if classes is None:
        return dict(label_map)
    wanted = {find_action(text, label_map, "--classes") for text in classes.split(",")}
    return {action_id: name for action_id, name in label_map.items() if action_id in wanted}


def choose_thresholds(
    text: str | None,
    label_map: Mapping[int, str],
    stored: Mapping[int, float],
    option: str = "--threshold",
) -> dict[int, float]:
    """Returns a score for each action: that of an option such as --threshold, else the stored one.

    Args:
        text: Of the option, or None.
        label_map: Action id to name.
        stored: Action id to score.
        option: Named in the error.

    Raises:
        ConfigError: The label map has no such action.
    """
    overall, single = parse_thresholds(text) if text is not None else (None, {})
    chosen = {
        action_id: stored[action_id] if overall is None else overall for action_id in label_map
    }
    return chosen | {
        find_action(action, label_map, option): score for action, score in single.items()
    }


def find_action(text: str, label_map: Mapping[int, str], option: str) -> int:
    """Finds the id of an action by its id, its name, or its name without what stands in brackets.

    Args:
        text: The id or name.
        label_map: Action id to name.
        option: Named in the error.

    Raises:
        ConfigError: The label map has no such action.
    """
    wanted = text.strip()
    if wanted.isdecimal() and int(wanted) in label_map:
        return int(wanted)
    for names in (label_map, shorten_names(label_map)):
        for action_id, name in names.items():
            if name.lower() == wanted.lower():
                return action_id
    raise ConfigError(
        f"{option}: expected an action's id or name of the label map, received {text!r}"
    )
