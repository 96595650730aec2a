r"""Trains a video classifier on Kinetics or on videos of your own, and tests it on 10 x 3 views.

    ava-det train-kinetics --config configs/kinetics/slowfast_r50_4x16.yaml \
        data.video_dir=FOLDER data.train.annotations=train.csv data.val.annotations=val.csv
    torchrun --nproc-per-node 8 -m ava_det train-kinetics --config FILE ...
    ava-det train-kinetics --config FILE --eval-only --weights FILE|NAME ...

The videos are those of a list, or of a folder for each class. Writes what ava-det train writes;
metrics.json has top1 and top5. `weights: outputs/.../checkpoints/last.pt` in an AVA config starts a
detector from it. See docs/kinetics.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.commands.train import make_training_parser


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det train-kinetics`."""
    return make_training_parser("ava-det train-kinetics", __doc__)


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det train-kinetics` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    from ava_det.operations.train_kinetics import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
