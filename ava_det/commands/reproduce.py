"""Reproduces a published mAP from AVA's original validation movies, and says why where it does not.

    ava-det reproduce --weights pyslowfast/SLOWFAST_32x2_R101_50_50_v2.1 --videos data/ava/videos
    ava-det reproduce --weights ... --videos DIR --limit 1 train.num_workers=2
    torchrun --nproc-per-node 8 -m ava_det reproduce --weights ... --videos DIR

The same command goes on with what was scored before. See docs/reproducing.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ava_det.choices import PROTOCOL_NAMES
from ava_det.cli import ToolParser, at_least, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det reproduce`."""
    parser = ToolParser("ava-det reproduce", __doc__)
    parser.add_weights("a published name (MODEL_ZOO.md), or a weights file", required=True)
    parser.add_argument(
        "--videos",
        required=True,
        metavar="DIR",
        help="original movies, cut ones, or picture folders",
    )
    parser.add_config(
        "how to run the weights (default: the published config of their name)", required=False
    )
    parser.add_argument(
        "--protocol", choices=[*PROTOCOL_NAMES, "all"], default="all", help="default: %(default)s"
    )
    parser.add_argument(
        "--limit", type=at_least(1), metavar="N", help="score the first N movies only"
    )
    parser.add_argument(
        "--reference", metavar="LOG", help="a published test log, to compare every class with"
    )
    parser.add_argument(
        "--output", metavar="DIR", help="default: outputs/reproduce/NAME; run again to go on"
    )
    parser.add_device_key()
    parser.add_overrides()
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det reproduce` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    from ava_det.operations.reproduce import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
