"""Makes the manifest of an archive from a folder or a list of videos, and brings it up to date."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ava_det.archive.manifest import (
    Entry,
    Manifest,
    format_manifest,
    make_entry,
    measure,
    read_list,
)
from ava_det.archive.outcomes import forget
from ava_det.jobs.object_store import list_files
from ava_det.jobs.store import Store

MANIFEST = "manifest.jsonl"

logger = logging.getLogger("ava_det")


def make_manifest(source: str, store: Store) -> None:
    """Writes the manifest of the videos of a source, sorted by path.

    Args:
        source: A folder, whose folders are read too, or a list as `read_list` takes it.
        store: Of the archive.

    Raises:
        ValueError: The source holds no video, or is neither.
    """
    root, entries = list_videos(source)
    entries.sort(key=lambda entry: entry.path)
    store.write(MANIFEST, b"".join(format_manifest(root, entries)))


@contextmanager
def open_manifest(store: Store) -> Iterator[Manifest]:
    """Opens the manifest of an archive.

    Raises:
        ValueError: It has none.
    """
    if not store.has(MANIFEST):
        raise ValueError(
            f"{store.address}: expected a folder that ava-det label wrote, found no {MANIFEST}"
        )
    with store.reading(MANIFEST) as path, open(path, "rb") as file:
        yield Manifest(file, f"{store.address}/{MANIFEST}")


def list_videos(source: str) -> tuple[str, list[Entry]]:
    """Lists the videos of a source; returns the root of their paths, too.

    Of an object store those count whose name has a video's extension.
    """
    if "://" in source:
        from ava_det.video.sources import VIDEO_SUFFIXES

        root = source.rstrip("/")
        found = [make_entry(*one) for one in list_files(root)]
        entries = [one for one in found if Path(one.path).suffix.lower() in VIDEO_SUFFIXES]
        if not entries:
            raise ValueError(f"{source}: no video is there")
        return root, entries
    path = Path(os.path.abspath(source))
    if path.is_file():
        return str(path.parent), read_list(path)
    from ava_det.video.sources import scan_folder  # slow, and only the first process comes here

    folder = scan_folder(path, recursive=True)
    left_out = folder.describe_others()
    if left_out is not None:
        logger.warning(left_out)
    if not folder.videos:
        raise ValueError(f"{path}: the folder holds no video")
    entries = [
        make_entry(video.relative_to(path).as_posix(), *measure(video)) for video in folder.videos
    ]
    return str(path), entries


def update_manifest(source: str, store: Store) -> tuple[int, int, int]:
    """Writes the manifest anew; videos that changed since lose their result.

    Args:
        source: See `make_manifest`.
        store: Of the archive.

    Returns:
        The number of videos that are new, that changed, and that are gone.
    """
    with open_manifest(store) as before:
        known = {entry.id: (entry.size, entry.mtime) for entry in before}
    root, entries = list_videos(source)
    entries.sort(key=lambda entry: entry.path)
    new = [entry for entry in entries if entry.id not in known]
    changed = [
        entry for entry in entries if known.get(entry.id, ()) not in ((), (entry.size, entry.mtime))
    ]
    for entry in changed:
        forget(store, entry.id)
    store.write(MANIFEST, b"".join(format_manifest(root, entries)))
    return len(new), len(changed), len(known) + len(new) - len(entries)
