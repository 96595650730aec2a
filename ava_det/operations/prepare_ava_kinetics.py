"""Does what `ava-det prepare-ava-kinetics` does: annotations of Kinetics' clips."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np

from ava_det.datasets.ava.kinetics import group_clips, match_clips
from ava_det.files import require_other_files
from ava_det.formats.annotations import load_annotations, write_annotations
from ava_det.video.reader import VideoError
from ava_det.video.sources import key_by_id, scan_folder


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det prepare-ava-kinetics` and returns its exit code."""
    targets = {path: args.output / name_output(path) for path in args.annotations}
    require_other_files({"--output": targets.values()}, {"--annotations": targets})
    if len(set(targets.values())) < len(targets):
        raise ValueError("--annotations: expected each of train, val and test once")
    clips = group_clips(key_by_id(scan_folder(args.clips, recursive=True).videos).values())
    if not clips:
        raise VideoError(
            f"{args.clips}: expected clips with names such as ID_000012_000022.mp4, found none"
        )
    for source, target in targets.items():
        rows = load_annotations(source)
        found = match_clips(rows, clips)
        if not len(found.rows):
            raise VideoError(
                f"{args.clips}: expected clips of the videos of {source}, such as "
                f"{rows.video_names[0] if rows.video_names else 'none'}, found none"
            )
        if not args.dry_run:
            write_annotations(target, found.rows)
        keyframes = len(
            np.unique(np.stack([found.rows.video_index, found.rows.timestamps], 1), axis=0)
        )
        print(
            f"{target}: {len(found.rows)} of {len(rows)} rows, {keyframes} keyframes of "
            f"{len(found.rows.video_names)} clips; {len(found.missing_videos)} videos have no "
            f"clip, {found.outside} keyframes are in none of their videos' clips"
        )
    if args.dry_run:
        print(f"{args.output}: nothing was written (--dry-run)")
    return 0


def name_output(path: Path) -> str:
    """Names the file to write after the split in the name of the official file."""
    found = re.fullmatch(r"kinetics_(train|val|test)_v[\d.]+\.csv(\.gz)?", path.name)
    if not found:
        raise ValueError(
            f"{path}: expected a name such as kinetics_train_v1.0.csv, which says the split"
        )
    return f"kinetics_{found[1]}.csv"
