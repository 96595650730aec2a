"""Computes the optical flow of videos and writes it as pictures, a folder a video.

    ava-det flow --videos FOLDER --output FLOW
    ava-det flow --videos FOLDER --output FLOW --algorithm tvl1 --short-side 256 --fps 25
    torchrun --nproc-per-node 8 -m ava_det flow --videos FOLDER --output FLOW

FLOW/ID/flow_x_00001.jpg and flow_y_00001.jpg are u and v from the first frame to the second, coded
in 8 bits as TSN and MMAction2 read them. A run that was killed goes on where it was by the same
command. A video that cannot be read is named and passed over: exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.choices import FLOW_ALGORITHMS
from ava_det.cli import ToolParser, at_least, device, reports_mistakes


def speed(text: str) -> float:
    """Parses a number of pixels a step above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected pixels a step above 0, received {text!r}")
    return value


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det flow`."""
    parser = ToolParser("ava-det flow", __doc__)
    parser.add_argument(
        "--videos", type=Path, required=True, metavar="DIR", help="folder of videos"
    )
    parser.add_argument(
        "--recursive", action="store_true", help="read folders within the folder too"
    )
    parser.add_argument(
        "--stream",
        type=at_least(0),
        metavar="N",
        help="which video stream of the files, from 0 (the first that is no picture)",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--algorithm",
        choices=FLOW_ALGORITHMS,
        default="dis",
        help=f"how flow is computed: {', '.join(FLOW_ALGORITHMS)} (dis)",
    )
    parser.add_argument(
        "--range",
        type=speed,
        default=20.0,
        metavar="PIXELS",
        help="the largest speed that is coded, in pixels a step (20, as TSN and I3D)",
    )
    parser.add_argument(
        "--short-side",
        type=at_least(1),
        metavar="PIXELS",
        help="short side of the frames, resized before (the video's own)",
    )
    parser.add_argument(
        "--fps",
        type=at_least(1),
        metavar="N",
        help="frames a second between which flow is computed (every frame of the video)",
    )
    parser.add_argument(
        "--device",
        type=device,
        default="auto",
        help="where raft computes: auto, cpu, cuda or cuda:N (default: auto)",
    )
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det flow` and returns its exit code."""
    args = make_parser().parse_args(argv)
    from ava_det.operations.flow import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
