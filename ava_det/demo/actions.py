"""Chooses the actions that the demo shows, and the score from which each is shown."""

from __future__ import annotations

from collections.abc import Mapping

from ava_det.config import ConfigError
from ava_det.demo.thresholds import parse_thresholds
from ava_det.formats.action_names import find_action


def choose_actions(classes: str | None, label_map: Mapping[int, str]) -> dict[int, str]:
    """Returns the part of a label map that --classes names; all of it for None.

    Raises:
        ConfigError: The label map has no such action.
    """
    if classes is None:
        return dict(label_map)
    wanted = {require_action(text, label_map, "--classes") for text in classes.split(",")}
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
        require_action(action, label_map, option): score for action, score in single.items()
    }


def require_action(text: str, label_map: Mapping[int, str], option: str) -> int:
    """Finds the id of an action as `find_action` does.

    Raises:
        ConfigError: The label map has no such action; the sentence names the option.
    """
    action_id = find_action(text, label_map)
    if action_id is None:
        raise ConfigError(
            f"{option}: expected an action's id or name of the label map, received {text!r}"
        )
    return action_id
