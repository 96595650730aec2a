"""Builds what the training of a person detector needs: network, frames, losses and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ava_det.config import Config, ConfigError
from ava_det.data.build import build_training_augmentation, find_config_videos
from ava_det.data.clip_reader import ClipReader
from ava_det.data.dataset import ClipDataset
from ava_det.data.loader import ClipLoader
from ava_det.data.samplers import TrainBatchSampler
from ava_det.detectors.faster_rcnn import (
    FasterRCNN,
    FasterRCNNDetector,
    InputRule,
    describe_faster_rcnn,
    load_faster_rcnn,
)
from ava_det.detectors.keyframe_boxes import compute_recall, detect_persons
from ava_det.distributed import is_main_process, merge_over_ranks, rank, world_size
from ava_det.evaluation.metrics import PersonMetrics
from ava_det.evaluation.person_ap import compute_person_ap
from ava_det.files import write_json
from ava_det.formats.annotations import write_boxes
from ava_det.structures import ClipBatch, Keyframe
from ava_det.tasks.run_folder import RunFolder
from ava_det.tasks.splits import build_split
from ava_det.tasks.training_run import Task, TrainingRun
from ava_det.training.loss import StepLoss

SURE = 0.8  # the score at which the paper's detector is judged and used
# long side over short side up to which a frame is not shrunk further: training has no limit
WIDEST = 3.0


def build_person_task(run: TrainingRun) -> Task[PersonMetrics]:
    """Builds the training of a person detector on data.train, scored as AP on data.val."""
    config = run.config
    model, rule = build_person_detector(run)
    model = model.to(run.device)

    def to_device(batch: ClipBatch) -> ClipBatch:
        slow = None if batch.slow is None else batch.slow.to(run.device, non_blocking=True)
        rois = batch.rois.to(run.device, non_blocking=True)
        return replace(batch, slow=slow, rois=rois)

    return Task(
        model,
        PersonLoss(rule, run.precision),
        to_device,
        partial(build_frame_loader, config),
        build_person_evaluation(config, rule, run.folder, run.device),
        describe_faster_rcnn(model, rule),
    )


def build_person_detector(run: TrainingRun) -> tuple[FasterRCNN, InputRule]:
    """Builds the network of a run, on the CPU, and the rule by which it sees frames.

    Args:
        run: One that resumes has the network of its checkpoint, one that only scores that of its
            weights. A new one trains the network of its weights, whose scores and boxes of persons
            stay, or else that of the `detector` section with random weights; it has one class.

    Returns:
        The network and its rule.

    Raises:
        WeightsError: The file is not of such a network.
    """
    config = run.config
    if run.checkpoint is not None:
        return load_faster_rcnn(run.checkpoint)
    if run.eval_only and config.weights is not None:
        return load_faster_rcnn(config.weights)
    short_side = config.data.test_short_side
    if config.weights is not None:
        model, rule = load_faster_rcnn(config.weights)
        return keep_persons(model), InputRule(
            short_side, round(WIDEST * short_side), rule.channel_order
        )
    settings = config.detector
    model = FasterRCNN(
        depth=settings.depth,
        width=settings.width,
        norm=settings.norm,
        channels=settings.channels,
        hidden=settings.hidden,
        num_classes=1,
        anchor_sizes=settings.anchor_sizes,
    )
    return model, InputRule(short_side, round(WIDEST * short_side))


def keep_persons(model: FasterRCNN) -> FasterRCNN:
    """Returns the same network with class 0, the person in COCO, as its only class.

    The last class, the background, stays beside it.
    """
    if model.architecture["num_classes"] == 1:
        return model
    state = dict(model.state_dict())
    for name, rows in (
        ("cls_score", [0, model.architecture["num_classes"]]),
        ("bbox_pred", [0, 1, 2, 3]),
    ):
        for kind in ("weight", "bias"):
            key = f"roi_heads.box_predictor.{name}.{kind}"
            state[key] = state[key][rows]
    persons = FasterRCNN(**{**model.architecture, "num_classes": 1})
    persons.load_state_dict(state)
    return persons


def build_frame_loader(config: Config) -> ClipLoader:
    """Builds a loader of shuffled keyframes with their persons, at several sizes and flipped.

    Returns:
        Batches of this rank, one-frame clips in `slow`.
    """
    data = config.data
    keyframes = sorted(
        _labeled(config, "train"), key=lambda keyframe: (keyframe.video_id, keyframe.timestamp)
    )
    dataset = ClipDataset(
        keyframes,
        find_config_videos(config),
        data.start_second,
        ClipReader(1, 1, data.clip_fps, np.arange(1), None),
        build_training_augmentation(data),
        config.seed,
        cache_side=max(data.train_short_side) if data.cache_clips else None,
    )
    dataset.require_a_readable_clip()
    if data.cache_clips:
        dataset.fill_cache(
            partial(tqdm, desc="read frames", unit="frame", disable=not is_main_process())
        )
    sampler = TrainBatchSampler(
        len(keyframes), config.train.batch_size, config.seed, rank(), world_size()
    )
    return ClipLoader(dataset, sampler, config.train.num_workers)


@dataclass
class PersonLoss:
    """Computes the four losses of Faster R-CNN; the examples are images.

    Attributes:
        rule: By which the network sees frames.
        precision: fp32 or bf16 (autocast).
    """

    rule: InputRule
    precision: str

    @property
    def initial_loss(self) -> float | None:
        """Returns None: the loss of an untrained detector is no one number."""
        return None

    def count(self, batch: ClipBatch) -> int:
        """Returns the number of images; the blank one in place of a batch that was lost is none."""
        return 0 if batch.is_blank else len(batch.keyframes)

    def compute(self, model: nn.Module, batch: ClipBatch, num_examples: float) -> StepLoss:
        """Computes the share of a batch in the loss of a step of `num_examples` images.

        Args:
            model: (images, targets) -> losses by name, each a mean over the images.
            batch: One-frame clips of `slow`, RGB uint8, and their persons, on the model's device.
            num_examples: Images of the step, over all processes and parts.

        Returns:
            The losses by name, float32.
        """
        assert batch.slow is not None
        device = batch.slow.device
        frames = batch.slow[:, :, 0]
        images = list(frames.flip(1) if self.rule.channel_order == "BGR" else frames)
        rois = batch.rois[(batch.rois[:, 3:] - batch.rois[:, 1:3] >= 1).all(dim=1)]
        targets = []
        for index in range(len(images)):
            boxes = rois[rois[:, 0] == index, 1:]
            targets.append((boxes, torch.zeros(len(boxes), dtype=torch.long, device=device)))
        with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            losses = model(images, targets)
        # DistributedDataParallel averages over processes: undo it
        share = self.count(batch) * world_size() / max(num_examples, 1.0)
        return StepLoss({name: loss.float() * share for name, loss in losses.items()})


def build_person_evaluation(
    config: Config, rule: InputRule, folder: RunFolder, device: torch.device
) -> Callable[[nn.Module], PersonMetrics]:
    """Returns a function that finds the persons of data.val and scores them.

    Args:
        config: Of the run.
        rule: By which the network sees frames.
        folder: Where boxes.csv and metrics.json are written.
        device: Of the network.

    Returns:
        Model -> metrics, with recall and precision of boxes with a score of at least SURE.
    """
    keyframes = _labeled(config, "val")
    videos = find_config_videos(config)
    video_ids = sorted({keyframe.video_id for keyframe in keyframes})[rank() :: world_size()]
    own_keyframes = [keyframe for keyframe in keyframes if keyframe.video_id in set(video_ids)]
    bar = partial(
        tqdm,
        desc="persons (val)",
        total=len(own_keyframes),
        unit="keyframe",
        leave=False,
        disable=not is_main_process(),
    )

    def evaluate(model: nn.Module) -> PersonMetrics:
        assert isinstance(model, FasterRCNN)
        sides = rule.short_side, rule.long_side, rule.channel_order
        detector = FasterRCNNDetector(model, device, *sides, precision=config.precision)
        detected = detect_persons(detector, videos, own_keyframes, config.data.start_second, bar)
        boxes = merge_over_ranks(detected)
        recall, precision = compute_recall(keyframes, boxes, SURE)
        metrics = PersonMetrics(compute_person_ap(keyframes, boxes), recall, precision, SURE)
        if is_main_process():
            write_boxes(folder.path / "boxes.csv", boxes)
            write_json(folder.path / "metrics.json", metrics.to_json())
        return metrics

    return evaluate


def _labeled(config: Config, name: str) -> Sequence[Keyframe]:
    """Returns the keyframes of a split; a person with several labels is one box."""
    files = getattr(config.data, name).annotation_files
    if not files:
        raise ConfigError(f"data.{name}.annotations: expected an AVA CSV with the boxes of persons")
    keyframes = build_split(config, name, torch.device("cpu"), boxes="gt").keyframes
    if not any(len(keyframe.boxes) for keyframe in keyframes):
        raise ConfigError(
            f"data.{name}.annotations: {' and '.join(files)} has no box to learn from"
        )
    return keyframes
