"""Renders synthetic videos, trains a detector on them, scores it and draws an overlay.

    ava-det quickstart [--output DIR] [--dataset DIR] [--num-train N] [--num-val N] [key=value ...]

This is what `make quickstart` runs. It runs four commands of this toolkit and prints each before it
starts, so that they can be run one by one. After Ctrl-C the same command goes on: what is rendered
stays, and a training goes on from its last checkpoint.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det quickstart`."""
    parser = ToolParser("ava-det quickstart", __doc__)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("outputs/quickstart"),
        help="folder to write (%(default)s)",
    )
    parser.add_argument(
        "--dataset",
        type=Path,
        default=Path("data/synthetic/rendered"),
        help="rendered videos (%(default)s)",
    )
    parser.add_argument(
        "--num-train", type=int, help="training videos to render (default: render's)"
    )
    parser.add_argument(
        "--num-val", type=int, help="validation videos to render (default: render's)"
    )
    parser.add_device_key()
    parser.add_overrides()
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det quickstart` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    from ava_det.operations.quickstart import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
