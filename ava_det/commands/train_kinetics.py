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
from functools import partial
from typing import Any

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.tasks.action_detection import (
    build_action_loss,
    build_action_model,
    build_preparation,
)
from ava_det.tasks.training_run import Task, TrainingRun, make_training_parser, run_training
from ava_det.tasks.video_classification import (
    build_video_evaluation,
    build_video_loader,
    load_video_classes,
)


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det train-kinetics`."""
    return make_training_parser("ava-det train-kinetics", __doc__)


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det train-kinetics` and returns its exit code."""
    return run_training(make_parser().parse_intermixed_args(argv), build_task, describe)


def build_task(run: TrainingRun) -> Task:
    """Builds the training on the class of each video of data.train, scored as top-1 on data.val."""
    config = run.config
    model = build_action_model(run)
    classes = load_video_classes(config)
    return Task(
        model,
        build_action_loss(config, run.precision),
        build_preparation(config, run.device),
        partial(build_video_loader, config, "train", classes),
        build_video_evaluation(config, "val", classes, run.folder.path, run.device),
        ("top1",),
        {"label_map": dict(classes)},
    )


def describe(metrics: dict[str, Any], folder: str) -> str:
    """Describes the metrics in the line that a run ends with."""
    counts = f"{metrics['num_videos']} videos, {metrics['views']}"
    return (
        f"top-1 {metrics['top1']:.4f}, top-5 {metrics['top5']:.4f} ({counts}); metrics.json is "
        f"in {folder}"
    )


if __name__ == "__main__":
    sys.exit(main())
