r"""Links the boxes of single frames to tubes: one action of one person over time.

    ava-det link --detections detections.csv --frames frames.csv --label-map labelmap.pbtxt \
        --output tubes.jsonl [--method act] [--start-second 900]

reads a result CSV of `ava-det test` or `demo`, with dense keyframes or every n-th frame, and
writes a tube a line. frames.csv (video_id,name,fps,num_frames,width,height) comes from a data set's
prepare.py or from `ava-det render --tubes`. The methods are those of docs/tube_linking.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.choices import LINKING_METHODS
from ava_det.cli import ToolParser, at_least, fraction, reports_mistakes, second


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det link`."""
    parser = ToolParser("ava-det link", __doc__)
    add = parser.add_argument
    add("--detections", type=Path, required=True, metavar="CSV", help="an AVA result CSV")
    add("--frames", type=Path, required=True, metavar="CSV", help="rate and size of each video")
    add("--label-map", type=Path, required=True, metavar="PBTXT", help="ids and names of actions")
    add("--output", type=Path, required=True, metavar="FILE", help="the tubes, .jsonl or .jsonl.gz")
    add(
        "--method",
        choices=LINKING_METHODS,
        default="tracks",
        help="tracks links persons, the others boxes of a class (tracks)",
    )
    add(
        "--every",
        type=at_least(1),
        metavar="N",
        help="frames from one keyframe to the next, not for tracks (default: what the times of the "
        "file say)",
    )
    add("--start-second", type=second, default=0.0, help="annotation time of the first frame (0)")
    add("--min-frames", type=at_least(1), default=15, help="leave out shorter tubes (15)")
    add("--high", type=fraction, default=0.2, help="tracks: the score a tube must reach (0.2)")
    add(
        "--low",
        type=fraction,
        help="tracks: the score at which a tube begins and ends (default: half of --high)",
    )
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det link` and returns its exit code."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.low is None:
        args.low = args.high / 2
    if args.every is not None and args.method == "tracks":
        parser.error("argument --every: expected another --method, tracks need no even steps")
    if args.low > args.high:
        parser.error(
            f"argument --low: expected at most --high {args.high:g}, received {args.low:g}"
        )
    from ava_det.operations.link import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
