"""Shares work on many items between processes, so that a later run continues an earlier one.

Each item has a result file that appears when it is whole, so an item with a file is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from tqdm import tqdm

from ava_det.distributed import (
    gather_objects,
    is_main_process,
    merge_over_ranks,
    rank,
    world_size,
)
from ava_det.files.whole import is_full

Item = TypeVar("Item")


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


def work_through(
    videos: Sequence[Item], description: str, work: Callable[[Item, tqdm], None]
) -> dict[Item, str]:
    """Does the work of each video under a progress bar; one that cannot be read is passed over.

    Args:
        videos: This process's share.
        description: What the progress bar is headed by.
        work: Called with each video and the bar, which counts videos and which it may move by up
            to 1.

    Returns:
        Video -> why it could not be read, of all processes.

    Raises:
        OSError: The disk is full.
    """
    failed: dict[Item, str] = {}
    shown = (
        "{desc} {percentage:3.0f}%|{bar}| {n:.1f}/{total} videos [{elapsed}, {remaining} "
        "left{postfix}]"
    )
    with tqdm(
        total=len(videos), desc=description, bar_format=shown, disable=not is_main_process()
    ) as bar:
        for count, video in enumerate(videos, 1):
            try:
                work(video, bar)
            except (ValueError, OSError) as error:
                if isinstance(error, OSError) and is_full(error):
                    raise
                failed[video] = " ".join(str(error).split())
            bar.update(count - bar.n)
    return merge_over_ranks(failed)
