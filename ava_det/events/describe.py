"""Converts events to plain values, for JSON lines, webhooks and commands, and names their files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ava_det.events.engine import Event
from ava_det.events.rules import SaveClip, SavePicture


def describe_event(event: Event, thresholds: Mapping[int, float]) -> dict[str, Any]:
    """Converts an event to plain values, as docs/events.md shows them.

    Args:
        event: The event.
        thresholds: By 1-based id, the score from which an action is named; those of the rule are
            named with any score.
    """
    named = frozenset() if event.rule.when is None else event.rule.when.actions
    persons = [
        {
            "track_id": person.track_id,
            "box_fraction": list(person.box),
            "score": person.score,
            "actions": [
                {"id": action.action_id, "name": action.name, "score": action.score}
                for action in person.actions
                if action.action_id in named
                or action.score >= thresholds.get(action.action_id, 2.0)
            ],
        }
        for person in event.persons
    ]
    value: dict[str, Any] = {
        "rule": event.rule.name,
        "video": event.video,
        "time": event.time,
        "start": event.start,
        "timestamp": event.timestamp,
        "persons": persons,
    }
    for deed in event.rule.do:
        if isinstance(deed, SavePicture):
            value["picture"] = str(name_file(event, deed.folder, ".png"))
        elif isinstance(deed, SaveClip):
            value["clip"] = str(name_file(event, deed.folder, ".mp4"))
    return value


def name_file(event: Event, folder: Path, suffix: str) -> Path:
    """Names the picture or clip of an event: FOLDER/RULE_VIDEO_SECONDS[_TRACK].suffix."""
    parts = [event.rule.name, event.video, f"{event.time:.3f}"]
    if event.rule.count is None:
        parts.append(str(event.persons[0].track_id))
    return folder / ("_".join(re.sub(r"[^\w.-]+", "-", part) for part in parts) + suffix)


def fill_arguments(arguments: tuple[str, ...], value: Mapping[str, Any]) -> list[str]:
    """Puts what is known of an event in the place of {rule}, {video}, {time} and so on.

    Args:
        arguments: A program and its arguments.
        value: The event, as `describe_event` gives it. A picture or clip it has not is "".
    """
    known = {name: str(value.get(name, "")) for name in ("rule", "video", "picture", "clip")}
    known["time"] = f"{value['time']:g}"
    known["persons"] = ",".join(str(person["track_id"]) for person in value["persons"])
    return [re.sub(r"{(\w+)}", lambda found: known[found[1]], one) for one in arguments]
