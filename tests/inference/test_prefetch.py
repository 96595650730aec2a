"""An iterator in a thread: the same items, the same errors, and never further ahead than it may
be.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from ava_det.inference.prefetch import prefetch


def test_items_come_in_order_and_all_of_them() -> None:
    assert list(prefetch(range(1000), 3)) == list(range(1000))
    assert list(prefetch([], 1)) == []


def test_it_works_in_another_thread_and_no_further_ahead_than_depth() -> None:
    made: list[int] = []
    threads = set()

    def items() -> Iterator[int]:
        for index in range(20):
            made.append(index)
            threads.add(threading.get_ident())
            yield index

    for index, item in enumerate(prefetch(items(), 4)):
        time.sleep(0.005)
        assert item == index
        assert len(made) <= index + 1 + 4 + 1  # in the queue, and one that waits for a place in it
    assert threads and threading.get_ident() not in threads


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    ahead = prefetch(items(), 5)
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="broken"):
        next(ahead)


def test_who_leaves_early_ends_the_thread_and_closes_its_items() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    before = threading.active_count()
    ahead = prefetch(items(), 2)
    assert next(ahead) == 1
    ahead.close()  # type: ignore[attr-defined]
    assert closed.is_set()
    assert threading.active_count() == before


def test_stop_ends_it_even_while_nothing_comes() -> None:
    stop = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        while not stop.is_set():
            time.sleep(0.01)

    ahead = prefetch(items(), 2, stop)
    assert next(ahead) == 1
    threading.Timer(0.05, stop.set).start()
    assert list(ahead) == []
