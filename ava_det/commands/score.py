"""Scores an AVA result CSV: frame mAP under a named protocol, per class, and what was not scored.

    ava-det score --annotations CSV --detections CSV --label-map PBTXT
    ava-det score ... --protocol all --excluded CSV
    ava-det score ... --iou 0.5 0.75 --json metrics.json --report report --compare CSV

It also says why a row was not scored. What the protocols count: docs/evaluation.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ava_det.choices import PROTOCOL_NAMES
from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det score`."""
    parser = ToolParser("ava-det score", __doc__)
    parser.add_argument(
        "--annotations", required=True, metavar="CSV", help="ground truth; column 8 is a person id"
    )
    parser.add_argument(
        "--detections", required=True, metavar="CSV", help="results; column 8 is a score"
    )
    parser.add_argument("--label-map", required=True, metavar="PBTXT", help="the evaluated classes")
    parser.add_argument("--excluded", metavar="CSV", help="keyframes that most protocols drop")
    parser.add_argument(
        "--protocol",
        choices=[*PROTOCOL_NAMES, "all"],
        default="activitynet-2020",
        help="%(default)s",
    )
    parser.add_argument(
        "--iou", nargs="+", type=float, default=[0.5], metavar="IOU", help="default: 0.5"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s"
    )
    parser.add_argument("--json", metavar="FILE", help="write the result there")
    parser.add_argument("--report", metavar="DIR", help="write DIR/index.html, a page with figures")
    parser.add_argument(
        "--compare", metavar="CSV", help="other detections: show the gains over them by class"
    )
    parser.add_argument(
        "--gt-boxes", metavar="CSV", help="the model's detections on ground-truth boxes: the bound"
    )
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det score` and returns its exit code."""
    args = make_parser().parse_args(argv)
    from ava_det.operations.score import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
