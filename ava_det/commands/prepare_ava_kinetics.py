r"""Makes annotations of the clips of Kinetics from the rows of AVA-Kinetics.

    ava-det prepare-ava --parts ava-kinetics      # fetches the rows into data/ava/annotations
    ava-det prepare-ava-kinetics --clips CLIPS --output data/ava_kinetics/annotations \
        --annotations data/ava/annotations/kinetics_train_v1.0.csv

writes kinetics_train.csv: times count from each clip's first frame. A clip is named as Kinetics
names it, ID_000012_000022.mp4: seconds 12 to 22 of the video ID. Rows of clips that are not there
are left out, and counted. --dry-run reads and counts, and writes nothing. Licenses and the rest are
in data/ava_kinetics/README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det prepare-ava-kinetics`."""
    parser = ToolParser("ava-det prepare-ava-kinetics", __doc__)
    add = parser.add_argument
    add(
        "--annotations",
        nargs="+",
        type=Path,
        required=True,
        metavar="CSV",
        help="kinetics_train_v1.0.csv, kinetics_val_v1.0.csv, ...",
    )
    add("--clips", type=Path, required=True, metavar="DIR", help="the clips, or folders of them")
    add("--output", type=Path, required=True, metavar="DIR", help="the folder of the annotations")
    add("--dry-run", action="store_true", help="read and count, write nothing")
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det prepare-ava-kinetics` and returns its exit code."""
    args = make_parser().parse_args(argv)
    from ava_det.operations.prepare_ava_kinetics import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
