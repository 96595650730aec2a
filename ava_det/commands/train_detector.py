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

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.commands.train import make_training_parser


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det train-detector`."""
    return make_training_parser(
        "ava-det train-detector", __doc__, "configs/detector/synthetic.yaml"
    )


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det train-detector` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    from ava_det.operations.train_detector import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
