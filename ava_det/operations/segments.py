"""Does what `ava-det segments` does: makes a table of segments from JSON lines."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ava_det.demo.actions import choose_thresholds
from ava_det.files import require_other_files
from ava_det.formats.keyframe_records import KeyframeRecord, read_records
from ava_det.messages.counts import format_count
from ava_det.segments import (
    Segment,
    SegmentRules,
    check_table_name,
    find_segments,
    format_csv,
    write_segments,
)

logger = logging.getLogger("ava_det")


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det segments` and returns its exit code."""
    if args.output is not None:
        check_table_name(args.output, "--output")
        require_other_files({"--output": args.output}, {"detections": args.detections})
    records = {path: list(read_records(path)) for path in dict.fromkeys(args.detections)}
    warn_of_shared_names(records)
    rules = choose_rules(args, find_names(records))
    segments: list[Segment] = []
    for path, keyframes in records.items():
        warn_of_unwritten_scores(path, keyframes, rules, args)
        segments += find_segments(keyframes, rules)
    if args.output is None:
        sys.stdout.write(format_csv(segments))
    else:
        write_segments(args.output, segments)
        print(f"{format_count(len(segments), 'segment')}; written: {args.output}")
    return 0


def choose_rules(args: argparse.Namespace, names: Mapping[int, str]) -> SegmentRules:
    """Chooses what a segment is, by --on, --off, --max-gap and --min-duration.

    Args:
        args: The options.
        names: The names of all actions in the files by id.

    Raises:
        ValueError: An option names an action that the files do not have, or --off is over --on.
    """
    on = choose_thresholds(args.on, names, dict.fromkeys(names, 0.0), "--on")
    off = choose_thresholds(args.off, names, on, "--off")
    if args.on is None:  # begins wherever the file has it, so every score there is over --off too
        on = {action_id: max(score, off[action_id]) for action_id, score in on.items()}
    return SegmentRules(on, off, args.max_gap, args.min_duration)


def find_names(records: Mapping[Path, Sequence[KeyframeRecord]]) -> dict[int, str]:
    """Returns the names of all actions in the files by id.

    Raises:
        ValueError: Two files have different names for an id.
    """
    names: dict[int, tuple[str, Path]] = {}
    for path, keyframes in records.items():
        for keyframe in keyframes:
            for person in keyframe.persons:
                for action in person.actions:
                    name, first = names.setdefault(action.action_id, (action.name, path))
                    if name != action.name:
                        raise ValueError(
                            f"{path}: expected action {action.action_id} to be {name!r} as in "
                            f"{first}, received {action.name!r}"
                        )
    return {action_id: name for action_id, (name, _) in sorted(names.items())}


def warn_of_shared_names(records: Mapping[Path, Sequence[KeyframeRecord]]) -> None:
    """Says which videos are in two files: their rows look alike."""
    seen: dict[str, Path] = {}
    for path, keyframes in records.items():
        for video in dict.fromkeys(keyframe.video for keyframe in keyframes):
            first = seen.setdefault(video, path)
            if first != path:
                logger.warning(
                    f"{path}: {video!r} is a video of {first} too: their rows have the same name"
                )


def warn_of_unwritten_scores(
    path: Path, keyframes: Sequence[KeyframeRecord], rules: SegmentRules, args: argparse.Namespace
) -> None:
    """Says where a score that was asked for is under all that the file holds."""
    if args.on is None and args.off is None:
        return
    scores = [
        action.score
        for keyframe in keyframes
        for person in keyframe.persons
        for action in person.actions
    ]
    asked = min(rules.find_lowest().values(), default=1.0)
    if scores and round(min(scores), 2) > asked:
        logger.warning(
            f"{path}: its lowest score is {min(scores):.3f}; those from {asked:g} on are there "
            f"after ava-det demo --threshold {asked:g} --json"
        )
