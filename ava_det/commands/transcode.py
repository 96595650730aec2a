"""Makes small videos of constant frame rate, quick to seek, for training: the prepared form.

    ava-det transcode --videos DIR --output DIR [--fps 15] [--short-side 320] [--stream N]

Frame k is the frame of the source nearest to k / fps seconds after its first one. So times stay
the same, and with them annotations, start_second and configs. There is a key picture where the clip
of a whole second begins: a clip of 64 ticks starts 32/30 s before its keyframe, at 15 fps with
frame 15 s - 16, so that no frame outside the clip is decoded. Published weights were trained on
other pictures (larger ones, at another rate). A prepared video is marked as such in its metadata,
and `ava_det.video.file.VideoReader.is_prepared` reads the mark.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, at_least, reports_mistakes
from ava_det.datasets.ava.prepared_form import Form


def add_form_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the form: --fps and --short-side."""
    parser.add_argument(
        "--fps",
        type=at_least(1),
        default=Form.fps,
        help=f"frames a second of the prepared form ({Form.fps})",
    )
    parser.add_argument(
        "--short-side",
        type=at_least(1),
        default=Form.short_side,
        metavar="PIXELS",
        help=f"short side of the prepared form, in pixels ({Form.short_side}; nothing is enlarged)",
    )


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det transcode`."""
    parser = ToolParser("ava-det transcode", __doc__)
    parser.add_argument(
        "--videos", type=Path, required=True, metavar="DIR", help="folder of videos"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--jobs", type=at_least(1), default=os.cpu_count() or 1, metavar="N", help="processes"
    )
    parser.add_argument(
        "--stream",
        type=at_least(0),
        metavar="N",
        help="which video stream of the files, from 0 (the first that is no picture)",
    )
    add_form_options(parser)
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det transcode` and returns its exit code."""
    args = make_parser().parse_args(argv)
    from ava_det.datasets.ava.transcode import transcode_folder

    form = Form(args.fps, args.short_side)
    transcode_folder(args.videos, args.output, form, args.jobs, args.stream)
    return 0


if __name__ == "__main__":
    sys.exit(main())
