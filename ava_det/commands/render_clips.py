"""Renders short clips of one figure with one action each, a folder for each class.

It is a small Kinetics:

    ava-det render-clips --output data/synthetic/single_actions

writes ``train/CLASS/*.mp4`` and ``val/CLASS/*.mp4`` for the actions of the synthetic dataset, in
rooms and by figures that it does not have. The same options give the same videos.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, at_least, reports_mistakes, size


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det render-clips`."""
    parser = ToolParser("ava-det render-clips", __doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--seed", type=at_least(0), default=0)
    parser.add_argument(
        "--num-train",
        type=at_least(1),
        default=40,
        metavar="N",
        help="training clips of each class",
    )
    parser.add_argument(
        "--num-val",
        type=at_least(1),
        default=10,
        metavar="N",
        help="validation clips of each class",
    )
    parser.add_argument("--size", type=size, default=(192, 144), metavar="WxH", help="frame size")
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det render-clips` and returns its exit code."""
    args = make_parser().parse_args(argv)
    from ava_det.datasets.synthetic.single_actions import render_clips

    counts = {"train": args.num_train, "val": args.num_val}
    render_clips(args.output, args.seed, counts, args.size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
