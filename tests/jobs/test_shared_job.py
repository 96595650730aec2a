"""Jobs that processes share: every item is done once, whoever fails, dies or comes late."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

from ava_det.jobs import shared_job as module
from ava_det.jobs.claims import Claims
from ava_det.jobs.shared_job import shared_job
from ava_det.jobs.store import FolderStore


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)


class Results:
    """Writes a file for each item, and counts the attempts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.attempts: list[str] = []

    def is_done(self, item: str) -> bool:
        return (self.folder / item).is_file()

    def write(self, item: str, _: tqdm | None = None) -> None:
        self.attempts.append(item)
        if item.startswith("bad"):
            raise ValueError(f"{item}: no video")
        time.sleep(0.002)
        (self.folder / item).write_bytes(b"")

    def run(self, items: list[str]) -> dict[str, str]:
        with shared_job(self.folder) as job:
            pending = job.find_pending(items, self.is_done)
            return job.work_through(pending, self.is_done, self.write, "videos")


ITEMS = [f"v{index}" for index in range(20)]


def test_the_longest_undone_come_first(tmp_path: Path) -> None:
    with shared_job(tmp_path) as job:
        pending = job.find_pending(range(10), is_done=lambda item: item in (2, 5), size=int)
    assert pending == [9, 8, 7, 6, 4, 3, 1, 0]


@pytest.mark.parametrize("num_processes", [1, 2, 5])
def test_each_item_is_done_once_and_a_bad_one_tried_by_everybody(
    tmp_path: Path, num_processes: int
) -> None:
    results = Results(tmp_path)
    items = ["bad1", *ITEMS[:9], "bad2", *ITEMS[9:]]
    with ThreadPoolExecutor(num_processes) as pool:
        failed = list(pool.map(lambda _: results.run(items), range(num_processes)))
    assert sorted(one for one in results.attempts if one in ITEMS) == sorted(ITEMS)
    assert all(one == {b: f"{b}: no video" for b in ("bad1", "bad2")} for one in failed)
    assert len(results.attempts) == len(ITEMS) + 2 * num_processes
    results.run(items)
    assert len(results.attempts) == len(ITEMS) + 2 * num_processes + 2
    assert not (tmp_path / ".work").exists()


def test_an_item_that_another_process_has_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = Results(tmp_path)
    with Claims(FolderStore(tmp_path / ".work")) as other, ThreadPoolExecutor(1) as pool:
        assert other.claim("v3")
        run = pool.submit(results.run, ITEMS)
        while len(results.attempts) < len(ITEMS) - 1:
            time.sleep(0.01)
        time.sleep(0.05)
        assert not run.done()
        (tmp_path / "v3").write_bytes(b"")
        other.release("v3")
        assert run.result(10) == {}
    assert "v3" not in results.attempts
    assert capsys.readouterr().err.count("waiting for 1 video that other processes have") == 1


def test_what_a_dead_process_had_is_done(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    owner = f"{socket.gethostname()}.{dead.pid}.0000"
    store = FolderStore(tmp_path / ".work")
    store.write(f"drivers/{owner}", b"")
    store.write("claims/v3", owner.encode())
    assert Results(tmp_path).run(ITEMS) == {}
    assert (tmp_path / "v3").is_file() and not store.has(f"drivers/{owner}")


def test_a_failure_that_another_process_mended_is_none(tmp_path: Path) -> None:
    results = Results(tmp_path)

    def fail_late(item: str, _: tqdm) -> None:
        (tmp_path / item).write_bytes(b"")  # by another process, meanwhile
        raise ValueError("no video")

    with shared_job(tmp_path) as job:
        assert job.work_through(["a"], results.is_done, fail_late, "videos") == {}


def test_who_was_overtaken_waits_for_the_other(tmp_path: Path) -> None:
    results = Results(tmp_path)
    store = FolderStore(tmp_path / ".work")

    with Claims(store) as other, shared_job(tmp_path) as job:

        def fail(item: str, _: tqdm) -> None:
            store.write(f"claims/{item}", other.name.encode())
            threading.Timer(0.05, finish, [item]).start()
            raise OSError(2, "the other removed the file")

        def finish(item: str) -> None:
            (tmp_path / item).write_bytes(b"")
            other.release(item)

        assert job.work_through(["a"], results.is_done, fail, "videos") == {}
    assert results.is_done("a")


def test_a_full_disk_ends_the_job_and_frees_its_item(tmp_path: Path) -> None:
    def fill(_: str, __: tqdm) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), shared_job(tmp_path) as job:
        job.work_through(["a"], Results(tmp_path).is_done, fill, "videos")
    assert not any(tmp_path.iterdir())


def test_waiting_ends_when_it_is_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with Claims(FolderStore(tmp_path / ".work")) as other, shared_job(tmp_path) as job:
        assert other.claim("a")
        with pytest.raises(KeyboardInterrupt):
            list(job.take(["a"], Results(tmp_path).is_done, stop))


def test_one_at_a_time_finishes_and_sees_those_that_wait(tmp_path: Path) -> None:
    inside: list[int] = []
    alone: list[bool] = []
    all_here = threading.Barrier(4)

    def finish(_: int) -> None:
        with shared_job(tmp_path) as job:
            all_here.wait()
            with job.finishing():
                inside.append(1)
                assert sum(inside) == 1
                time.sleep(0.01)
                inside.pop()
                alone.append(job.is_alone())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(finish, range(4)))
    assert len(alone) == 4 and not alone[0]


def ranks(count: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], list[Any]]:
    """Lets threads be the ranks of one process group; returns what runs a function on each."""
    place = threading.local()
    board: list[Any] = [None] * count
    barrier = threading.Barrier(count)

    def gather(value: Any) -> list[Any]:
        board[place.rank] = value
        barrier.wait(10)
        gathered = list(board)
        barrier.wait(10)
        return gathered

    def merge(part: dict[Any, Any]) -> dict[Any, Any]:
        return {key: value for one in gather(part) for key, value in one.items()}

    monkeypatch.setattr(module, "gather_objects", gather)
    monkeypatch.setattr(module, "merge_over_ranks", merge)
    monkeypatch.setattr(module, "is_main_process", lambda: place.rank == 0)

    def on_each(function: Callable[[], Any]) -> list[Any]:
        def run(rank: int) -> Any:
            place.rank = rank
            return function()

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(run, range(count)))

    return on_each


def test_ranks_try_a_bad_item_once_and_agree_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results(tmp_path)
    items = ["bad", *ITEMS]
    failed = ranks(3, monkeypatch)(lambda: results.run(items))
    assert failed == [{"bad": "bad: no video"}] * 3
    assert sorted(results.attempts) == sorted(items)


def test_ranks_are_one_group_and_strangers_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_each = ranks(2, monkeypatch)

    def look() -> bool:
        with shared_job(tmp_path) as job:
            return job.is_alone()

    assert on_each(look) == [True, True]
    with Claims(FolderStore(tmp_path / ".work")):
        assert on_each(look) == [False, False]
