"""Trains the built-in person detector on the person boxes of a dataset, and says how good it is.

    ava-det train-detector --config configs/detector/synthetic.yaml
    ava-det train-detector --config configs/detector/ava.yaml --resume
    torchrun --nproc-per-node 8 -m ava_det train-detector --config configs/detector/ava.yaml
    ava-det train-detector --config FILE --eval-only --weights FILE|NAME

Writes into output_dir: config.yaml, environment.json, log.jsonl, curves.png, boxes.csv,
metrics.json and checkpoints/, of which each file (last.pt, best.pt) is a detector
`faster_rcnn:FILE` of ava-det demo, test and detect. --resume goes on from checkpoints/last.pt.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.tasks.person_detection import SURE, build_person_task
from ava_det.tasks.training_run import make_training_parser, run_training


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det train-detector`."""
    return make_training_parser(
        "ava-det train-detector", __doc__, "configs/detector/synthetic.yaml"
    )


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det train-detector` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    return run_training(args, build_person_task, describe_scores if args.eval_only else describe)


def describe(metrics: dict[str, Any], folder: str) -> str:
    """Describes the metrics, and where the detector is, in the line that a training ends with."""
    weights = f"{folder}/checkpoints/last.pt"
    return f"{describe_scores(metrics, folder)}; the detector is faster_rcnn:{weights}"


def describe_scores(metrics: dict[str, Any], folder: str) -> str:
    """Describes the metrics in the line that --eval-only ends with."""
    shown = {
        key: "undefined" if value is None else f"{value:.4f}" for key, value in metrics.items()
    }
    return (
        f"AP {shown['AP']}, AP50 {shown['AP50']}, AP75 {shown['AP75']}; "
        f"recall {shown['recall']} and precision {shown['precision']} at score {SURE:g}"
    )


if __name__ == "__main__":
    sys.exit(main())
