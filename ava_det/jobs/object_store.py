"""Keeps the files of a job in an object store, such as S3, and reads videos from one.

fsspec, which comes with torch, reaches the store by the library of its protocol (s3fs, gcsfs,
adlfs), which finds the credentials itself.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

MARGIN_BYTES = 256 << 20  # that a copy of a video leaves free on the disk


class ObjectStore:
    """Keeps each file as an object; an upload is seen when it is whole.

    `create` is a conditional upload, as S3, Google's and Azure's stores have it.

    Args:
        address: Of the folder, a URL such as `s3://bucket/archive`.

    Raises:
        ValueError: The library of the protocol is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._files, self._root = connect(self.address)

    def names(self, folder: str) -> Iterator[str]:
        """See `Store`."""
        try:
            for path in self._files.ls(self._path(folder), detail=False):
                yield path.rstrip("/").rpartition("/")[2]
        except FileNotFoundError:
            return

    def has(self, name: str) -> bool:
        """See `Store`."""
        return bool(self._files.isfile(self._path(name)))

    def read(self, name: str) -> bytes:
        """See `Store`."""
        content: bytes = self._files.cat_file(self._path(name))
        return content

    def write(self, name: str, content: bytes) -> None:
        """See `Store`."""
        self._files.pipe_file(self._path(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """See `Store`."""
        try:
            self._files.pipe_file(self._path(name), content, mode="create")
        except OSError:  # each library has its own for a name that is taken
            if self.has(name):
                return False
            raise
        return True

    def remove(self, name: str) -> None:
        """See `Store`."""
        if self.has(name):
            self._files.rm_file(self._path(name))

    def age(self, name: str, now: str) -> float | None:
        """See `Store`."""
        try:
            written = self._files.modified(self._path(name))
        except FileNotFoundError:
            return None
        age: float = (self._files.modified(self._path(now)) - written).total_seconds()
        return age

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See `Store`."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "whole"
            path.touch()
            yield path
            self._files.put_file(str(path), self._path(name))

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """See `Store`."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / name.rpartition("/")[2]
            self._files.get_file(self._path(name), str(path))
            yield path

    def sweep(self, folder: str, seconds: float) -> None:
        """See `Store`; an object is never seen in part."""

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def connect(address: str) -> tuple[Any, str]:
    """Returns fsspec's file system of a URL, and the path of the URL there.

    Raises:
        ValueError: There is no such protocol, or its library is not installed.
    """
    import fsspec  # each process of a folder can do without

    try:
        files, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{address}: {' '.join(str(error).split())}") from None
    return files, path.rstrip("/")


@contextmanager
def fetched(address: str) -> Iterator[Path]:
    """Yields a local copy of a video, under its own name, which is deleted after the block.

    Args:
        address: Its URL.

    Raises:
        ValueError: It is not there.
        OSError: The disk has no room for it (`ENOSPC`).
    """
    files, path = connect(address)
    try:
        size = files.size(path)
    except FileNotFoundError:
        raise ValueError(f"{address}: no such file") from None
    with TemporaryDirectory(prefix="ava_det") as folder:
        if (size or 0) + MARGIN_BYTES > shutil.disk_usage(folder).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{folder}, for {address}")
        copy = Path(folder) / path.rpartition("/")[2]
        files.get_file(path, str(copy))
        yield copy


def list_files(address: str) -> Iterator[tuple[str, int, float]]:
    """Yields the files under a URL: path from there, bytes, and when each was changed."""
    files, root = connect(address)
    for path, facts in files.find(root, detail=True).items():
        changed = facts.get("LastModified") or facts.get("mtime") or facts.get("created")
        seconds = changed.timestamp() if hasattr(changed, "timestamp") else float(changed or 0)
        yield path.removeprefix(f"{root}/"), facts["size"] or 0, seconds
