r"""Labels an archive of videos: who does what, in one file a video, on one machine or many.

    ava-det label FOLDER --output DIR                       (folders within it are read too)
    ava-det label LIST --output DIR --weights FILE          (a path or URL in each line)
    ava-det label FOLDER --output DIR --shard 3/8           (the third of eight parts)
    torchrun --nproc-per-node 8 -m ava_det label FOLDER --output DIR
    ava-det label --output DIR --status

Several of these commands may run on one DIR at once: each takes videos that no other has. The same
command goes on where a run was stopped. A video with a result is done; one that failed is named in
DIR/errors. docs/scale.md has the rest.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from ava_det.choices import DEFAULT_ACTION_WEIGHTS
from ava_det.cli import ToolParser, at_least, interval, positive, reports_mistakes
from ava_det.demo.thresholds import scores


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det label`."""
    parser = ToolParser("ava-det label", __doc__)
    add = parser.add_argument
    add(
        "source",
        nargs="?",
        metavar="FOLDER|LIST",
        help="the videos: a folder, or a file with a path in each line; not needed where DIR has "
        "its manifest",
    )
    add("--output", required=True, metavar="DIR", help="the folder of the results, which is shared")
    add("--update", action="store_true", help="look again which videos are new or have changed")
    add("--status", action="store_true", help="print how far the archive is, and do nothing")
    _add_network(parser)
    add(
        "--shard",
        type=shard,
        metavar="I/N",
        help="only the I-th of N parts, from 1, as a Slurm array has tasks (default: all videos)",
    )
    add("--workers", type=at_least(1), help="processes with a network each (1)")
    add(
        "--time-limit",
        type=positive,
        default=6 * 3600.0,
        metavar="SECONDS",
        help="a video that takes longer has failed (21600)",
    )
    add(
        "--retries",
        type=at_least(0),
        default=2,
        help="further attempts at a video that failed (2)",
    )
    parser.add_device_key()
    parser.add_overrides()
    return parser


def _add_network(parser: ToolParser) -> None:
    """Adds the options that decide what is found."""
    parser.add_weights(
        f"a checkpoint, a name of the model zoo, or best ({DEFAULT_ACTION_WEIGHTS})",
        default=DEFAULT_ACTION_WEIGHTS,
    )
    parser.add_config(
        "the experiment the weights were trained by (default: what they carry or ships with them)",
        required=False,
    )
    parser.add_runtime()
    add = parser.add_argument
    add(
        "--label-map",
        metavar="PBTXT",
        help="names of the actions (default: what the weights carry)",
    )
    persons = parser.add_mutually_exclusive_group()
    parser.add_detector(persons)
    persons.add_argument(
        "--boxes", metavar="FILE", help="a box file, whose keyframes are taken too"
    )
    add("--every", type=interval, default=1.0, help="seconds between keyframes (1.0)")
    add(
        "--threshold",
        type=scores,
        metavar="SCORE[,ACTION=SCORE...]",
        help="keep actions of at least this score (default: those of the weights, or 0.5)",
    )


def shard(text: str) -> tuple[int, int]:
    """Parses I/N, a part of how many, from 1."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"expected I/N with 1 <= I <= N, received {text!r}")
    return int(found[1]), int(found[2])


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det label` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    from ava_det.operations.label import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
