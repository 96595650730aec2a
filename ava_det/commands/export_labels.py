"""Writes AVA's format as files of annotation tools, to be corrected there.

    ava-det export-labels cvat --boxes boxes.csv --videos videos --label-map MAP --output drafts
    ava-det export-labels via --detections results.csv --videos videos --label-map MAP --output out

writes a file for each video, from --annotations, from the --detections of a model or from person
--boxes: `cvat` as "CVAT for video 1.1", with labels.json for its label constructor, `via` as a
project of VIA 3, `label-studio` as a task with a prediction, with labeling_config.xml for its
project, `coco` as COCO with videos, `datumaro` as Datumaro's JSON. `ava-det import` reads what was
corrected. See docs/custom_dataset.md and docs/annotation_formats.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, fraction, reports_mistakes, second

TOOLS = {
    "coco": "COCO files with videos",
    "cvat": "drafts for CVAT, as 'CVAT for video 1.1'",
    "datumaro": "Datumaro's JSON, in a zip archive",
    "label-studio": "tasks for Label Studio",
    "via": "projects of VIA 3",
}


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det export-labels`."""
    parser = ToolParser("ava-det export-labels", __doc__)
    tools = parser.add_subparsers(dest="format", required=True, metavar=" | ".join(TOOLS))
    for name, summary in TOOLS.items():
        add_options(tools.add_parser(name, help=summary, description=f"Writes {summary}."))
    return parser


def add_options(tool: argparse.ArgumentParser) -> None:
    """Adds the options, which are the same for every tool."""
    source = tool.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--annotations", type=Path, metavar="FILE", help="ground truth: column 8 is the person id"
    )
    source.add_argument(
        "--detections", type=Path, metavar="FILE", help="a model's results: column 8 is a score"
    )
    source.add_argument(
        "--boxes", type=Path, metavar="FILE", help="a box file: persons without actions"
    )
    tool.add_argument(
        "--videos", type=Path, metavar="FOLDER", required=True, help="their frame times and sizes"
    )
    tool.add_argument(
        "--label-map",
        type=Path,
        metavar="FILE",
        required=True,
        help="action ids and names (.pbtxt)",
    )
    tool.add_argument(
        "--min-score",
        type=fraction,
        default=0.5,
        help="leave out actions, or persons of --boxes, below (0.5)",
    )
    tool.add_argument(
        "--output", type=Path, metavar="FOLDER", required=True, help="folder to write"
    )
    tool.add_argument(
        "--start-second",
        type=second,
        default=0.0,
        help="annotation time, in seconds, of a video's first frame (0)",
    )


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det export-labels` and returns its exit code."""
    args = make_parser().parse_args(argv)
    from ava_det.operations.export_labels import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
