"""Serves what a camera, a stream or the videos of a folder show, to browsers and programs.

    ava-det serve --video 0                          (a webcam; then open http://127.0.0.1:8008)
    ava-det serve --video rtsp://camera/1 --weights FILE --detector motion
    ava-det serve --video 0 --events rules.yaml      (alarms: docs/events.md)
    ava-det serve --video FOLDER --host 0.0.0.0      (prints an address with a token)

A live source, or a file at its own pace, has one page with its picture, the boxes and a list of
what happens. A folder has a page for each video, which is looked at when it is first asked for.
`GET /detections` and `POST /predict` answer with JSON. Ctrl-C ends it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.choices import DEFAULT_ACTION_WEIGHTS
from ava_det.cli import ToolParser, at_least, interval, moment, reports_mistakes
from ava_det.demo.thresholds import scores

PORT = 8008
MAX_UPLOAD = 200  # megabytes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det serve`."""
    parser = ToolParser("ava-det serve", __doc__)
    add = parser.add_argument
    add("--video", required=True, help="a webcam's number, an RTSP or HTTP URL, a file, a folder")
    add("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    add("--port", type=at_least(0), default=PORT, help="0 for any that is free (%(default)s)")
    add("--token", help="what others must know where --host is not this machine (default: random)")
    add(
        "--max-upload",
        type=at_least(1),
        default=MAX_UPLOAD,
        metavar="MB",
        help="largest video of POST /predict, in megabytes (%(default)s)",
    )
    parser.add_weights(
        f"a checkpoint, a name of the model zoo or hf:user/name ({DEFAULT_ACTION_WEIGHTS})",
        default=DEFAULT_ACTION_WEIGHTS,
    )
    parser.add_config(
        "the experiment the weights were trained by (default: what they carry or ships with them)",
        required=False,
    )
    parser.add_runtime()
    add("--label-map", type=Path, metavar="PBTXT", help="names of the actions")
    parser.add_detector()
    add("--every", type=interval, default=1.0, help="seconds between predictions (default: 1.0)")
    add("--smooth", type=moment, default=0.0, help="average scores over so many seconds (0)")
    add(
        "--threshold",
        type=scores,
        metavar="SCORE[,ACTION=SCORE...]",
        help="tell actions of at least this score (default: those of the checkpoint, or 0.5)",
    )
    add(
        "--events",
        type=Path,
        metavar="YAML",
        help="rules of events of a live source, and what is done when one happens (docs/events.md)",
    )
    add("--classes", metavar="ACTION,...", help="these actions only, by id or name (default: all)")
    parser.add_device_key()
    parser.add_overrides()
    parser.set_defaults(boxes=None)
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det serve` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    try:
        from ava_det.operations.serve import run
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise ValueError(f"ava-det serve needs {error.name}: pip install 'ava_det[web]'") from None
    return run(args)


if __name__ == "__main__":
    sys.exit(main())
