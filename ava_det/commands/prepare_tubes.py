r"""Makes annotations of every frame from the ground truth of UCF101-24, JHMDB or MultiSports.

    ava-det prepare-tubes --truth JHMDB-GT.pkl --videos VIDEOS --output data/jhmdb/annotations
    ava-det prepare-tubes --truth multisports_GT.pkl --videos VIDEOS \
        --output data/multisports/annotations --person-boxes-val MultiSports_box_val.pkl
    ava-det prepare-tubes --truth finalAnnots.mat --test-videos testlist01.txt --videos VIDEOS \
        --output data/ucf101_24/annotations
    ava-det prepare-tubes --truth multisports_train.csv multisports_val.csv --labels label_map.txt \
        --videos VIDEOS --output data/multisports/annotations

writes labelmap.pbtxt, frames.csv, and train.csv and val.csv (train1.csv, val1.csv, ... of several
splits); of finalAnnots.mat and of CSVs also tubes_GT.pkl, for `ava-det score`. Nothing in a pickle
is run. --dry-run reads and checks everything and writes nothing. Where the files come from, and
under which terms, is said in data/NAME/README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det prepare-tubes`."""
    parser = ToolParser("ava-det prepare-tubes", __doc__)
    add = parser.add_argument
    add(
        "--truth",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="of the *-GT.pkl family, finalAnnots.mat, or MMAction2's CSVs of train and val",
    )
    add("--test-videos", type=Path, metavar="TXT", help="the test videos of finalAnnots.mat")
    add(
        "--labels",
        type=Path,
        metavar="TXT",
        help="names of CSVs' labels: MMAction2's label_map.txt",
    )
    add("--output", type=Path, required=True, metavar="DIR", help="the folder of the annotations")
    add(
        "--videos",
        type=Path,
        metavar="DIR",
        help="the videos, in one folder or in one of each class: their rates are read",
    )
    add("--fps", type=rate, default=Fraction(25), help="rate of videos that are not there (25)")
    for split in ("train", "val"):
        add(
            f"--person-boxes-{split}",
            type=Path,
            metavar="PKL",
            help=f"MultiSports' person boxes, written as person_boxes_{split}.csv",
        )
    add("--dry-run", action="store_true", help="read and check, write nothing")
    return parser


def rate(text: str) -> Fraction:
    """Parses frames a second, such as 25 or 30000/1001."""
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected frames a second, received {text!r}")
    return value


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det prepare-tubes` and returns its exit code."""
    args = make_parser().parse_args(argv)
    from ava_det.operations.prepare_tubes import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
