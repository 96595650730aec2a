"""Does what `ava-det train` does: trains an action detector and evaluates it."""

from __future__ import annotations

import argparse
from functools import partial

from ava_det.config import Config
from ava_det.data.build import build_device_transform
from ava_det.data.loader import ClipLoader
from ava_det.evaluation.metrics import ActionMetrics
from ava_det.formats.annotations import keyframes_from_annotations
from ava_det.inference.trained_model import load_carried_label_map
from ava_det.tasks.action_detection import (
    build_action_loss,
    build_action_model,
    build_evaluation,
)
from ava_det.tasks.long_term import build_bank, fill_bank
from ava_det.tasks.run_folder import describe_metrics
from ava_det.tasks.sample_sheet import SampleSheet
from ava_det.tasks.splits import Split, build_split, build_train_loader, choose_label_map
from ava_det.tasks.training_run import Task, TrainingRun, run_training
from ava_det.video.sources import find_videos


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det train` and returns its exit code."""
    return run_training(args, build_task, describe_metrics)


def build_task(training: TrainingRun) -> Task[ActionMetrics]:
    """Builds the training on the actions of data.train, scored as frame mAP on data.val."""
    config = training.config
    device = training.device
    model = build_action_model(training)
    carried = None if config.weights is None else load_carried_label_map(config.weights)
    if carried is not None and max(carried) > config.model.num_classes:
        carried = None  # such weights only begin the training: their head does not fit
    label_map = choose_label_map(config, carried)
    split = build_split(config, "val", device)
    show = partial(
        build_sample_sheet(config, split, label_map).save, path=training.folder.path / "samples.png"
    )

    bank = build_bank(config)

    def build_loader() -> ClipLoader:
        learned = build_split(config, "train", device)
        fill_bank(bank, config, learned, device)
        return build_train_loader(config, learned)

    return Task(
        model,
        build_action_loss(config, training.precision),
        build_device_transform(config, device, bank),
        build_loader,
        build_evaluation(config, split, label_map, training.folder, device, show),
        {"label_map": dict(label_map)},
    )


def build_sample_sheet(config: Config, split: Split, label_map: dict[int, str]) -> SampleSheet:
    """Builds the sheet of keyframes beside their labels; see docs/training.md, `samples.png`."""
    assert config.data.video_dir is not None  # or the split could not have been built
    labeled = (
        []
        if split.annotations is None
        else keyframes_from_annotations(split.annotations, config.model.num_classes)
    )
    return SampleSheet(
        find_videos(config.data.video_dir), config.data.start_second, labeled, label_map
    )
