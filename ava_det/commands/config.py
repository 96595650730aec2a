"""Prints an experiment in full, every key with its value, or what the keys mean.

    ava-det config configs/ava/slowfast_r50_4x16.yaml
    ava-det config configs/synthetic/slowfast.yaml train.lr=0.1 > mine.yaml
    ava-det config --keys                         (every key: its form, its default, what it does)
    ava-det config --keys roi                     (the keys with this word in their name or meaning)

Every key=value of the second form works after any command that reads a config.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det config`."""
    parser = ToolParser("ava-det config", __doc__)
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="the experiment, such as configs/synthetic/slowfast.yaml",
    )
    parser.add_argument(
        "--keys", nargs="?", const="", metavar="WORD", help="list the keys, or those about WORD"
    )
    parser.add_overrides()
    return parser


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line, and ends the program where its options do not fit together."""
    parser = make_parser()
    args: argparse.Namespace = parser.parse_intermixed_args(argv)
    if (args.keys is None) == (args.file is None):
        received = "" if args.file is None else ", received both"
        parser.error(f"expected FILE or --keys{received}")
    return args


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det config` and returns its exit code."""
    args = parse_arguments(argv)
    from ava_det.operations.config import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
