"""Prints what a network looks like and costs, as Table 1 of the SlowFast paper does.

    ava-det info --config configs/kinetics/slowfast_r50_4x16.yaml
    ava-det info --config configs/ava/slowfast_r50_8x8.yaml --json

GMACs are multiply-accumulates of one clip; a detection head counts one box. Nothing is run and no
weights are made.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det info`."""
    parser = ToolParser("ava-det info", __doc__)
    parser.add_config("the experiment whose network is described")
    parser.add_argument("--size", type=int, default=256, help="pixels per side of the clip (256)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_overrides()
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det info` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    from ava_det.operations.info import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
