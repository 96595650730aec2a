"""Does what `ava-det train-detector` does: trains a person detector and evaluates it."""

from __future__ import annotations

import argparse

from ava_det.evaluation.metrics import PersonMetrics
from ava_det.tasks.person_detection import SURE, build_person_task
from ava_det.tasks.training_run import run_training


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det train-detector` and returns its exit code."""
    return run_training(args, build_person_task, describe_scores if args.eval_only else describe)


def describe(metrics: PersonMetrics, folder: str) -> str:
    """Describes the metrics, and where the detector is, in the line that a training ends with."""
    weights = f"{folder}/checkpoints/last.pt"
    return f"{describe_scores(metrics, folder)}; the detector is faster_rcnn:{weights}"


def describe_scores(metrics: PersonMetrics, folder: str) -> str:
    """Describes the metrics in the line that --eval-only ends with."""
    shown = {
        key: "undefined" if value is None else f"{value:.4f}"
        for key, value in metrics.to_log().items()
    }
    return (
        f"AP {shown['AP']}, AP50 {shown['AP50']}, AP75 {shown['AP75']}; "
        f"recall {shown['recall']} and precision {shown['precision']} at score {SURE:g}"
    )
