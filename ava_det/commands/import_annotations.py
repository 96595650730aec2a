"""Turns labels of annotation tools and tables into AVA's format.

    ava-det import cvat exports/*.zip --videos videos --output data/mine --val-share 0.25
    ava-det import via projects/*.json --videos videos --output data/mine
    ava-det import coco annotations.json --videos videos --output data/mine
    ava-det import csv boxes.csv --videos videos --pixels --output data/mine

`via` (projects of VIA 3), `label-studio`, `cvat`, `coco`, `datumaro`, `gttubes` (ground truth of
tubes) and `csv` write train.csv and val.csv, and labelmap.pbtxt unless --label-map gives one or the
folder has one. They add to what earlier imports left in the folder: rows of other videos stay,
those of a video that is imported again are replaced. The way back is `ava-det export-labels`. See
docs/custom_dataset.md and docs/annotation_formats.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import Commands, ToolParser, fraction, interval, positive, reports_mistakes, second


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det import`."""
    parser = ToolParser("ava-det import", __doc__)
    commands = parser.add_subparsers(
        dest="command",
        required=True,
        metavar="via | label-studio | cvat | coco | datumaro | gttubes | csv",
    )
    for command in (
        add_via(commands),
        add_label_studio(commands),
        add_cvat(commands),
        add_pictures(commands, "coco", "COCO files of videos, as of CVAT, TAO and YouTube-VIS"),
        add_pictures(commands, "datumaro", "Datumaro's JSON, as of CVAT"),
        add_tubes(commands),
        add_csv(commands),
    ):
        add_dataset_options(command)
    return parser


def add_via(commands: Commands) -> argparse.ArgumentParser:
    """Adds the parser of `ava-det import via`."""
    via = commands.add_parser(
        "via",
        help="projects of VIA 3 (VGG Image Annotator)",
        description="Projects of VIA 3, of videos or of their frames, into AVA's format.",
    )
    via.add_argument(
        "sources", type=Path, nargs="+", metavar="FILE", help="projects as saved by VIA 3 (.json)"
    )
    via.add_argument(
        "--picture-fps",
        type=positive,
        default=30.0,
        help="of projects of pictures named VIDEO_NUMBER: numbers a second, from 1 on (30)",
    )
    via.add_argument(
        "--person",
        default="person",
        metavar="ATTRIBUTE",
        help="the attribute that says who a person is (person)",
    )
    via.add_argument(
        "--ignore",
        nargs="+",
        default=[],
        metavar="NAME",
        help="attributes and options that are no actions",
    )
    return via


def add_label_studio(commands: Commands) -> argparse.ArgumentParser:
    """Adds the parser of `ava-det import label-studio`."""
    studio = commands.add_parser(
        "label-studio",
        help="exports of Label Studio",
        description="Label Studio's exports of video object tracking into AVA's format.",
    )
    studio.add_argument(
        "sources", type=Path, nargs="+", metavar="FILE", help='exports as "JSON", .json or .zip'
    )
    add_keyframe_options(studio)
    studio.add_argument(
        "--person",
        default="person",
        metavar="NAME",
        help="the label that is no action, and the text that says who a person is (person)",
    )
    studio.add_argument(
        "--ignore",
        nargs="+",
        default=[],
        metavar="NAME",
        help="labels whose tracks are left out; choices that are no actions",
    )
    return studio


def add_cvat(commands: Commands) -> argparse.ArgumentParser:
    """Adds the parser of `ava-det import cvat`."""
    cvat = commands.add_parser(
        "cvat",
        help="exports of CVAT for video 1.1",
        description="CVAT's exports into AVA's format.",
    )
    cvat.add_argument(
        "sources",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="exports as 'CVAT for video 1.1' (or 'CVAT for images 1.1' of a video), .zip or .xml",
    )
    add_keyframe_options(cvat)
    add_label_options(cvat)
    return cvat


def add_pictures(commands: Commands, name: str, summary: str) -> argparse.ArgumentParser:
    """Adds the parser of `ava-det import NAME`, whose files list pictures."""
    pictures = commands.add_parser(name, help=summary, description=f"{summary}, into AVA's format.")
    pictures.add_argument("sources", type=Path, nargs="+", metavar="FILE", help=".json or .zip")
    add_keyframe_options(pictures)
    add_label_options(pictures)
    pictures.add_argument(
        "--first-frame",
        type=int,
        choices=(0, 1),
        default=0,
        help="the number of a video's first frame in pictures' names and frame_id (0)",
    )
    pictures.add_argument(
        "--picture-fps",
        type=positive,
        help="numbers a second, of pictures that were taken from the videos at another rate",
    )
    return pictures


def add_tubes(commands: Commands) -> argparse.ArgumentParser:
    """Adds the parser of `ava-det import gttubes`."""
    tubes = commands.add_parser(
        "gttubes",
        help="ground truth of tubes, as of UCF101-24 and JHMDB",
        description="Ground truth of tubes into AVA's format: keyframes of the videos at hand.",
    )
    tubes.add_argument(
        "sources",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="of the *-GT.pkl family, of which nothing is run",
    )
    tubes.add_argument(
        "--every", type=interval, default=1.0, help="seconds between keyframes (1.0)"
    )
    return tubes


def add_csv(commands: Commands) -> argparse.ArgumentParser:
    """Adds the parser of `ava-det import csv`."""
    table = commands.add_parser(
        "csv",
        help="a plain table of boxes",
        description="Converts a plain table into AVA's format.",
    )
    table.add_argument(
        "sources",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="video,second,x1,y1,x2,y2,action,person",
    )
    table.add_argument(
        "--pixels", action="store_true", help="boxes are in pixels, not in fractions of the frame"
    )
    return table


def add_label_options(command: argparse.ArgumentParser) -> None:
    """Adds the options that say which labels are persons and which are actions."""
    command.add_argument(
        "--person", default="person", metavar="LABEL", help="the label that is no action (person)"
    )
    command.add_argument(
        "--persons",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="the labels whose tracks are persons, others are left out (all)",
    )
    command.add_argument(
        "--ignore",
        nargs="+",
        default=[],
        metavar="NAME",
        help="labels whose tracks are left out; attributes and values that are no actions",
    )


def add_keyframe_options(command: argparse.ArgumentParser) -> None:
    """Adds the options that choose keyframes from tracks."""
    moments = command.add_mutually_exclusive_group()
    moments.add_argument(
        "--every", type=interval, default=1.0, help="seconds between keyframes (1.0)"
    )
    moments.add_argument(
        "--drawn",
        action="store_true",
        help="keyframes are the frames on which a box was drawn by hand",
    )


def add_dataset_options(command: argparse.ArgumentParser) -> None:
    """Adds the options of the commands that write a dataset."""
    clock = command.add_mutually_exclusive_group()
    clock.add_argument(
        "--videos", type=Path, metavar="FOLDER", help="the videos: their frame times and sizes"
    )
    clock.add_argument("--fps", type=positive, help="without the videos: their constant frame rate")
    command.add_argument(
        "--label-map",
        type=Path,
        metavar="FILE",
        help="action ids (.pbtxt); default: numbered anew",
    )
    command.add_argument(
        "--val-share", type=fraction, default=0.0, help="share of the videos for val.csv (0)"
    )
    command.add_argument("--seed", type=int, default=0, help="seed of the split by video (0)")
    command.add_argument(
        "--output", type=Path, metavar="FOLDER", required=True, help="folder to write"
    )
    command.add_argument(
        "--start-second",
        type=second,
        default=0.0,
        help="annotation time, in seconds, of a video's first frame (0)",
    )


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det import` and returns its exit code."""
    args = make_parser().parse_args(argv)
    from ava_det.operations.import_annotations import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
