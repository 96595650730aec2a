"""Records what became of each video: its result, or its failed attempts; and how long it took."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from ava_det.archive.manifest import Entry
from ava_det.jobs.store import Store

LINES_A_FILE = 1000
SECONDS_A_FILE = 30.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts what a video held.

    Attributes:
        num_keyframes: Its keyframes.
        num_persons: Persons on them.
        seconds: That the work took.
    """

    num_keyframes: int
    num_persons: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Describes the failed attempts at a video.

    Attributes:
        id: Of the video.
        path: Of the video, see `Entry`.
        attempts: Their number.
        error: A sentence about the last one.
    """

    id: str
    path: str
    attempts: int
    error: str


def result_name(video_id: str) -> str:
    """Returns the name of a video's result; that it exists means that the video is done."""
    return f"results/{video_id}.jsonl"


class Outcomes:
    """Records outcomes in the store of an archive.

    Args:
        store: The store.
        writer: A name that no other process has.
    """

    def __init__(self, store: Store, writer: str) -> None:
        self._store = store
        self._writer = writer
        self._lines: list[str] = []
        self._num_files = 0
        self._flushed = time.monotonic()

    def is_done(self, video_id: str) -> bool:
        """Returns whether a video has a result."""
        return self._store.has(result_name(video_id))

    def find_failure(self, video_id: str, retries: int) -> Failure | None:
        """Returns the failure of a video that needs no further attempt; None for others."""
        failure = read_failure(self._store, video_id)
        return failure if failure is not None and failure.attempts > retries else None

    def add_failure(self, entry: Entry, error: str) -> int:
        """Records a failed attempt, and returns the number of all."""
        before = read_failure(self._store, entry.id)
        attempts = 1 if before is None else before.attempts + 1
        failure = Failure(entry.id, entry.path, attempts, error)
        content = json.dumps(asdict(failure), indent=2) + "\n"
        self._store.write(_error_name(entry.id), content.encode("ascii"))
        return attempts

    def add_success(self, entry: Entry, counts: Counts) -> None:
        """Records that a video is done, after its result was written."""
        self._store.remove(_error_name(entry.id))
        self._lines.append(json.dumps({"id": entry.id, **asdict(counts)}) + "\n")
        late = time.monotonic() - self._flushed > SECONDS_A_FILE
        if late or len(self._lines) >= LINES_A_FILE:
            self.flush()

    def flush(self) -> None:
        """Writes the times of the videos since the last call."""
        if self._lines:
            name = f"log/{self._writer}-{self._num_files:06d}.jsonl"
            self._store.write(name, "".join(self._lines).encode("ascii"))
            self._num_files += 1
        self._lines = []
        self._flushed = time.monotonic()


def read_failure(store: Store, video_id: str) -> Failure | None:
    """Reads the failed attempts at a video; None where there are none."""
    try:
        return Failure(**json.loads(store.read(_error_name(video_id))))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        place = f"{store.address}/{_error_name(video_id)}"
        raise ValueError(
            f"{place}: expected id, path, attempts and error of a video; delete it to try the "
            "video anew"
        ) from None


def forget(store: Store, video_id: str) -> None:
    """Deletes what became of a video, so that the next run does it anew."""
    store.remove(result_name(video_id))
    store.remove(_error_name(video_id))


def list_results(store: Store) -> Iterator[str]:
    """Yields the ids of the videos that are done."""
    return (name.removesuffix(".jsonl") for name in store.names("results"))


def list_failures(store: Store) -> Iterator[str]:
    """Yields the ids of the videos with failed attempts."""
    return (name.removesuffix(".json") for name in store.names("errors"))


def read_times(store: Store) -> Iterator[tuple[str, float]]:
    """Yields the id of each video in the log, and the seconds that it took."""
    for name in sorted(store.names("log")):
        for line in store.read(f"log/{name}").splitlines():
            value = json.loads(line)
            yield value["id"], value["seconds"]


def _error_name(video_id: str) -> str:
    return f"errors/{video_id}.json"
