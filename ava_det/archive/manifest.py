"""Lists the videos of an archive: one line each with id, path, size and time of change."""

from __future__ import annotations

import json
import os
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ava_det.jobs.ids import make_id


@dataclass(frozen=True, slots=True)
class Entry:
    """Describes a video of an archive.

    Attributes:
        id: Names its files, see `make_id`.
        path: From the root of the archive, with `/`; or a URL.
        size: In bytes; those of all its pictures for a folder of pictures.
        mtime: When it was last changed, in seconds since 1970, to the millisecond.
    """

    id: str
    path: str
    size: int
    mtime: float


def make_entry(path: str, size: int, mtime: float) -> Entry:
    """Makes an entry with the id of its path."""
    return Entry(make_id(path), path, size, round(mtime, 3))


def format_manifest(root: str, entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yields the lines of a manifest: the root of the paths, then a JSON object a video."""
    yield _to_line({"root": root})
    for entry in entries:
        yield _to_line(asdict(entry))


def _to_line(value: object) -> bytes:
    return (json.dumps(value) + "\n").encode("ascii")  # also names that are no UTF-8


class Manifest:
    """Reads a manifest, line by line.

    Args:
        file: Its lines; it stays open and can seek.
        name: Of the file, for errors.

    Attributes:
        root: What the paths begin at, a folder or a URL.
        name: Of the file.

    Raises:
        ValueError: The first line is not one of a manifest.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self.name = name
        head = self._parse(file.readline(), 1)
        if not isinstance(head.get("root"), str):
            raise ValueError(f'{name}, line 1: expected {{"root": FOLDER}}, received {head!r:.80}')
        self.root: str = head["root"]
        self._begin = file.tell()

    def __iter__(self) -> Iterator[Entry]:
        """Yields the videos in the order of the file."""
        self._file.seek(self._begin)
        for number, line in enumerate(self._file, 2):
            yield self._to_entry(line, number)

    def index(self, shard: tuple[int, int] = (1, 1)) -> ManifestIndex:
        """Reads the whole file once, and keeps 24 bytes a video.

        Args:
            shard: Which part of how many, from 1; a video's id says to which it belongs.
        """
        part, count = shard
        keys, offsets, sizes = array("q"), array("q"), array("q")
        self._file.seek(self._begin)
        offset = self._begin
        for number, line in enumerate(self._file, 2):
            value = self._parse(line, number)
            video_id, size = value.get("id"), value.get("size")
            if not isinstance(video_id, str) or not isinstance(size, int):
                raise ValueError(f"{self.name}, line {number}: expected id, path, size and mtime")
            if count == 1 or zlib.crc32(video_id.encode()) % count == part - 1:
                keys.append(hash(video_id))
                offsets.append(offset)
                sizes.append(size)
            offset += len(line)
        return ManifestIndex(
            self, *(np.frombuffer(one, np.int64) for one in (keys, offsets, sizes))
        )

    def read_at(self, offset: int) -> Entry:
        """Reads the line that begins at a byte."""
        self._file.seek(offset)
        return self._to_entry(self._file.readline(), None)

    def _to_entry(self, line: bytes, number: int | None) -> Entry:
        value = self._parse(line, number)
        try:
            return Entry(value["id"], value["path"], value["size"], value["mtime"])
        except KeyError as missing:
            raise ValueError(
                f"{self.name}, line {number}: expected id, path, size and mtime, found no {missing}"
            ) from None

    def _parse(self, line: bytes, number: int | None) -> dict[str, Any]:
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise ValueError(
                f"{self.name}, line {number}: expected a JSON object, received {line[:60]!r}"
            )
        return value


@dataclass(frozen=True)
class ManifestIndex:
    """Holds where each video of a manifest stands.

    Attributes:
        manifest: The manifest.
        keys: int64 [N], hashes of the ids, valid in this process.
        offsets: int64 [N], bytes at which the lines begin.
        sizes: int64 [N], bytes of the videos.
    """

    manifest: Manifest
    keys: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        """Returns the number of videos."""
        return len(self.keys)

    def among(self, ids: Iterable[str]) -> np.ndarray:
        """Returns bool [N]: which videos are among some ids.

        Ids are compared by 64-bit hashes with another seed in each process, so that two equal ones,
        which one run in a million meets with ten million videos, are not equal in the next.
        """
        return np.isin(self.keys, np.fromiter(map(hash, ids), np.int64))


def read_list(path: Path) -> list[Entry]:
    """Reads a list of videos that a user made: a path or URL a line, or a JSON object.

    An object has `path`, and may have `size` and `mtime`. Where they are missing, the file is
    asked; a URL then has size 0. Paths begin at the folder of the list. Empty lines do not count.

    Raises:
        ValueError: A line has another form, names a file that is not there, or one twice.
    """
    entries: dict[str, Entry] = {}
    for number, line in enumerate(path.read_text("utf-8", "surrogateescape").splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        entry = _read_listed(line.strip(), path.parent, where)
        if entry.path in entries:
            raise ValueError(f"{where}: {entry.path} is listed twice")
        entries[entry.path] = entry
    if not entries:
        raise ValueError(f"{path}: expected a path of a video in each line, found none")
    return list(entries.values())


def _read_listed(line: str, root: Path, where: str) -> Entry:
    facts: dict[str, Any] = {"path": line}
    if line.startswith("{"):
        try:
            facts = json.loads(line)
        except ValueError:
            raise ValueError(
                f"{where}: expected a path or a JSON object, received {line!r:.60}"
            ) from None
    name, size, mtime = facts.get("path"), facts.get("size"), facts.get("mtime", 0)
    if not isinstance(name, str) or not isinstance(size, int | None):
        raise ValueError(f"{where}: expected path and size in bytes, received {line!r:.80}")
    if not isinstance(mtime, int | float):
        raise ValueError(f"{where}: expected mtime in seconds since 1970, received {mtime!r}")
    if size is None and "://" not in name:
        try:
            size, mtime = measure(root / name)
        except OSError as error:
            raise ValueError(f"{where}: {root / name}: {error.strerror}") from None
    return make_entry(name, size or 0, float(mtime))


def measure(video: Path) -> tuple[int, float]:
    """Returns the bytes of a video, of all its pictures for a folder, and when it was changed."""
    found = video.stat()
    if not video.is_dir():
        return found.st_size, found.st_mtime
    with os.scandir(video) as pictures:
        return sum(picture.stat().st_size for picture in pictures), found.st_mtime
