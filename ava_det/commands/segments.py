r"""Makes a table of who did what from when to when, from the JSON lines of the demo.

    ava-det segments detections.jsonl
    ava-det segments detections.jsonl --output segments.csv --max-gap 2 --min-duration 3
    ava-det segments results/*.jsonl --on 0.5,walk=0.7 --off 0.4 --output segments.parquet

Rows are video, track, action, start, end, mean, max, frames. An action begins at the first keyframe
with a score of at least --on, and ends at the last with a score of at least --off; both are seconds
of the file. The file holds the scores over the thresholds it was written with and no others.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, moment, reports_mistakes
from ava_det.demo.thresholds import scores


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det segments`."""
    parser = ToolParser("ava-det segments", __doc__)
    parser.add_argument(
        "detections",
        nargs="+",
        type=Path,
        metavar="JSONL",
        help="files that ava-det demo --json wrote",
    )
    parser.add_argument(
        "--output", type=Path, help="a .csv or .parquet file (default: CSV on the screen)"
    )
    parser.add_argument(
        "--on",
        type=scores,
        metavar="SCORE[,ACTION=SCORE...]",
        help="an action begins at this score (default: wherever the file has it)",
    )
    add_segment_rules(parser, "--on")
    return parser


def add_segment_rules(parser: ToolParser, begins: str) -> None:
    """Adds the options that say what a segment is, beside the score at which it begins.

    Args:
        parser: The parser.
        begins: The option of that score.
    """
    parser.add_argument(
        "--off",
        type=scores,
        metavar="SCORE[,ACTION=SCORE...]",
        help=f"segments: an action ends under this score (default: under {begins})",
    )
    parser.add_argument(
        "--max-gap",
        type=moment,
        default=0.0,
        metavar="SECONDS",
        help="segments of a person and action at most so far apart become one (0)",
    )
    parser.add_argument(
        "--min-duration",
        type=moment,
        default=0.0,
        metavar="SECONDS",
        help="shorter segments are left out (0)",
    )


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det segments` and returns its exit code."""
    args = make_parser().parse_args(argv)
    from ava_det.operations.segments import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
