"""Finds actions by the names that people write."""

from __future__ import annotations

from collections.abc import Mapping


def shorten_names(label_map: Mapping[int, str]) -> dict[int, str]:
    """Shortens action names by what stands in brackets, wherever the short name stays unique.

    Args:
        label_map: Action id to name.

    Returns:
        Action id to short name.
    """
    short = {action_id: name.split("(")[0].strip() or name for action_id, name in label_map.items()}
    counts: dict[str, int] = {}
    for name in short.values():
        counts[name] = counts.get(name, 0) + 1
    return {
        action_id: name if counts[name] == 1 else label_map[action_id]
        for action_id, name in short.items()
    }


def find_action(text: str, label_map: Mapping[int, str]) -> int | None:
    """Finds the id of an action by its id, its name, or its name without what stands in brackets.

    Args:
        text: The id or name, in upper or lower case.
        label_map: Action id to name.

    Returns:
        The id, or None where the label map has no such action.
    """
    wanted = text.strip()
    if wanted.isdecimal() and int(wanted) in label_map:
        return int(wanted)
    for names in (label_map, shorten_names(label_map)):
        for action_id, name in names.items():
            if name.lower() == wanted.lower():
                return action_id
    return None
