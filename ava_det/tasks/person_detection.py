"""A config to what the training of a person detector is handed: network, frames with boxes, losses,
evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ava_det.config import Config, ConfigError
from ava_det.data.build import find_config_videos
from ava_det.data.clip_reader import ClipReader
from ava_det.data.dataset import ClipDataset
from ava_det.data.loader import ClipLoader
from ava_det.data.samplers import TrainBatchSampler
from ava_det.data.transforms import draw_training_augmentation
from ava_det.detectors.faster_rcnn import (
    FasterRCNN,
    FasterRCNNDetector,
    InputRule,
    load_faster_rcnn,
)
from ava_det.detectors.keyframe_boxes import compute_recall, detect_persons
from ava_det.distributed import is_main_process, merge_over_ranks, rank, world_size
from ava_det.evaluation.person_ap import compute_person_ap
from ava_det.formats.annotations import write_boxes
from ava_det.structures import ClipBatch, Keyframe
from ava_det.tasks.run_folder import RunFolder
from ava_det.tasks.splits import build_split

SURE = 0.8  # the score at which the paper's detector is judged and used
# long side over short side up to which a frame is not shrunk further: training has no limit
WIDEST = 3.0


def build_person_detector(config: Config) -> tuple[FasterRCNN, InputRule]:
    """The network to train, on the CPU, with one class, and the rule by which it sees frames.

    With `weights` it is the network of that file, whose scores and boxes of persons stay; without,
    that of the `detector` section with random weights.
    """
    short_side = config.data.test_short_side
    if config.weights is not None:
        model, rule = load_faster_rcnn(config.weights)
        return keep_persons(model), InputRule(
            short_side, round(WIDEST * short_side), rule.channel_order
        )
    own = config.detector
    model = FasterRCNN(
        depth=own.depth,
        width=own.width,
        norm=own.norm,
        channels=own.channels,
        hidden=own.hidden,
        num_classes=1,
        anchor_sizes=own.anchor_sizes,
    )
    return model, InputRule(short_side, round(WIDEST * short_side))


def keep_persons(model: FasterRCNN) -> FasterRCNN:
    """The same network with class 0, the person in COCO, as its only class beside the background
    (the last one).
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
    """Shuffled batches of keyframes with their persons, at several sizes and flipped: one-frame
    clips of `slow`.
    """
    data = config.data
    keyframes = sorted(
        _labeled(config, "train"), key=lambda keyframe: (keyframe.video_id, keyframe.timestamp)
    )
    sides = (data.train_short_side[0], data.train_short_side[1])
    dataset = ClipDataset(
        keyframes,
        find_config_videos(config),
        data.start_second,
        ClipReader(1, 1, data.clip_fps, np.arange(1), None),
        partial(draw_training_augmentation, sides, data.crop_size, data.flip, data.box_jitter),
        config.seed,
        cache_side=max(sides) if data.cache_clips else None,
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


def build_losses(
    rule: InputRule, device: torch.device, precision: str
) -> Callable[[nn.Module, ClipBatch], dict[str, Tensor]]:
    """A function that gives a model's losses on a batch of one-frame clips, RGB uint8, by name,
    float32.
    """

    def compute_losses(model: nn.Module, batch: ClipBatch) -> dict[str, Tensor]:
        assert batch.slow is not None
        frames = batch.slow[:, :, 0].to(device, non_blocking=True)
        images = list(frames.flip(1) if rule.channel_order == "BGR" else frames)
        rois = batch.rois[(batch.rois[:, 3:] - batch.rois[:, 1:3] >= 1).all(dim=1)].to(device)
        targets = []
        for index in range(len(images)):
            boxes = rois[rois[:, 0] == index, 1:]
            targets.append((boxes, torch.zeros(len(boxes), dtype=torch.long, device=device)))
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            losses = model(images, targets)
        return {name: loss.float() for name, loss in losses.items()}

    return compute_losses


def build_person_evaluation(
    config: Config, model: FasterRCNN, rule: InputRule, folder: RunFolder, device: torch.device
) -> Callable[[], dict[str, Any]]:
    """A function that finds the persons of data.val as `detect_persons` does, writes boxes.csv and
    returns the metrics: `AP`, `AP50`, `AP75` as COCO's, and `recall` and `precision` (IoU 0.5) of
    boxes with a score of at least SURE.
    """
    keyframes = _labeled(config, "val")
    videos = find_config_videos(config)
    mine = set(sorted({keyframe.video_id for keyframe in keyframes})[rank() :: world_size()])
    own = [keyframe for keyframe in keyframes if keyframe.video_id in mine]
    bar = partial(
        tqdm,
        desc="persons (val)",
        total=len(own),
        unit="keyframe",
        leave=False,
        disable=not is_main_process(),
    )

    def evaluate() -> dict[str, Any]:
        sides = rule.short_side, rule.long_side, rule.channel_order
        detector = FasterRCNNDetector(model, device, *sides, precision=config.precision)
        found = detect_persons(detector, videos, own, config.data.start_second, bar)
        boxes = merge_over_ranks(found)
        recall, precision = compute_recall(keyframes, boxes, SURE)
        if is_main_process():
            write_boxes(folder.path / "boxes.csv", boxes)
        return {
            **compute_person_ap(keyframes, boxes),
            "recall": recall,
            "precision": precision,
            "min_score": SURE,
        }

    return evaluate


def _labeled(config: Config, name: str) -> Sequence[Keyframe]:
    """The keyframes of a split with their labeled boxes; a person with several labels is one box."""
    files = getattr(config.data, name).annotation_files
    if not files:
        raise ConfigError(f"data.{name}.annotations: expected an AVA CSV with the boxes of persons")
    keyframes = build_split(config, name, torch.device("cpu"), boxes="gt").keyframes
    if not any(len(keyframe.boxes) for keyframe in keyframes):
        raise ConfigError(
            f"data.{name}.annotations: {' and '.join(files)} has no box to learn from"
        )
    return keyframes
