"""Renders the synthetic dataset: videos in H.264 and their annotations in AVA's format.

    ava-det render --output data/synthetic/rendered

writes ``videos/*.mp4``, ``train.csv``, ``val.csv``, ``demo.csv``, ``{train,val,demo}_excluded.csv``
and ``labelmap.pbtxt``; see data/synthetic/README.md. The same options give the same CSV bytes,
on any number of processes. A finished dataset with the same options is left as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, at_least, reports_mistakes, size


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det render`."""
    parser = ToolParser("ava-det render", __doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--seed", type=at_least(0), default=0)
    parser.add_argument(
        "--num-train", type=at_least(1), default=48, metavar="N", help="training videos (48)"
    )
    parser.add_argument(
        "--num-val", type=at_least(1), default=16, metavar="N", help="validation videos (16)"
    )
    parser.add_argument("--seconds", type=at_least(5), default=30, help="length of each video (30)")
    parser.add_argument(
        "--size", type=size, default=(192, 144), metavar="WxH", help="frame size (192x144)"
    )
    parser.add_argument(
        "--waits",
        action="store_true",
        help="in every video one figure that waits: two actions that only the seconds before and "
        "after tell apart (docs/long_term.md)",
    )
    parser.add_argument(
        "--tubes",
        action="store_true",
        help="annotate every frame too: SPLIT_dense.csv, frames.csv and tubes_GT.pkl "
        "(docs/tube_linking.md)",
    )
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det render` and returns its exit code."""
    args = make_parser().parse_args(argv)
    from ava_det.datasets.synthetic.prepare import render_dataset

    counts = {"train": args.num_train, "val": args.num_val, "demo": 1}
    width, height = args.size
    size = args.seconds, width, height
    render_dataset(args.output, args.seed, counts, *size, waits=args.waits, tubes=args.tubes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
