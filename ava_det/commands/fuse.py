r"""Fuses result CSVs into an ensemble: the weighted mean of their scores on the same boxes.

    ava-det fuse rgb.csv flow.csv --weights 1 1.5 --output both.csv [--iou 0.5]
    ava-det fuse a.csv b.csv c.csv --fit val.csv --label-map labelmap.pbtxt --output all.csv
    ava-det fuse a.csv b.csv --output both.csv --annotations val.csv --label-map labelmap.pbtxt \
        --report gain.html

Boxes of one keyframe that differ are matched one to one by IoU; a file without a row for a box and
action counts as score 0 there. With --pool they stay apart, and of those that overlap the surest
stays, class by class. Rules, fitting and what it says of a number: docs/ensembles.md.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, reports_mistakes


def weight(text: str) -> float:
    """Parses a weight, a number of 0 or more."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of 0 or more, received {text!r}")
    return value


def overlap(text: str) -> float:
    """Parses an IoU above 0 and up to 1."""
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected an IoU above 0 and up to 1, received {text!r}")
    return value


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det fuse`."""
    parser = ToolParser("ava-det fuse", __doc__)
    add = parser.add_argument
    add("detections", nargs="+", type=Path, metavar="CSV", help="two or more AVA result CSVs")
    add("--output", type=Path, required=True, metavar="CSV", help="the ensemble's result CSV")
    add("--weights", nargs="+", type=weight, metavar="W", help="one for each file (default: 1)")
    add("--iou", type=overlap, default=0.5, help="of boxes that may be of one person (0.5)")
    add(
        "--pool",
        action="store_true",
        help="of boxes that differ keep the surest, do not match them",
    )
    add("--fit", type=Path, metavar="CSV", help="ground truth on which to search the weights")
    add("--annotations", type=Path, metavar="CSV", help="ground truth to score on (that of --fit)")
    add("--label-map", type=Path, metavar="PBTXT", help="the evaluated classes")
    add("--excluded", type=Path, metavar="CSV", help="keyframes that scoring leaves out")
    add("--report", type=Path, metavar="HTML", help="write a page: members, ensemble, gains")
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det fuse` and returns its exit code."""
    parser = make_parser()
    args = parser.parse_args(argv)
    count = len(args.detections)
    if count < 2:
        parser.error(f"argument CSV: expected two or more result files, received {count}")
    if args.fit and args.weights:
        parser.error("argument --weights: expected none beside --fit, which searches them")
    if args.weights and len(args.weights) != count:
        parser.error(
            f"argument --weights: expected one for each of {count} files, received "
            f"{len(args.weights)}"
        )
    if args.weights and not any(args.weights):
        parser.error("argument --weights: expected one above 0, received zeros alone")
    truth = args.annotations or args.fit
    if truth and not args.label_map:
        parser.error("argument --label-map: expected the label map of the ground truth")
    for name in ("report", "label_map", "excluded"):
        if getattr(args, name) and not truth:
            option = f"--{name.replace('_', '-')}"
            parser.error(f"argument {option}: expected ground truth, --annotations or --fit")
    from ava_det.operations.fuse import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
