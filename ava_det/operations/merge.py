"""Does what `ava-det merge` does: joins the results of an archive."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ava_det.archive.listing import open_manifest
from ava_det.archive.merge import merge_archive
from ava_det.archive.summary import write_summary
from ava_det.jobs.store import open_store
from ava_det.messages.counts import format_count


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det merge` and returns its exit code."""
    if "://" in args.archive and args.output is None:
        raise ValueError(f"--output: expected a local folder, because {args.archive} is none")
    folder = args.output or Path(args.archive) / "merged"
    store = open_store(args.archive)
    with open_manifest(store) as manifest:
        summary = merge_archive(store, manifest, folder)
    write_summary(folder / "index.html", Path(args.archive).resolve().name, summary)
    print(
        f"{format_count(summary.num_videos, 'video')}, {summary.seconds / 3600:.2f} hours, "
        f"{format_count(summary.num_persons, 'person')}, "
        f"{format_count(sum(summary.num_segments.values()), 'segment')}; written: {folder}"
    )
    if summary.failures:
        print(
            f"no result of {format_count(len(summary.failures), 'video')}: "
            f"{folder / 'failed.csv'} says why",
            file=sys.stderr,
        )
    return 0
