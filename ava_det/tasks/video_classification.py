"""Builds training and testing of videos with one label each (model.head: classification)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ava_det.config import Config, ConfigError, SplitConfig
from ava_det.data.build import (
    build_dataset_reader,
    build_device_transform,
    build_training_augmentation,
)
from ava_det.data.labeled_videos import (
    LabeledVideoDataset,
    build_keyframes,
    find_labeled_videos,
    number_classes,
)
from ava_det.data.loader import ClipLoader
from ava_det.data.samplers import TrainBatchSampler, VideoBatchSampler
from ava_det.data.transforms import evaluation_augmentation
from ava_det.device.precision import resolve_precision
from ava_det.distributed import gather_objects, is_main_process, merge_over_ranks, rank, world_size
from ava_det.evaluation.metrics import TopMetrics
from ava_det.files import write_json
from ava_det.formats.label_map import load_label_map
from ava_det.inference.batch import flip_batch
from ava_det.structures import ClipBatch

logger = logging.getLogger("ava_det")


def load_video_classes(config: Config) -> dict[int, str]:
    """Returns class id (from 1) -> name, of data.label_map or else of the labels in data.train."""
    if config.model.head != "classification":
        raise ConfigError(
            "model.head: expected classification, one label a video, received "
            f"{config.model.head!r}"
        )
    if config.data.label_map is not None:
        classes = load_label_map(config.data.label_map)
    else:
        classes = number_classes(
            [label for _, label in _videos(config, "train")], _name_sources(config, "train")
        )
    if max(classes) > config.model.num_classes:
        raise ConfigError(
            f"model.num_classes: expected at least {max(classes)}, the number of classes, "
            f"received {config.model.num_classes}"
        )
    return classes


def build_video_loader(config: Config, name: str, classes: dict[int, str]) -> ClipLoader:
    """Builds a loader of this rank's batches of a split.

    Args:
        config: Names the videos.
        name: "train": shuffled, one clip anywhere in each video, augmented. Another split: in
            order, eval.num_clips clips spread over each, whole frames at data.test_short_side.
        classes: Class id, from 1 -> name.

    Raises:
        ConfigError: No videos are named.
    """
    data = config.data
    is_training = name == "train"
    videos = _videos(config, name)
    number_classes([label for _, label in videos], _name_sources(config, name), classes)
    keyframes = build_keyframes(
        videos, classes, config.model.num_classes, 1 if is_training else config.eval.num_clips
    )
    augmentation_for = (
        build_training_augmentation(data, moves_boxes=False)
        if is_training
        else partial(evaluation_augmentation, short_side=data.test_short_side)
    )
    dataset = LabeledVideoDataset(
        keyframes, build_dataset_reader(config), augmentation_for, config.seed, is_training
    )
    dataset.require_a_readable_clip()
    sampler: TrainBatchSampler | VideoBatchSampler = (
        TrainBatchSampler(
            len(keyframes), config.train.batch_size, config.seed, rank(), world_size()
        )
        if is_training
        else VideoBatchSampler(keyframes, config.eval.batch_size, rank(), world_size())
    )
    return ClipLoader(dataset, sampler, config.train.num_workers)


def build_video_evaluation(
    config: Config, name: str, classes: dict[int, str], folder: Path, device: torch.device
) -> Callable[[nn.Module], TopMetrics]:
    """Returns a function that scores a classifier on a split and returns the metrics.

    A video's scores are the mean softmax of eval.num_clips clips x eval.num_crops crops.

    Args:
        config: Names the videos.
        name: Of the split.
        classes: Class id, from 1 -> name.
        folder: Where metrics.json is written.
        device: Of the model.
    """
    loader = build_video_loader(config, name, classes)
    to_device = build_device_transform(config, device)
    precision = resolve_precision(config.precision, device)
    columns = {
        k.video_id: int(k.labels.argmax()) for k in loader.dataset.keyframes if k.labels is not None
    }

    def evaluate(model: nn.Module) -> TopMetrics:
        model.eval()
        score_sums: dict[str, tuple[Tensor, int]] = {}
        bar = tqdm(
            loader,
            desc=f"evaluate ({name})",
            unit="batch",
            disable=not is_main_process(),
            leave=False,
        )
        with bar, loader.failures_named():
            for batch in bar:
                scores = score_crops(
                    model,
                    to_device(batch),
                    precision,
                    config.eval.num_crops,
                    config.eval.crop_size,
                )
                video_id = batch.keyframes[0].video_id  # evaluation batches stay within one video
                total, count = score_sums.get(video_id, (torch.zeros(scores.shape[1]), 0))
                score_sums[video_id] = total + scores.sum(dim=0), count + len(scores)
        totals: dict[str, Tensor] = {}  # the clips of a video may be shared out over two ranks
        for part in gather_objects(score_sums):
            for video_id, (total, _) in part.items():
                totals[video_id] = totals.get(video_id, torch.zeros_like(total)) + total
        lost = merge_over_ranks(loader.count_lost())
        warnings = [f"{count} clips of {path}: {reason}" for path, (count, reason) in lost.items()]
        views = f"{config.eval.num_clips} clips x {config.eval.num_crops} crops"
        metrics = replace(compute_top(totals, columns), views=views, warnings=tuple(warnings))
        if is_main_process():
            write_json(folder / "metrics.json", metrics.to_json())
            for warning in warnings:
                logger.warning(warning)
        return metrics

    return evaluate


@torch.inference_mode()
def score_crops(
    model: Callable[..., Tensor],
    batch: ClipBatch,
    precision: str,
    num_crops: int = 3,
    crop_size: int | None = None,
) -> Tensor:
    """Computes the scores of clips.

    Args:
        model: Is called with the inputs of a batch; gives logits [B, C].
        batch: Normalized clips, on the model's device.
        precision: fp32 or bf16 (autocast).
        num_crops: See `place_crops`.
        crop_size: Pixels of a crop's side, at most the clips' short side; None for all of it.

    Returns:
        Float32 [B, C] on the CPU: the softmax of each clip, mean over its square crops.
    """
    clips = batch.slow, batch.fast, batch.flow
    height, width = next(clip.shape[-2:] for clip in clips if clip is not None)
    side = min(height, width, crop_size or height)
    total = torch.zeros(())
    places = place_crops(height, width, side, num_crops)
    for place in places:
        crop = _cut(batch, side, *place)
        with torch.autocast(batch.rois.device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = model(**crop.inputs)
        total = total + logits.float().softmax(dim=1).cpu()
    return total / len(places)


def _cut(batch: ClipBatch, side: int, top: int, left: int, is_mirrored: bool) -> ClipBatch:
    slow, fast, flow = (
        None if frames is None else frames[..., top : top + side, left : left + side]
        for frames in (batch.slow, batch.fast, batch.flow)
    )
    crop = replace(batch, slow=slow, fast=fast, flow=flow)
    return flip_batch(crop) if is_mirrored else crop


def place_crops(height: int, width: int, side: int, num_crops: int) -> list[tuple[int, int, bool]]:
    """Returns the first row and column of square crops, and whether each is mirrored.

    Args:
        height: Of the frames.
        width: Of the frames.
        side: Of the crops.
        num_crops: 1 in the middle, 3 along the longer side, or 10: the corners and the middle, as
            they are and mirrored.
    """
    down, right = height - side, width - side
    middle = (round(down / 2), round(right / 2))
    if num_crops == 1:
        return [(*middle, False)]
    if num_crops == 3:
        shares = (0, 0.5, 1)
        if right >= down:
            return [(middle[0], round(share * right), False) for share in shares]
        return [(round(share * down), middle[1], False) for share in shares]
    corners = [(0, 0), (0, right), (down, 0), (down, right), middle]
    return [(*place, is_mirrored) for is_mirrored in (False, True) for place in corners]


def compute_top(totals: dict[str, Tensor], columns: dict[str, int]) -> TopMetrics:
    """Computes the share of videos whose class has the highest, or one of the five highest scores.

    A class that ties with others comes after them. A video without scores (it could not be read)
    counts as wrong.

    Args:
        totals: Video id -> scores [C].
        columns: Video id -> 0-based column of its class.

    Returns:
        The metrics, without a word on the views.
    """
    ranks = {
        video_id: int((totals[video_id] >= totals[video_id][column]).sum())
        for video_id, column in columns.items()
        if video_id in totals
    }
    top = {k: sum(place <= k for place in ranks.values()) / len(columns) for k in (1, 5)}
    return TopMetrics(top[1], top[5], len(columns), "")


def _sources(config: Config, name: str) -> list[str]:
    section: SplitConfig = getattr(config.data, name)
    if not section.annotation_files:
        raise ConfigError(
            f"data.{name}.annotations: expected a list of videos (path,label) or a folder of "
            "classes"
        )
    return section.annotation_files


def _name_sources(config: Config, name: str) -> str:
    return " and ".join(_sources(config, name))


def _videos(config: Config, name: str) -> list[tuple[Path, str]]:
    """Returns the labeled videos of all lists and folders of a split."""
    videos: list[tuple[Path, str]] = []
    for source in _sources(config, name):
        videos += find_labeled_videos(source, config.data.video_dir)
    return videos
