r"""Labels an archive of videos: who does what, in one file a video, on one machine or many.

    ava-det label FOLDER --output DIR                       (folders within it are read too)
    ava-det label LIST --output DIR --weights FILE          (a path or URL in each line)
    ava-det label FOLDER --output DIR --shard 3/8           (the third of eight parts)
    torchrun --nproc-per-node 8 -m ava_det label FOLDER --output DIR
    ava-det label FOLDER --output DIR --engine ray --address HOST:6379
    ava-det label FOLDER --output DIR --engine slurm --workers 64 --slurm gpus=1
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
    _add_engine(parser)
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


def _add_engine(parser: ToolParser) -> None:
    """Adds the options of what starts the workers."""
    add = parser.add_argument
    add(
        "--workers",
        type=at_least(1),
        help="processes with a network each (1; with ray one for each GPU, or else CPU); tasks of "
        "the array with slurm",
    )
    add(
        "--engine",
        choices=("ray", "slurm"),
        help="what starts the workers: this process by default, Ray (needs the extra ray), or a "
        "Slurm array, which is submitted",
    )
    add(
        "--address",
        metavar="HOST:PORT",
        help="the Ray cluster to join (default: RAY_ADDRESS, or else Ray is started here)",
    )
    add(
        "--slurm",
        type=sbatch_option,
        action="append",
        default=[],
        metavar="OPTION[=VALUE]",
        help="of sbatch, such as partition=gpu or gpus=1; may be given several times",
    )


def _add_network(parser: ToolParser) -> None:
    """Adds the options that decide what is found."""
    parser.add_weights(
        f"a checkpoint, a name of the model zoo, hf:user/name, or best ({DEFAULT_ACTION_WEIGHTS})",
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
    parser.add_hwaccel()
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


def sbatch_option(text: str) -> tuple[str, str]:
    """Parses OPTION or OPTION=VALUE, a long option of sbatch."""
    name, _, value = text.lstrip("-").partition("=")
    if not re.fullmatch(r"[a-z][a-z-]*", name) or "\n" in value:
        raise argparse.ArgumentTypeError(f"expected such as partition=gpu, received {text!r}")
    return name, value


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det label` and returns its exit code."""
    parser = make_parser()
    args = parser.parse_intermixed_args(argv)
    if args.address is not None and args.engine != "ray":
        parser.error("argument --address: expected with --engine ray alone")
    if args.slurm and args.engine != "slurm":
        parser.error("argument --slurm: expected with --engine slurm alone")
    if args.engine == "slurm" and "://" in args.output:
        parser.error("argument --engine: slurm writes its script into DIR, expected a folder")
    from ava_det.operations.label import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
