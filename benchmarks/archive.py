"""Measures what a driver of a huge archive costs: start, memory, time a video, files a video.

This is `python -m benchmarks archive`. The videos are lines of a manifest, and the workers answer
at once, so nothing is measured but the driver and what it asks of the store.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ava_det.archive.agenda import Agenda
from ava_det.archive.driver import Driver, Tally
from ava_det.archive.listing import MANIFEST, open_manifest
from ava_det.archive.manifest import Entry, format_manifest, make_entry
from ava_det.archive.outcomes import Counts, Outcomes, list_results, result_name
from ava_det.archive.process_workers import ProcessWorkers
from ava_det.archive.workers import Done, Message, Ready, Workers
from ava_det.cli import Commands, at_least
from ava_det.jobs.claims import Claims
from ava_det.jobs.store import FolderStore, Store

MB = 1 << 20
WAIT = 0.2  # seconds a video in place of a network's work


def add_archive(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks archive`."""
    parser = commands.add_parser("archive", help="the driver of a huge archive, simulated")
    parser.add_argument("--videos", type=at_least(1), default=1_000_000, help="(1,000,000)")
    parser.add_argument("--workers", type=at_least(1), default=1000, help="(1,000)")
    parser.add_argument(
        "--on-disk", type=at_least(1), default=5000, help="of them with real files (5,000)"
    )
    parser.set_defaults(run=benchmark_archive)


def benchmark_archive(args: argparse.Namespace) -> int:
    """Runs `python -m benchmarks archive` and returns its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        store = CountingStore(Path(folder))
        began = time.monotonic()
        write_manifest(store, args.videos)
        print(f"manifest of {args.videos:,} videos written in {time.monotonic() - began:.1f} s")
        simulate(store, args.workers)
        disk = FolderStore(Path(folder) / "disk")
        write_manifest(disk, args.on_disk)
        began = time.monotonic()
        drive(disk, SimulatedWorkers(disk, args.workers, writes=True))
        cost = (time.monotonic() - began) / args.on_disk * 1000
        print(f"with files on this disk: {cost:.2f} ms a video, of results and of the driver")
        for count in (1, 2, 4, 8):
            measure_processes(FolderStore(Path(folder) / f"waiting{count}"), count)
    return 0


def measure_processes(store: FolderStore, count: int) -> None:
    """Drives real processes that wait in place of a network, and prints their rate."""
    num_videos = 40 * count
    write_manifest(store, num_videos)
    workers = ProcessWorkers(WaitingLoader(store.address), count)
    ready: list[float] = []
    drive(store, workers, accept=lambda facts: ready.append(time.monotonic()))
    ideal = num_videos / count * WAIT
    took = time.monotonic() - min(ready)
    print(
        f"{count} processes that take {WAIT:g} s a video: {num_videos / took:.1f} videos a second, "
        f"{took / ideal:.3f} times the time of plain loops"
    )


@dataclass(frozen=True)
class WaitingLoader:
    """Loads a `WaitingLabeler`; `output` is the folder of the archive."""

    output: str

    def open_store(self) -> Store:
        """See `Loader`."""
        return FolderStore(Path(self.output))

    def load(self) -> WaitingLabeler:
        """See `Loader`."""
        return WaitingLabeler()


class WaitingLabeler:
    """Waits as for a GPU, and writes a result of 4 kB."""

    facts: Mapping[str, Any] = {}

    def label(self, root: str, entry: Entry, store: Store) -> Counts:
        """See `Labeler`."""
        time.sleep(WAIT)
        store.write(result_name(entry.id), b"x" * 4096)
        return Counts(60, 120, WAIT)


def simulate(store: CountingStore, num_workers: int) -> None:
    """Drives all videos of a manifest, without files, and prints what it takes."""
    before = measure_memory()
    memory: list[int] = []

    def look(entry: Entry, tally: Tally) -> None:
        if tally.num_done % 10_000 == 1:
            memory.append(measure_memory())

    began = time.monotonic()
    cpu = time.process_time()
    workers = SimulatedWorkers(store, num_workers)
    tally = drive(store, workers, look)
    seconds = workers.started - began
    loop = (time.process_time() - cpu - seconds) / tally.num_done
    print(f"{seconds:.1f} s from the start until the workers are started")
    print(f"{loop * 1e6:.0f} us of a processor a video: {1 / loop:,.0f} videos a second")
    shown = ", ".join(f"{(one - before) / MB:.0f}" for one in memory[:: max(len(memory) // 5, 1)])
    print(f"memory of the driver, MB over what its libraries take, in the run: {shown}")
    per_video = {name: count / tally.num_done for name, count in store.calls.items()}
    asked = ", ".join(f"{name} {count:.2f}" for name, count in sorted(per_video.items()))
    print(f"asked of the store for each video: {asked}")


def write_manifest(store: Store, count: int) -> None:
    """Writes a manifest of videos that do not exist, with ids as long as real ones."""
    entries = (
        make_entry(
            f"camera {n % 100}/2026-01-{n % 28 + 1:02d}/{n:08d}.mp4", 10**7 + n * 7919 % 10**7, 0
        )
        for n in range(count)
    )
    with store.writing(MANIFEST) as path, open(path, "wb") as file:
        file.writelines(format_manifest("/videos", entries))


def drive(
    store: Store,
    workers: Workers,
    on_progress: Callable[[Entry, Tally], None] = lambda entry, tally: None,
    accept: Callable[[Mapping[str, Any]], None] = lambda facts: None,
) -> Tally:
    """Runs a driver over all videos of a store."""
    with open_manifest(store) as manifest, Claims(store) as claims, closing(workers):
        agenda = Agenda(manifest.index(), list_results(store))
        outcomes = Outcomes(store, claims.name)
        driver = Driver(agenda, workers, claims, outcomes, accept, 3600.0, 2, on_progress)
        return driver.run()


class SimulatedWorkers:
    """Answers at once; one video of each worker a turn.

    Args:
        store: Of the archive.
        count: Number of workers.
        writes: Whether each video gets a result of 4 kB.
    """

    def __init__(self, store: Store, count: int, writes: bool = False) -> None:
        self.count = count
        self.started = 0.0
        self._store = store
        self._writes = writes
        self._starting: list[int] = []
        self._given: list[tuple[int, Entry]] = []

    def start(self, number: int) -> None:
        """See `Workers`."""
        self._starting.append(number)
        self.started = time.monotonic()

    def send(self, number: int, root: str, entry: Entry) -> None:
        """See `Workers`."""
        self._given.append((number, entry))

    def stop(self, number: int) -> None:
        """See `Workers`; no video hangs here."""

    def close(self) -> None:
        """See `Workers`."""

    def wait(self, seconds: float) -> Sequence[tuple[int, Message]]:
        """See `Workers`."""
        messages: list[tuple[int, Message]] = [(n, Ready({})) for n in self._starting]
        for number, entry in self._given:
            if self._writes:
                self._store.write(result_name(entry.id), b"x" * 4096)
            messages.append((number, Done(Counts(60, 120, 4.0))))
        self._starting, self._given = [], []
        return messages


class CountingStore(FolderStore):
    """Keeps the manifest and the claims, and counts what it is asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.calls: Counter[str] = Counter()
        self._claims: dict[str, bytes] = {}

    def names(self, folder: str) -> Iterator[str]:
        """Yields none."""
        return iter(())

    def has(self, name: str) -> bool:
        """Returns whether it is the manifest."""
        self.calls["has"] += 1
        return name == MANIFEST

    def read(self, name: str) -> bytes:
        """Finds claims alone."""
        self.calls["read"] += 1
        if name not in self._claims:
            raise FileNotFoundError(name)
        return self._claims[name]

    def write(self, name: str, content: bytes) -> None:
        """Counts."""
        self.calls["write"] += 1

    def create(self, name: str, content: bytes) -> bool:
        """Counts."""
        self.calls["create"] += 1
        return self._claims.setdefault(name, content) is content

    def remove(self, name: str) -> None:
        """Counts."""
        self.calls["remove"] += 1
        self._claims.pop(name, None)


def measure_memory() -> int:
    """Returns the bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
