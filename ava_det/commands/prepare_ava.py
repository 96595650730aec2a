"""Fetches AVA, checks it, and puts it where configs/ava expect it.

    ava-det prepare-ava --dry-run                # what there is to fetch, and how large it is
    ava-det prepare-ava                          # annotations, person boxes, the 299 labeled movies
    ava-det prepare-ava --parts annotations val  # what scoring published weights needs of them
    ava-det prepare-ava --transcode              # and the prepared form, to train your own weights

Complete files are not fetched again, so the same command continues after an interruption.
data/ava/README.md says how to place files by hand.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, at_least, reports_mistakes
from ava_det.commands.transcode import add_form_options
from ava_det.datasets.ava.prepared_form import Form
from ava_det.datasets.ava.sources import AVA, DEFAULT_PARTS, PARTS


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det prepare-ava`."""
    parser = ToolParser("ava-det prepare-ava", __doc__)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("data/ava"),
        metavar="DIR",
        help="folder to fill (data/ava)",
    )
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=DEFAULT_PARTS,
        metavar="PART",
        help=", ".join(PARTS),
    )
    parser.add_argument(
        "--jobs", type=at_least(1), default=4, metavar="N", help="downloads at a time (4)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be fetched, write nothing"
    )
    parser.add_argument(
        "--transcode", action="store_true", help="make the prepared form in videos_prepared"
    )
    add_form_options(parser)
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det prepare-ava` and returns its exit code."""
    args = make_parser().parse_args(argv)
    from ava_det.datasets.ava.prepare import describe, prepare
    from ava_det.datasets.ava.transcode import transcode_folder

    if args.dry_run:
        for line in describe(args.output, args.parts, args.jobs, AVA):
            print(line)
        return 0
    prepare(args.output, args.parts, args.jobs, AVA)
    if args.transcode:
        folder = args.output / "videos_prepared"
        form = Form(args.fps, args.short_side)
        transcode_folder(args.output / "videos", folder, form, os.cpu_count() or 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
