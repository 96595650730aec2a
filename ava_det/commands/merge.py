"""Joins the results of an archive that ava-det label wrote, and says what it holds.

    ava-det merge DIR                       (writes DIR/merged)
    ava-det merge DIR --output FOLDER

detections.parquet has a row for each person and action, segments.parquet who did what from when to
when, detections.csv is an AVA result file, failed.csv lists the videos without a result, and
index.html shows it all at a glance. Videos are in the order of the manifest. Where a video has
neither a result nor a failed attempt, nothing is written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det merge`."""
    parser = ToolParser("ava-det merge", __doc__)
    parser.add_argument("archive", metavar="DIR", help="the --output of ava-det label")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="the folder to write (DIR/merged)"
    )
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det merge` and returns its exit code."""
    args: argparse.Namespace = make_parser().parse_args(argv)
    from ava_det.operations.merge import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
