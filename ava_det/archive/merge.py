"""Joins the results of an archive: one table of all videos, in the order of the manifest."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import astuple, fields
from pathlib import Path

from ava_det.archive.manifest import Entry, Manifest
from ava_det.archive.outcomes import (
    Failure,
    list_failures,
    list_results,
    read_failure,
    read_times,
    result_name,
)
from ava_det.archive.run_facts import read_run
from ava_det.archive.summary import Summary
from ava_det.archive.tables import ArchiveTables, writing_tables
from ava_det.files import atomic_path
from ava_det.formats.keyframe_records import KeyframeRecord, read_records
from ava_det.jobs.store import Store
from ava_det.segments import SegmentFinder, SegmentRules


def merge_archive(store: Store, manifest: Manifest, folder: Path) -> Summary:
    """Writes the tables of an archive, and `failed.csv` with the videos that have no result.

    Args:
        store: Of the archive.
        manifest: Its videos.
        folder: Where to write.

    Returns:
        What the archive holds.

    Raises:
        ValueError: A video has neither a result nor a failed attempt, or a result is damaged.
    """
    facts = read_run(store)
    require_complete(store, manifest)
    rules = SegmentRules({int(key): score for key, score in facts["thresholds"].items()}, {})
    summary = Summary(facts["every"], dict(read_times(store)))
    failures: list[Failure] = []
    with writing_tables(folder) as tables:
        for entry in manifest:
            if store.has(result_name(entry.id)):
                add_video(store, entry, rules, tables, summary)
            else:
                failure = read_failure(store, entry.id)
                assert failure is not None, f"{entry.path}: its failure was deleted meanwhile"
                failures.append(failure)
    summary.failures = failures
    write_failures(folder / "failed.csv", failures)
    return summary


def require_complete(store: Store, manifest: Manifest) -> None:
    """Checks that every video has a result or a failed attempt.

    Raises:
        ValueError: One has neither; the sentence says how many, and names the first.
    """
    index = manifest.index()
    missing = ~(index.among(list_results(store)) | index.among(list_failures(store)))
    if missing.any():
        first = manifest.read_at(int(index.offsets[missing][0]))
        raise ValueError(
            f"{store.address}: expected a result or an error of each of {len(index)} videos, found "
            f"neither of {missing.sum()}, such as {first.path}: ava-det label goes on with them"
        )


def add_video(
    store: Store, entry: Entry, rules: SegmentRules, tables: ArchiveTables, summary: Summary
) -> None:
    """Adds the result of a video to the tables and the summary."""
    finder = SegmentFinder(rules)
    tracks: set[int | None] = set()
    last: KeyframeRecord | None = None
    count = 0
    with store.reading(result_name(entry.id)) as path:
        for last in read_records(path):
            count += 1
            tables.add_keyframe(last)
            finder.add(last)
            tracks.update(person.track_id for person in last.persons)
    segments = finder.finish()
    tables.add_segments(segments)
    seconds = 0.0 if last is None else last.time
    summary.add_video(entry, seconds, count, len(tracks), segments)


def write_failures(path: Path, failures: Iterable[Failure]) -> None:
    """Writes a CSV with a header: id, path, attempts and error of each failed video."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(field.name for field in fields(Failure))
        rows.writerows(list_printable(failures))


def list_printable(failures: Iterable[Failure]) -> Iterator[tuple[object, ...]]:
    """Yields the values of each; bytes of a path that are no UTF-8 become question marks."""
    for failure in failures:
        yield tuple(str(one).encode("utf-8", "replace").decode() for one in astuple(failure))
