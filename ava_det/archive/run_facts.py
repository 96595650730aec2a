"""Keeps results of one archive alike: what they were made with is written once, in `run.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ava_det.jobs.settings import ChangedSetting, find_changes
from ava_det.jobs.store import Store

RUN = "run.json"


def require_same_run(store: Store, facts: Mapping[str, Any]) -> None:
    """Writes the facts of the first run, and compares those of later ones with them.

    Args:
        store: Of the archive.
        facts: See `Labeler.facts`.

    Raises:
        ValueError: The results were made with something else.
    """
    if store.create(RUN, (json.dumps(facts, indent=2) + "\n").encode("ascii")):
        return
    for change in find_changes(json.loads(store.read(RUN)), facts):
        name, before, now = _look_into(change)
        raise ValueError(
            f"{store.address}/{RUN}: the results there were made with {name} {_shorten(before)}, "
            f"expected the same or another --output, received {_shorten(now)}"
        )


def agree(store: Store, name: str, value: str) -> str:
    """Writes a value into a file of the archive, or returns that of the process that was first."""
    if store.create(name, value.encode("ascii")):
        return value
    return store.read(name).decode("ascii")


def _look_into(change: ChangedSetting) -> ChangedSetting:
    """Finds the first difference of two objects, such as config.model.width."""
    name, before, now = change
    if not isinstance(before, dict) or not isinstance(now, dict):
        return change
    key = next(key for key in {**now, **before} if now.get(key) != before.get(key))
    return _look_into(ChangedSetting(f"{name}.{key}", before.get(key), now.get(key)))


def read_run(store: Store) -> dict[str, Any]:
    """Reads what the results were made with.

    Raises:
        ValueError: No run has begun there.
    """
    try:
        facts: dict[str, Any] = json.loads(store.read(RUN))
    except FileNotFoundError:
        raise ValueError(
            f"{store.address}: expected a folder that ava-det label wrote, found no {RUN}"
        ) from None
    return facts


def _shorten(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "..."
