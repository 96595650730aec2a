"""Shares the items of a job between all processes that run the same command, now or later.

Each item has a result that appears when it is whole, so an item with a result is done. A process
claims an item before it works on it, so it does not matter how many there are, who started them, or
when; those of torchrun wait for one another at the end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import TypeVar

from tqdm import tqdm

from ava_det.distributed import gather_objects, is_main_process, merge_over_ranks
from ava_det.files import is_full
from ava_det.jobs.claims import CLAIMS, DRIVERS, LEASE, Claims
from ava_det.jobs.ids import make_id
from ava_det.jobs.store import FolderStore
from ava_det.messages.counts import format_count

Item = TypeVar("Item")
WORK = ".work"
PATIENCE = timedelta(days=7)  # ranks meet when all have finished: one may have hours to do
POLL = 1.0  # seconds between two looks at items that other processes have
FINISH = "%finish"  # claimed by who writes what all results make together; no id is like it


class SharedJob:
    """Gives the items of a job to this process, one by one; `shared_job` makes it.

    All processes of torchrun call its methods alike.

    Args:
        claims: Of this process.
        group: The names of all processes of torchrun, or of this one alone.
    """

    def __init__(self, claims: Claims, group: Iterable[str]) -> None:
        self._claims = claims
        self._group = frozenset(group)

    def is_alone(self) -> bool:
        """Returns whether no process outside of this group of torchrun's works on the job."""
        return self._claims.find_living() <= self._group

    def find_pending(
        self,
        items: Iterable[Item],
        is_done: Callable[[Item], bool],
        size: Callable[[Item], int] = lambda item: 0,
    ) -> list[Item]:
        """Finds the items that are not done yet, as the main process sees the results.

        Args:
            items: All items of the job, the same on every process.
            is_done: Whether the result of an item exists.
            size: How much work an item is.

        Returns:
            The items of all processes together, those with the most work first.
        """
        pending = gather_objects([item for item in items if not is_done(item)])[0]
        pending.sort(key=lambda item: -size(item))
        return pending

    def take(
        self, pending: Sequence[Item], is_done: Callable[[Item], bool], stop: Event | None = None
    ) -> Iterator[tuple[int, Item]]:
        """Yields the items that this process has to do; nobody else has them meanwhile.

        It ends when every item is done, or was tried by a process of this group of torchrun's. So
        it waits for items that other processes have, and yields those that these leave undone.

        Args:
            pending: See `find_pending`.
            is_done: See there.
            stop: Ends the waiting when it is set.

        Yields:
            How many of `pending` come before an item, and the item.

        Raises:
            KeyboardInterrupt: `stop` was set while it waited.
        """
        pause = stop or Event()
        left = dict(enumerate(pending))
        has_said = False
        while True:
            tried: list[int] = []
            undone: list[str] = []
            for number, item in left.items():
                name = make_id(str(item))
                if not self._claims.claim(name):
                    continue
                if not is_done(item):
                    yield number, item
                if is_done(item):
                    self._claims.release(name)
                elif self._claims.has(name):  # kept, so that no other rank tries it too
                    undone.append(name)
                else:  # another process took it over, since this one was suspended
                    continue
                tried.append(number)
            ended = {number for part in gather_objects(tried) for number in part}
            for name in undone:
                self._claims.release(name)
            left = {number: item for number, item in left.items() if number not in ended}
            if not left:
                return
            if is_main_process() and not has_said:
                count = format_count(len(left), "video")
                print(f"waiting for {count} that other processes have", file=sys.stderr)
                has_said = True
            if pause.wait(POLL):
                raise KeyboardInterrupt

    def work_through(
        self,
        pending: Sequence[Item],
        is_done: Callable[[Item], bool],
        work: Callable[[Item, tqdm], None],
        description: str,
        stop: Event | None = None,
    ) -> dict[Item, str]:
        """Does the videos that this process has to do, and passes over one that cannot be read.

        Args:
            pending: See `find_pending`.
            is_done: See there.
            work: Called with each video and the progress bar, which counts videos and which it may
                move by up to 1.
            description: What the progress bar is headed by.
            stop: See `take`.

        Returns:
            Video -> why it could not be read, of all processes of torchrun, without those that
            another process could read.

        Raises:
            OSError: The disk is full.
        """
        failed: dict[Item, str] = {}
        shown = (
            "{desc} {percentage:3.0f}%|{bar}| {n:.1f}/{total} videos [{elapsed}, {remaining} "
            "left{postfix}]"
        )
        with tqdm(
            total=len(pending), desc=description, bar_format=shown, disable=not is_main_process()
        ) as bar:
            for number, video in self.take(pending, is_done, stop):
                bar.update(number - bar.n)
                try:
                    work(video, bar)
                except (ValueError, OSError) as error:
                    if isinstance(error, OSError) and is_full(error):
                        raise
                    failed[video] = " ".join(str(error).split())
            bar.update(len(pending) - bar.n)
        failed = merge_over_ranks(failed)
        return gather_objects({one: why for one, why in failed.items() if not is_done(one)})[0]

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Lets one process at a time into the block, which writes what all results make together.

        Only the main process of torchrun may call it.
        """
        while not self._claims.claim(FINISH):
            time.sleep(POLL)
        try:
            yield
        finally:
            self._claims.release(FINISH)


@contextmanager
def shared_job(folder: Path) -> Iterator[SharedJob]:
    """Joins a job for the length of the block; processes of torchrun leave it together.

    Args:
        folder: Of the results, which all processes of the job see. Who works on what is kept in
            its hidden folder `.work`, which the last one removes.
    """
    store = FolderStore(folder / WORK)
    try:
        with Claims(store) as claims:
            yield SharedJob(claims, gather_objects(claims.name))
        gather_objects(None)
    finally:
        for name in (CLAIMS, DRIVERS):
            store.sweep(name, LEASE)
        store.remove_empty(CLAIMS, DRIVERS)
