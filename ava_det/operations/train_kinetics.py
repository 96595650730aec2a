"""Does what `ava-det train-kinetics` does: trains a classifier of whole videos."""

from __future__ import annotations

import argparse
from functools import partial

from ava_det.data.build import build_device_transform
from ava_det.evaluation.metrics import TopMetrics
from ava_det.tasks.action_detection import (
    build_action_loss,
    build_action_model,
)
from ava_det.tasks.training_run import Task, TrainingRun, run_training
from ava_det.tasks.video_classification import (
    build_video_evaluation,
    build_video_loader,
    load_video_classes,
)


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det train-kinetics` and returns its exit code."""
    return run_training(args, build_task, describe)


def build_task(training: TrainingRun) -> Task[TopMetrics]:
    """Builds the training on the class of each video of data.train, scored as top-1 on data.val."""
    config = training.config
    model = build_action_model(training)
    classes = load_video_classes(config)
    return Task(
        model,
        build_action_loss(config, training.precision),
        build_device_transform(config, training.device),
        partial(build_video_loader, config, "train", classes),
        build_video_evaluation(config, "val", classes, training.folder.path, training.device),
        {"label_map": dict(classes)},
    )


def describe(metrics: TopMetrics, folder: str) -> str:
    """Describes the metrics in the line that a run ends with."""
    counts = f"{metrics.num_videos} videos, {metrics.views}"
    return (
        f"top-1 {metrics.top1:.4f}, top-5 {metrics.top5:.4f} ({counts}); metrics.json is "
        f"in {folder}"
    )
