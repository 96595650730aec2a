"""Finds the persons in videos and writes the box file that training, testing and the demo read.

    ava-det detect --videos FOLDER --output boxes.csv --every 1.0
    ava-det detect --videos FOLDER --output boxes.csv --at val.csv --start-second 900
    torchrun --nproc-per-node 8 -m ava_det detect --videos FOLDER --output boxes.csv --at val.csv

--at takes the keyframes of an AVA CSV and, where it has boxes, says how good the detected ones are.
A run that was killed goes on where it was by the same command. A video that cannot be read is named
and passed over: exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import (
    ToolParser,
    at_least,
    device,
    fraction,
    interval,
    reports_mistakes,
    second,
)


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det detect`."""
    parser = ToolParser("ava-det detect", __doc__)
    parser.add_argument(
        "--videos",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR|FILE",
        help="folders and files",
    )
    parser.add_argument(
        "--recursive", action="store_true", help="read folders within the folders too"
    )
    parser.add_argument(
        "--stream",
        type=at_least(0),
        help="which video stream of the files, from 0 (the first that is no picture)",
    )
    parser.add_hwaccel()
    parser.add_argument("--output", type=Path, required=True, help="the box file to write, a CSV")
    parser.add_detector()
    parser.add_argument("--weights", help=argparse.SUPPRESS)  # before 0.2, for NAME:WEIGHTS
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--at", type=Path, metavar="CSV", help="an AVA CSV: look at its keyframes")
    when.add_argument(
        "--every",
        type=interval,
        default=1.0,
        help="seconds between keyframes, from the first frame (1.0)",
    )
    parser.add_argument(
        "--start-second",
        type=second,
        default=0.0,
        help="annotation time, in seconds, of a video's first frame (0)",
    )
    parser.add_argument(
        "--min-score", type=fraction, default=0.05, help="leave out boxes below this score (0.05)"
    )
    parser.add_argument(
        "--device", type=device, default="auto", help="auto, cpu, cuda or cuda:N (default: auto)"
    )
    return parser


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line and completes the name of the detector."""
    parser = make_parser()
    args = parser.parse_args(argv)
    args.detector = args.detector or "auto"
    if args.output.is_dir():
        parser.error(f"argument --output: expected a file name to write, {args.output} is a folder")
    if args.weights is not None:  # detectron2 alone has its default config before its weights
        args.detector += (
            f"::{args.weights}" if args.detector == "detectron2" else f":{args.weights}"
        )
    return args


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det detect` and returns its exit code."""
    args = parse_arguments(argv)
    from ava_det.operations.detect import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
