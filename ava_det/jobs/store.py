"""Keeps the files of a job, whole or absent, in a folder that several machines may share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

from ava_det.files.atomic import atomic_path, name_temporary

Written = TypeVar("Written")
ATTEMPTS = 10


class Store(Protocol):
    """Keeps the files of a job; names are such as `results/cam1%2Fmonday.mp4.jsonl`.

    Attributes:
        address: As a user gives it: a folder or a URL.
    """

    address: str

    def names(self, folder: str) -> Iterator[str]:
        """Yields the names of the whole files in a folder, without the folder; no order."""

    def has(self, name: str) -> bool:
        """Returns whether a file exists."""

    def read(self, name: str) -> bytes:
        """Reads a file; raises FileNotFoundError where there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, whole or not at all, in place of an earlier one."""

    def create(self, name: str, content: bytes) -> bool:
        """Writes a file where there is none; of several processes, one alone is told True."""

    def remove(self, name: str) -> None:
        """Deletes a file, or does nothing where there is none."""

    def age(self, name: str, now: str) -> float | None:
        """Returns the seconds from the last writing of a file to that of the file `now`.

        Both times are the store's, so that clocks of machines may differ. None where the first
        does not exist.
        """

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """Yields a local file, which becomes `name` when the block ends without an error."""

    def reading(self, name: str) -> AbstractContextManager[Path]:
        """Yields a local file with the content of `name`."""

    def sweep(self, folder: str, seconds: float) -> None:
        """Deletes what killed processes began to write in a folder, so many seconds ago or more."""


class FolderStore:
    """Keeps the files in a folder, such as one of a disk that machines share.

    Args:
        folder: Need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.address = str(folder)
        self._folder = folder

    def names(self, folder: str) -> Iterator[str]:
        """See `Store`."""
        try:
            with os.scandir(self._folder / folder) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):  # those begin so that are not whole yet
                        yield entry.name
        except FileNotFoundError:
            return

    def has(self, name: str) -> bool:
        """See `Store`."""
        return (self._folder / name).is_file()

    def read(self, name: str) -> bytes:
        """See `Store`."""
        return (self._folder / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """See `Store`."""

        def write() -> None:
            with atomic_path(self._folder / name) as temporary:
                Path(temporary).write_bytes(content)

        _keep_trying(write)

    def create(self, name: str, content: bytes) -> bool:
        """See `Store`."""
        path = self._folder / name

        def write() -> bool:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = name_temporary(path)
            try:
                temporary.write_bytes(content)
                _link(temporary, path)
            except FileExistsError:
                return False
            finally:
                temporary.unlink(missing_ok=True)
            return True

        return _keep_trying(write)

    def remove(self, name: str) -> None:
        """See `Store`."""
        (self._folder / name).unlink(missing_ok=True)

    def remove_empty(self, *folders: str) -> None:
        """Deletes these folders, and the store's own, as far as they are empty."""
        for folder in (*folders, "."):
            with suppress(OSError):
                (self._folder / folder).rmdir()

    def age(self, name: str, now: str) -> float | None:
        """See `Store`."""
        try:
            written = (self._folder / name).stat().st_mtime
        except FileNotFoundError:
            return None
        return (self._folder / now).stat().st_mtime - written

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See `Store`."""
        with atomic_path(self._folder / name) as temporary:
            yield Path(temporary)

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """See `Store`."""
        yield self._folder / name

    def sweep(self, folder: str, seconds: float) -> None:
        """See `Store`."""
        oldest = time.time() - seconds
        try:
            begun = list((self._folder / folder).glob(".*.tmp"))
        except FileNotFoundError:  # as Python's before 3.13 say it
            return
        for path in begun:
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def _keep_trying(write: Callable[[], Written]) -> Written:
    """Writes anew where another process removed the empty folder just before, see `remove_empty`.

    Raises:
        FileNotFoundError: The folder is not there each time.
    """
    for _ in range(ATTEMPTS - 1):
        with suppress(FileNotFoundError):
            return write()
    return write()


def _link(source: Path, target: Path) -> None:
    """Gives a file a second name; raises FileExistsError where it is taken, also over a network."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with open(target, "xb") as file:
            file.write(source.read_bytes())


def open_store(address: str) -> Store:
    """Opens the store of a folder, or of a URL such as `s3://bucket/archive`."""
    if "://" not in address:
        return FolderStore(Path(address))
    from ava_det.jobs.object_store import ObjectStore

    return ObjectStore(address)
