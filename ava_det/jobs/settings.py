"""Keeps results of other settings apart: the settings of a job stand beside its results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ava_det.jobs.store import FolderStore


class ChangedSetting(NamedTuple):
    """Describes a setting that had another value in an earlier run.

    Attributes:
        name: The setting.
        before: Its value in the earlier run.
        now: Its value in this run.
    """

    name: str
    before: Any
    now: Any


def begin_job(path: Path, settings: Mapping[str, Any], absent: Any = None) -> list[ChangedSetting]:
    """Writes the settings of a job to `path`, or compares them with those of an earlier run there.

    Of several processes at once one alone writes them.

    Args:
        path: A JSON file; one that exists is not changed.
        settings: Name -> JSON value.
        absent: The value of a setting that the earlier run did not write.

    Returns:
        What differs from the earlier run, in the order of `settings`. If anything does, the caller
        must refuse to continue with the earlier results.
    """
    content = json.dumps(settings, indent=2, allow_nan=False) + "\n"
    if FolderStore(path.parent).create(path.name, content.encode("ascii")):
        return []
    return find_changes(json.loads(path.read_text(encoding="utf-8")), settings, absent)


def find_changes(
    before: Mapping[str, Any], now: Mapping[str, Any], absent: Any = None
) -> list[ChangedSetting]:
    """Compares the settings of two runs.

    Args:
        before: Of the earlier run, as read from JSON.
        now: Of this run: name -> JSON value.
        absent: The value of a setting that the earlier run did not write.

    Returns:
        What differs, in the order of `now`.
    """
    return [
        ChangedSetting(name, before.get(name, absent), value)
        for name, value in json.loads(json.dumps(now)).items()
        if before.get(name, absent) != value
    ]
