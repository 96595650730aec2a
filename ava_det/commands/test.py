"""Scores trained weights on a split and writes detections.csv and metrics.json.

    ava-det test --config configs/synthetic/slowfast.yaml --weights FILE
    ava-det test --config FILE --weights FILE --boxes gt output_dir=outputs/gt_boxes
    ava-det test --config FILE --weights FILE --split test      (no labels: a submission, no mAP)

Under torchrun the processes share the clips out. See docs/evaluation.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det test`."""
    parser = ToolParser("ava-det test", __doc__)
    parser.add_config("the experiment the weights were trained by")
    parser.add_weights(
        "a checkpoint, a name of the model zoo, hf:user/name, or best", required=True
    )
    parser.add_runtime()
    parser.add_argument("--split", choices=("val", "test"), default="val")
    who = parser.add_mutually_exclusive_group()
    who.add_argument(
        "--boxes",
        metavar="gt|FILE",
        help="labeled boxes, or those of a box file (default: data.<split>.boxes)",
    )
    parser.add_detector(who, default="data.<split>.boxes")
    parser.add_device_key()
    parser.add_overrides()
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det test` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    from ava_det.operations.test import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
