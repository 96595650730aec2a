r"""Serves a page on which you accept, reject or change what was found, by keys.

    ava-det review detections.jsonl --videos videos --label-map labels.pbtxt --output reviewed.csv
    ava-det review results/*.jsonl --videos videos --label-map labels.pbtxt \
        --output reviewed.csv --on 0.4 --max-gap 2

It asks about each segment of the JSON lines of ava-det demo --json or ava-det label: one person's
action from one second to another. Each decision is on disk at once, in a journal beside --output:
the same command goes on where you stopped, undo included. --output is a CSV of annotations, with
every keyframe whose segments are all decided. The page is at http://127.0.0.1:8009 and answers this
machine alone; Ctrl-C ends it. See docs/review.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, at_least, reports_mistakes
from ava_det.commands.segments import add_segment_rules
from ava_det.demo.thresholds import scores

PORT = 8009


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det review`."""
    parser = ToolParser("ava-det review", __doc__)
    add = parser.add_argument
    add("detections", nargs="+", type=Path, metavar="JSONL", help="JSON lines, with track ids")
    add("--videos", type=Path, metavar="FOLDER", required=True, help="the folder of the videos")
    add("--label-map", type=Path, metavar="PBTXT", required=True, help="names of the actions")
    add("--output", type=Path, metavar="CSV", required=True, help="the annotations to write")
    add("--port", type=at_least(0), default=PORT, help="0 for any that is free (%(default)s)")
    add(
        "--on",
        type=scores,
        metavar="SCORE[,ACTION=SCORE...]",
        help="an action begins at this score (default: wherever the file has it)",
    )
    add_segment_rules(parser, "--on")
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det review` and returns its exit code."""
    args = make_parser().parse_args(argv)
    try:
        from ava_det.operations.review import run
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise ValueError(f"ava-det review needs {error.name}: pip install 'ava_det[web]'") from None
    return run(args)


if __name__ == "__main__":
    sys.exit(main())
