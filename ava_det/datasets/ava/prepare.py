"""Fetches AVA's files, checks them and puts them where configs/ava expect them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from ava_det.datasets.ava.archives import unpack
from ava_det.datasets.ava.download import Item, Remote, fetch_all, fetch_text, probe_all
from ava_det.datasets.ava.official_files import DownloadError, NoNetworkError, check_blob
from ava_det.datasets.ava.sources import Movies, Source, Table

BY_HAND = (
    "fetch what --dry-run lists on another machine, place it as data/ava/README.md says and run "
    "this again"
)


def prepare(output: Path, parts: Sequence[str], num_jobs: int, table: Table) -> None:
    """Fetches the parts that are not there yet and checks all of them.

    Fetched files stay, whatever happens.

    Args:
        output: The folder to fill.
        parts: Some of `PARTS`.
        num_jobs: Downloads at a time.
        table: The files and addresses.

    Raises:
        DownloadError: Files are missing or wrong; several are named on stderr before it.
    """
    wanted = [
        source for source in table.sources if source.part in parts and source.part != "annotations"
    ]
    try:
        annotations = [source for source in table.sources if source.part == "annotations"]
        _report(_fetch_sources(annotations, output, num_jobs))
        splits = find_splits(output, table)
        failures = _fetch_sources(wanted, output, num_jobs)
        failures += _fetch(
            [item for split in splits if split in parts for item in splits[split]], num_jobs
        )
    except NoNetworkError as error:
        raise NoNetworkError(f"{error}: {BY_HAND}") from None
    for split, items in splits.items():
        if split in parts:
            count = sum(item.target.is_file() for item in items)
            print(f"{split}: {count} of {len(items)} videos in {output / 'videos'}")
    _report(failures)


def find_splits(output: Path, table: Table) -> dict[str, list[Item]]:
    """Finds the movies of train, val and test from the file lists and the annotations of val.

    Raises:
        DownloadError: A split does not have as many videos as AVA says.
    """
    movies = {
        kind: [_movie(url, output) for url in _movie_urls(output, entry)]
        for kind, entry in table.movies.items()
    }
    rows = output / table.val_rows
    with open(rows, encoding="utf-8") as file:
        val_ids = {line.partition(",")[0] for line in file}
    splits = {
        "train": [item for item in movies["trainval"] if item.target.stem not in val_ids],
        "val": [item for item in movies["trainval"] if item.target.stem in val_ids],
        "test": movies["test"],
    }
    for split, items in splits.items():
        if len(items) != table.num_videos[split]:
            raise DownloadError(
                f"{rows} and the lists of file names: expected {table.num_videos[split]} videos "
                f"of {split}, found {len(items)}"
            )
    return splits


def _movie_urls(output: Path, movies: Movies, text: str | None = None) -> list[str]:
    """Makes the addresses of a list of file names, which is read from `output` or given as text."""
    lines = ((output / movies.names).read_text(encoding="utf-8") if text is None else text).split()
    for line in lines:
        if not re.fullmatch(r"[\w-]+\.(mkv|mp4|webm)", line, re.ASCII):
            raise DownloadError(
                f"{movies.names}: expected the name of a video on each line, found {line!r}"
            )
    if len(lines) != movies.count or len(set(lines)) != movies.count:
        raise DownloadError(
            f"{movies.names}: expected {movies.count} names, found {len(set(lines))}"
        )
    return [f"{movies.url}/{line}" for line in lines]


def _movie(url: str, output: Path) -> Item:
    return Item(url, output / "videos" / url.rpartition("/")[2])


def _item(source: Source, output: Path) -> Item:
    return Item(source.url, output / source.path, source.blob)


def _is_unpacked(source: Source, output: Path) -> bool:
    """Returns whether every required file of an archive is there.

    Raises:
        DownloadError: A file is not the official one.
    """
    for member in source.members:
        path = output / source.folder / member.name
        if path.is_file():
            check_blob(path, member.blob, path)
        elif member.required:
            return False
    return bool(source.members)


def _fetch_sources(sources: Sequence[Source], output: Path, num_jobs: int) -> list[DownloadError]:
    """Fetches and unpacks what is not there; returns the errors."""
    failures = _fetch(
        [_item(source, output) for source in sources if not _is_unpacked(source, output)], num_jobs
    )
    for source in sources:
        if source.members and (output / source.path).is_file() and not _is_unpacked(source, output):
            try:
                absent = unpack(output / source.path, source.members, output / source.folder)
            except DownloadError as error:
                failures.append(error)
            else:
                print(
                    f"{source.path} has no {', '.join(absent)}"
                    if absent
                    else f"{source.path} is unpacked"
                )
    return failures


def _fetch(items: Sequence[Item], num_jobs: int) -> list[DownloadError]:
    """Fetches the missing files and checks the others; returns the errors."""
    missing = [item for item in items if not item.target.is_file()]
    there = [item for item in items if item.target.is_file()]
    for item in there:
        check_blob(item.target, item.blob, item.target)
    failures = _compare_sizes(
        [item for item in there if item.blob is None], num_jobs, offline_is_fine=not missing
    )
    return failures + fetch_all(missing, num_jobs)


def _report(failures: Sequence[DownloadError]) -> None:
    """Raises a single failure; prints several on stderr, and raises an error with their number."""
    if len(failures) == 1:
        raise failures[0]
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    if failures:
        raise DownloadError(f"{len(failures)} files are missing or wrong; run this again")


def _compare_sizes(
    items: Sequence[Item], num_jobs: int, offline_is_fine: bool
) -> list[DownloadError]:
    """Finds files whose length is not the server's: incomplete copies made by hand."""
    try:
        remotes = probe_all([item.url for item in items], num_jobs)
    except NoNetworkError:
        if not offline_is_fine:
            raise
        print(
            f"no network: the sizes of {len(items)} files that are there are not compared with "
            "the server's"
        )
        return []
    failures = []
    for item in items:
        remote = remotes[item.url]
        size = item.target.stat().st_size
        if isinstance(remote, Remote) and remote.size != size:
            failures.append(
                DownloadError(
                    f"{item.target}: {size} bytes, expected {remote.size}; delete it to fetch it "
                    "again"
                )
            )
    return failures


def describe(output: Path, parts: Sequence[str], num_jobs: int, table: Table) -> Iterator[str]:
    """Yields the lines of a dry run: each file's address, place, size, and whether it is there.

    Args:
        output: The folder that would be filled; nothing is written.
        parts: Some of `PARTS`.
        num_jobs: Requests at a time.
        table: The files and addresses.
    """
    sources = [source for source in table.sources if source.part in {"annotations", *parts}]
    items = [_item(source, output) for source in sources]
    done = {
        item for item, source in zip(items, sources, strict=True) if _is_unpacked(source, output)
    }
    online = True
    unknown = []
    for kind, movies in table.movies.items():
        if not set(parts) & ({"train", "val"} if kind == "trainval" else {"test"}):
            continue
        try:
            items += _movies_of_parts(output, kind, parts, table, online)
        except NoNetworkError:
            online = False
            unknown.append(
                f"{movies.url}/NAME  videos/NAME  {movies.count} movies, named in {movies.names}"
            )
    remotes: dict[str, Remote | DownloadError] = {}
    try:
        remotes = probe_all([item.url for item in items], num_jobs) if online else {}
    except NoNetworkError:
        online = False
    needed = 0
    for item in items:
        remote = remotes.get(item.url)
        is_there = item in done or item.target.is_file()
        needed += remote.size if isinstance(remote, Remote) and not is_there else 0
        size = (
            f"{remote.size} bytes" if isinstance(remote, Remote) else str(remote or "size unknown")
        )
        there = ", there" if is_there else ""
        yield f"{item.url}  {item.target.relative_to(output)}  {size}{there}"
    yield from unknown
    for source in sources:
        for member in source.members:
            there = "there" if (output / source.folder / member.name).is_file() else "missing"
            yield f"  {source.folder}/{member.name}  from {source.path}, {there}"
    if not online:
        yield f"no network: {BY_HAND}"
    yield f"to fetch: {tqdm.format_sizeof(needed, 'B')}" if online else "to fetch: unknown"


def _movies_of_parts(
    output: Path, kind: str, parts: Sequence[str], table: Table, online: bool
) -> list[Item]:
    """Lists the movies of a dry run.

    They are all movies of the list where the annotations that separate val from train are missing.
    """
    movies = table.movies[kind]
    text = None
    if not (output / movies.names).is_file():
        if not online:
            raise NoNetworkError("no network")
        text = fetch_text(
            next(source.url for source in table.sources if source.path == movies.names)
        )
    elif (output / table.val_rows).is_file():
        splits = find_splits(output, table)
        names = [
            split for split in parts if split in splits and (split == "test") == (kind == "test")
        ]
        return [item for split in names for item in splits[split]]
    return [_movie(url, output) for url in _movie_urls(output, movies, text)]
