"""An archive whose videos are small files of text, and a labeler that is quick, dies and hangs.

`python -m tests.support.fake_archive FOLDER OUTPUT WORKERS SECONDS` labels it like `ava-det label`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ava_det.archive.agenda import Agenda
from ava_det.archive.driver import Driver, Tally
from ava_det.archive.listing import MANIFEST, open_manifest
from ava_det.archive.manifest import Entry, format_manifest, make_entry, measure
from ava_det.archive.outcomes import Counts, Outcomes, list_results, result_name
from ava_det.archive.process_workers import ProcessWorkers
from ava_det.archive.run_facts import require_same_run
from ava_det.archive.workers import Workers
from ava_det.jobs.claims import Claims
from ava_det.jobs.store import Store, open_store


@dataclass(frozen=True)
class FakeLoader:
    """Names the folder of results; `seconds` is what a video takes."""

    output: str
    seconds: float = 0.0

    def open_store(self) -> Store:
        return open_store(self.output)

    def load(self) -> FakeLabeler:
        self.open_store().write(f"pids/{os.getpid()}", b"")  # for a test that kills
        return FakeLabeler(self.seconds)


class FakeLabeler:
    """The first word of a video decides what happens; its result is a hash of its bytes."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.facts: Mapping[str, Any] = {"weights": "none"}

    def label(self, root: str, entry: Entry, store: Store) -> Counts:
        content = (Path(root) / entry.path).read_bytes()
        kind = content.split()[0]
        if kind == b"bad":
            raise ValueError(f"{entry.path}: no video")
        if kind == b"hang":
            time.sleep(3600)
        if kind == b"crash":
            os._exit(7)
        time.sleep(self._seconds)
        with store.writing(result_name(entry.id)) as path, open(path, "w") as file:
            for number in range(50):
                digest = hashlib.sha256(content + bytes([number])).hexdigest()
                file.write(json.dumps({"video": entry.path, "digest": digest}) + "\n")
        return Counts(50, 0, 0.0)


def make_videos(folder: Path, good: int, **others: int) -> list[str]:
    """Writes good videos of rising length, and others by kind; returns the names of good ones."""
    folder.mkdir(parents=True)
    names = [f"cam{number % 3}/v{number:03d}.mp4" for number in range(good)]
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("good " + "x" * number)
    for kind, count in others.items():
        for number in range(count):
            (folder / f"{kind}{number}.mp4").write_text(kind)
    return names


def label(
    folder: Path,
    output: str,
    workers: Workers,
    time_limit: float = 60.0,
    retries: int = 2,
    on_progress: Callable[[Entry, Tally], None] = lambda entry, tally: None,
) -> Tally:
    """Labels a folder with given workers, which it closes."""
    store = open_store(output)
    if not store.has(MANIFEST):
        paths = sorted(path for path in folder.rglob("*.mp4"))
        entries = [make_entry(p.relative_to(folder).as_posix(), *measure(p)) for p in paths]
        store.write(MANIFEST, b"".join(format_manifest(str(folder), entries)))
    with open_manifest(store) as manifest, closing(workers), Claims(store) as claims:
        agenda = Agenda(manifest.index(), list_results(store))
        outcomes = Outcomes(store, claims.name)
        accept = partial(require_same_run, store)
        return Driver(
            agenda, workers, claims, outcomes, accept, time_limit, retries, on_progress
        ).run()


def read_results(output: Path) -> dict[str, bytes]:
    """Whole results by name; a killed worker leaves a part of one, whose name begins with a dot."""
    return {path.name: path.read_bytes() for path in (output / "results").glob("[!.]*")}


def main(words: list[str]) -> None:
    """Labels a folder: FOLDER OUTPUT WORKERS SECONDS [ray]."""
    videos, output, count, seconds, *engine = words
    loader = FakeLoader(output, float(seconds))
    workers: Workers = ProcessWorkers(loader, int(count))
    if engine:
        from ava_det.archive.ray_workers import RayWorkers

        workers = RayWorkers(loader, int(count), address=None)
    label(Path(videos), output, workers, 20.0)


if __name__ == "__main__":
    from tests.support import fake_archive  # by this name a worker finds the loader

    fake_archive.main(sys.argv[1:])
