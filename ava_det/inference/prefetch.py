"""Runs an iterator ahead in a thread of its own, so that the stages of a pipeline overlap.

Decoding, drawing, encoding and the network all release the interpreter's lock while they compute,
so threads are enough. A stage waits when it is `depth` items ahead, so memory is bounded by the
depths and not by the length of the video.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")
POLL_SECONDS = 0.1  # longest time until a stage notices that its items are not needed any more


@dataclass(frozen=True)
class _End:
    """Marks the end of a stage's items.

    Attributes:
        error: Why it ended, None where it had no more items.
    """

    error: BaseException | None


def prefetch(
    items: Iterable[Item], depth: int, stop: threading.Event | None = None
) -> Iterator[Item]:
    """Yields what `items` yields, computed by a thread that is up to `depth` items ahead.

    An exception of `items` is raised here, after the items before it. Closing this generator ends
    the thread, and `items` with it.

    Args:
        items: Are iterated over in the thread.
        depth: Most items that wait.
        stop: Once it is set, no further item is yielded.
    """
    ready: queue.Queue[Item | _End] = queue.Queue(depth)
    left = threading.Event()
    worker = threading.Thread(target=_work, args=(items, ready, left), daemon=True)
    worker.start()
    try:
        while stop is None or not stop.is_set():
            try:
                item = ready.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        left.set()
        worker.join()


def _work(items: Iterable[Item], ready: queue.Queue[Item | _End], left: threading.Event) -> None:
    """Puts all items into the queue, until the reader has left."""

    def put(item: Item | _End) -> bool:
        while not left.is_set():
            try:
                ready.put(item, timeout=POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    error: BaseException | None = None
    iterator = iter(items)
    try:
        for item in iterator:
            if not put(item):
                break
    except BaseException as raised:
        error = raised
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()  # a generator is closed by the thread that ran it
    put(_End(error))
