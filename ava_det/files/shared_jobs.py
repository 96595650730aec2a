"""Shares work on many items between processes, so that a later run continues an earlier one.

Each item has a result file that appears when it is whole, so an item with a file is done. Beside
the results lie the settings they were made with: results of other settings are never mixed with
them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ava_det.distributed import gather_objects, rank, world_size
from ava_det.files.whole import write_json

Item = TypeVar("Item")


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

    Args:
        path: A JSON file; one that exists is not changed.
        settings: Name -> JSON value.
        absent: The value of a setting that the earlier run did not write.

    Returns:
        What differs from the earlier run, in the order of `settings`. If anything does, the caller
        must refuse to continue with the earlier results.
    """
    if not path.is_file():
        write_json(path, settings)
        return []
    before = json.loads(path.read_text(encoding="utf-8"))
    return [
        ChangedSetting(name, before.get(name, absent), value)
        for name, value in json.loads(json.dumps(settings)).items()
        if before.get(name, absent) != value
    ]


def share_out(
    items: Iterable[Item],
    is_done: Callable[[Item], bool],
    size: Callable[[Item], int] = lambda item: 0,
) -> tuple[list[Item], int]:
    """Shares out the items that are not done yet, as the main process sees the folder.

    Args:
        items: All items of the job, the same on every process.
        is_done: Whether the result of an item exists.
        size: How much work an item is, so that every process gets large and small ones.

    Returns:
        The items of this process, and the number of items of all processes together.
    """
    pending = gather_objects([item for item in items if not is_done(item)])[0]
    pending.sort(key=lambda item: -size(item))
    return pending[rank() :: world_size()], len(pending)
