r"""Trains an action detector on AVA-format data, then evaluates it.

    ava-det train --config configs/synthetic/slowfast.yaml
    ava-det train --config configs/ava/slowfast_r50_4x16.yaml train.batch_size=16 train.lr=0.025
    torchrun --nproc-per-node 8 -m ava_det train --config configs/ava/slowfast_r50_4x16.yaml
    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29400 \
        -m ava_det train --config configs/ava/slowfast_r50_4x16.yaml

Writes into output_dir: config.yaml, environment.json, log.jsonl, checkpoints/, detections.csv,
metrics.json, samples.png, curves.png. --resume goes on from checkpoints/last.pt.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import Config
from ava_det.data.loader import ClipLoader
from ava_det.formats.annotations import keyframes_from_annotations
from ava_det.inference.trained_model import load_carried_label_map
from ava_det.tasks.action_detection import (
    build_action_loss,
    build_action_model,
    build_evaluation,
    build_preparation,
)
from ava_det.tasks.run_folder import describe_metrics
from ava_det.tasks.sample_sheet import SampleSheet
from ava_det.tasks.splits import Split, build_split, build_train_loader, choose_label_map
from ava_det.tasks.training_run import Task, TrainingRun, make_training_parser, run_training
from ava_det.video.sources import find_videos


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det train`."""
    return make_training_parser("ava-det train", __doc__)


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det train` and returns its exit code."""
    return run_training(make_parser().parse_intermixed_args(argv), build_task, describe_metrics)


def build_task(run: TrainingRun) -> Task:
    """Builds the training on the actions of data.train, scored as frame mAP on data.val."""
    config = run.config
    device = run.device
    model = build_action_model(run)
    carried = None if config.weights is None else load_carried_label_map(config.weights)
    if carried is not None and max(carried) > config.model.num_classes:
        carried = None  # such weights only begin the training: their head does not fit
    label_map = choose_label_map(config, carried)
    split = build_split(config, "val", device)
    show = partial(
        build_sample_sheet(config, split, label_map).save, path=run.folder.path / "samples.png"
    )

    def build_loader() -> ClipLoader:
        return build_train_loader(config, build_split(config, "train", device))

    return Task(
        model,
        build_action_loss(config, run.precision),
        build_preparation(config, device),
        build_loader,
        build_evaluation(config, split, label_map, run.folder, device, show),
        ("mAP",),
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


if __name__ == "__main__":
    sys.exit(main())
