r"""Shows on a video who does what: boxes, actions and scores that follow the persons.

    ava-det demo --video walk.mp4 --output overlay.mp4              (published AVA weights)
    ava-det demo --video walk.mp4 --output overlay.mp4 --weights FILE \
        [--config FILE] [--csv detections.csv] [--json detections.jsonl] [--sheet overlay.png] \
        [--segments segments.csv] [--view walk.html]
    torchrun --nproc-per-node 8 -m ava_det demo --video FOLDER --output overlays --json results

--video may also be a glob, a webcam's number or a URL. --boxes is a box file, whose timestamps then
are the keyframes. The CSV holds every score in AVA's result format, at data.start_second plus the
seconds in the file, so that it can be evaluated. Of several videos each has its own files, named
after it; those that are there already are passed over, so that the same command goes on where a job
was stopped.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.choices import DEFAULT_ACTION_WEIGHTS
from ava_det.cli import ToolParser, at_least, interval, moment, reports_mistakes
from ava_det.commands.segments import add_segment_rules
from ava_det.demo.thresholds import scores


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det demo`."""
    parser = ToolParser("ava-det demo", __doc__)
    _add_source(parser)
    _add_results(parser)
    _add_network(parser)
    _add_persons(parser)
    _add_times(parser)
    _add_actions(parser)
    add_segment_rules(parser, "--threshold")
    parser.add_device_key()
    parser.add_overrides()
    return parser


def _add_source(parser: ToolParser) -> None:
    """Adds the options of what is read."""
    parser.add_argument(
        "--video",
        required=True,
        help="a file, a folder, a glob in quotes, a webcam's number, an RTSP or HTTP URL",
    )
    parser.add_argument(
        "--recursive",
        action="store_true",
        help="read folders within the folder --video too; results keep their places",
    )
    parser.add_argument(
        "--stream",
        type=at_least(0),
        help="which video stream of the file, from 0 (default: the first that is no picture)",
    )
    parser.add_hwaccel()


def _add_results(parser: ToolParser) -> None:
    """Adds the options of what is written and shown."""
    add = parser.add_argument
    add(
        "--output",
        type=Path,
        help="the overlay, an .mp4 file (H.264); a folder where --video is several",
    )
    add("--csv", type=Path, help="every score, as an AVA result CSV; a folder for several")
    add("--json", type=Path, help="JSON lines, an object per keyframe; a folder for several")
    add("--sheet", type=Path, help="a contact sheet, a .png file; a folder for several")
    add(
        "--segments",
        type=Path,
        help="who did what from when to when, a .csv or .parquet file; a folder for several",
    )
    add(
        "--view",
        type=Path,
        help="a page on which the video plays with its boxes, a timeline and a list, an .html "
        "file; a folder for several, with an index",
    )
    add(
        "--events",
        type=Path,
        metavar="YAML",
        help="rules of events, and what is done when one happens (docs/events.md)",
    )
    add(
        "--tubes",
        type=Path,
        help="tubes, JSON lines: one action of one person over time; a folder for several",
    )
    add(
        "--show",
        action="store_true",
        help="show the overlay in a window (needs opencv-python, not headless)",
    )


def _add_network(parser: ToolParser) -> None:
    """Adds the options of the network."""
    parser.add_weights(
        "a checkpoint, a name of the model zoo, hf:user/name, or best, the strongest one for "
        f"commercial use ({DEFAULT_ACTION_WEIGHTS})",
        default=DEFAULT_ACTION_WEIGHTS,
    )
    parser.add_config(
        "the experiment the weights were trained by (default: what they carry or ships with them)",
        required=False,
    )
    parser.add_runtime()
    parser.add_argument(
        "--label-map",
        type=Path,
        metavar="PBTXT",
        help="names of the actions (default: what the weights carry)",
    )


def _add_persons(parser: ToolParser) -> None:
    """Adds the options of where persons come from."""
    persons = parser.add_mutually_exclusive_group()
    parser.add_detector(persons)
    persons.add_argument(
        "--boxes", metavar="FILE", help="a box file, whose keyframes are taken too"
    )


def _add_times(parser: ToolParser) -> None:
    """Adds the options of which times are processed."""
    add = parser.add_argument
    add("--every", type=interval, default=1.0, help="seconds between predictions (default: 1.0)")
    add("--start", type=moment, default=0.0, help="seconds of the file to begin at (0)")
    add("--end", type=moment, default=math.inf, help="seconds of the file to end at (its end)")
    add(
        "--smooth",
        type=moment,
        default=0.0,
        help="average each person's scores over so many seconds (0, not at all)",
    )


def _add_actions(parser: ToolParser) -> None:
    """Adds the options of which actions are shown."""
    add = parser.add_argument
    add(
        "--threshold",
        type=scores,
        metavar="SCORE[,ACTION=SCORE...]",
        help="show actions of at least this score (default: those of the checkpoint, or 0.5)",
    )
    add("--topk", type=at_least(1), default=5, help="show at most so many actions a person (5)")
    add("--classes", metavar="ACTION,...", help="these actions only, by id or name (default: all)")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line, and ends the program where its options do not fit together."""
    parser = make_parser()
    args: argparse.Namespace = parser.parse_intermixed_args(argv)
    written = (args.output, args.csv, args.json, args.sheet, args.segments, args.view, args.tubes)
    if not any((*written, args.events, args.show)):
        parser.error(
            "expected at least one of --output, --csv, --json, --sheet, --segments, --view, "
            "--tubes, --events, --show"
        )
    if args.end <= args.start:
        parser.error(
            f"argument --end: expected more than --start = {args.start:g}, received {args.end:g}"
        )
    if not args.segments and (args.off is not None or args.max_gap or args.min_duration):
        parser.error("--off, --max-gap, --min-duration: expected with --segments FILE alone")
    return args


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det demo` and returns its exit code."""
    args = parse_arguments(argv)
    from ava_det.operations.demo import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
