"""Scores detections: mAP under a named protocol, per class, and what was not scored.

    ava-det score --annotations CSV --detections CSV --label-map PBTXT
    ava-det score ... --protocol all --excluded CSV
    ava-det score ... --iou 0.5 0.75 --json metrics.json --report report --compare CSV
    ava-det score --task video --annotations GT.pkl --detections video_detections.pkl
    ava-det score --task video ... --protocol act --split 2 --errors 0.5
    ava-det score --task frame --annotations GT.pkl --detections frame_detections.pkl

It also says why a row was not scored. What the protocols count: docs/evaluation.md; of tubes
(UCF101-24, JHMDB, MultiSports): docs/tubes.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ava_det.choices import PROTOCOL_NAMES, TUBE_PROTOCOL_NAMES
from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det score`."""
    parser = ToolParser("ava-det score", __doc__)
    parser.add_argument(
        "--task",
        choices=("ava", "frame", "video"),
        default="ava",
        help="ava: boxes at AVA's keyframes; frame, video: boxes and tubes of data sets of tubes "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--annotations",
        required=True,
        metavar="FILE",
        help="ground truth: AVA's CSV, column 8 is a person id; or a pickle of tubes",
    )
    parser.add_argument(
        "--detections",
        required=True,
        metavar="FILE",
        help="results: AVA's CSV, column 8 is a score; or boxes or tubes in a pickle, JSON lines, "
        "or ACT's folder",
    )
    parser.add_argument("--label-map", metavar="PBTXT", help="the evaluated classes of AVA's CSVs")
    parser.add_argument("--excluded", metavar="CSV", help="keyframes that most protocols drop")
    parser.add_argument(
        "--protocol",
        choices=[*dict.fromkeys((*PROTOCOL_NAMES, *TUBE_PROTOCOL_NAMES)), "all"],
        help="default: activitynet-2020, and multisports for tubes",
    )
    parser.add_argument(
        "--iou",
        nargs="+",
        type=float,
        metavar="IOU",
        help="default: 0.5, and of tubes 0.5 0.2 0.75; the report shows the first",
    )
    parser.add_argument(
        "--split", type=int, default=1, metavar="N", help="of a data set of tubes, from 1"
    )
    parser.add_argument(
        "--errors", type=float, metavar="IOU", help="tubes: MultiSports' split of errors there"
    )
    parser.add_argument(
        "--label-type", metavar="NAME", help="which labels of 3D-RetinaNet's tubes, if several"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s"
    )
    parser.add_argument("--json", metavar="FILE", help="write the result there")
    parser.add_argument("--report", metavar="DIR", help="write DIR/index.html, a page with figures")
    parser.add_argument(
        "--compare", metavar="FILE", help="other detections: show the gains over them by class"
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
