"""Makes pages on which videos play with their boxes, a timeline and a list of what happened.

    ava-det view detections.jsonl --video walk.mp4 --output walk.html
    ava-det view detections.jsonl --video walk.mp4 --output walk.html \
        --annotations val.csv --label-map labels.pbtxt
    ava-det view results --video videos --output pages

The JSON lines are those of `ava-det demo --json`. A page is one file that opens from disk, without
a server; the video stays where it is, and is found by its place beside the page. Of a folder of
JSON lines each has its page, and `index.html` shows what happened in which. --annotations shows
ground truth too: what is right, in a wrong box, of a wrong class, or missed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, at_least, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det view`."""
    parser = ToolParser("ava-det view", __doc__)
    add = parser.add_argument
    add("detections", type=Path, metavar="JSONL|FOLDER", help="JSON lines of the demo, or several")
    add("--video", type=Path, required=True, help="the video, or for a folder the folder of videos")
    add("--output", type=Path, required=True, help="the page, an .html file; a folder for several")
    add("--stream", type=at_least(0), help="which video stream of the file, as in ava-det demo")
    add("--annotations", type=Path, metavar="CSV", help="ground truth to show beside them")
    add("--label-map", type=Path, metavar="PBTXT", help="names of the actions of --annotations")
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det view` and returns its exit code."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.label_map is not None and args.annotations is None:
        parser.error("argument --label-map: expected --annotations with it")
    from ava_det.operations.view import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
