"""The composition root: a config becomes a model, loaders, an optimizer, an evaluation, a predictor.

Only this file and the tools see a whole config; what is built here takes plain values.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ava_det.annotations import (
    AvaRows,
    keyframes_from_annotations,
    load_annotations,
    load_boxes,
    load_excluded,
    load_label_map,
)
from ava_det.checkpoint import load_weights
from ava_det.config import Config, ConfigError, SplitConfig
from ava_det.data.dataset import ClipDataset, ClipReader
from ava_det.data.loader import ClipLoader, TrainBatchSampler, VideoBatchSampler
from ava_det.data.sampling import compute_slow_indices
from ava_det.data.transforms import View, draw_training_view, normalise_batch
from ava_det.data.video import find_videos
from ava_det.detectors import MotionDetector, PersonDetector
from ava_det.distributed import gather_objects, is_main_process, local_rank, rank, world_size
from ava_det.evaluation import AvaEvaluator
from ava_det.inference import Predictor
from ava_det.models.action_detector import ActionClassifier, ActionDetector
from ava_det.models.classification_head import ClassificationHead
from ava_det.models.roi_head import RoIHead
from ava_det.models.slowfast import SlowFast
from ava_det.person_boxes import PersonBoxes, add_proposals, detect_persons, replace_boxes
from ava_det.prediction import predict_batch
from ava_det.run_folder import RunFolder
from ava_det.structures import Detections, Keyframe
from ava_det.training.loop import LoopSettings
from ava_det.training.optimizer import build_optimizer as build_plain_optimizer
from ava_det.training.optimizer import compute_lr

DETECTORS = ("motion", "torchvision")


def prepare_torch(config: Config) -> torch.device:
    """Seeds the generators, sets torch's switches and returns the device of this process.

    Raises ConfigError where a CUDA device is asked for and cannot be used; `auto` falls back to the CPU and says why.
    """
    device = _select_device(config.device)
    random.seed(config.seed)
    np.random.seed(config.seed)
    torch.manual_seed(config.seed)
    torch.set_flush_denormal(True)  # vanishing values cost a CPU a hundred times an ordinary one
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True
    return device


def _select_device(name: str) -> torch.device:
    if name == "cpu":
        return torch.device("cpu")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available() and torch.cuda.device_count() > 0
    reason = next((str(warning.message).splitlines()[0] for warning in caught), "no CUDA device was found")
    if "driver" in reason and "old" in reason:
        reason = f"the NVIDIA driver is too old for this torch, built for CUDA {torch.version.cuda}: update the driver"
    if not usable:
        if name != "auto":
            raise ConfigError(f"device: {name} cannot be used: {reason}")
        if caught and is_main_process():
            print(f"running on the CPU: {reason}")
        return torch.device("cpu")
    index = int(name.partition(":")[2] or local_rank())
    if index >= torch.cuda.device_count():
        raise ConfigError(f"device: expected cuda:0..{torch.cuda.device_count() - 1}, received cuda:{index}")
    return torch.device("cuda", index)


def build_model(config: Config) -> nn.Module:
    """The network of `config.model`, float32 on the CPU: `model(slow=None, fast=None, rois=None)` gives logits."""
    model = config.model
    backbone = SlowFast(
        backbone=model.backbone,
        depth=model.depth,
        width=model.width,
        alpha=model.alpha,
        beta_inv=model.beta_inv,
        lateral=model.lateral,
        lateral_kernel=model.lateral_kernel,
        lateral_norm=model.lateral_norm,
        res4_temporal_blocks=model.res4_temporal_blocks,
        res5_stride=2 if model.head == "classification" else 1,
        res5_dilation=model.res5_dilation,
        non_local_res4=model.non_local_res4,
        non_local_pool=(model.non_local_pool[0], model.non_local_pool[1], model.non_local_pool[2]),
        zero_init_last_gamma=model.zero_init_last_gamma,
    )
    if model.head == "classification":
        head = ClassificationHead(backbone.out_channels, model.num_classes, dropout=model.dropout)
        return ActionClassifier(backbone, head)
    roi_head = RoIHead(
        backbone.out_channels,
        model.num_classes,
        backbone.feature_stride,
        aligned=model.roi_aligned,
        resolution=model.roi_resolution,
        dropout=model.dropout,
        time_pool=model.roi_time_pool,
        context=model.roi_context,
        hidden_layer=model.roi_hidden_layer,
    )
    return ActionDetector(backbone, roi_head)


def build_clip_reader(config: Config) -> ClipReader:
    """Which frames the network of this config reads around a keyframe."""
    model, data = config.model, config.data
    if model.backbone in ("slow_only", "i3d"):
        every = np.arange(model.num_slow_frames)
        return ClipReader(model.num_slow_frames, model.slow_stride, data.clip_fps, every, None)
    num_fast_frames = model.alpha * model.num_slow_frames
    slow = compute_slow_indices(num_fast_frames, model.alpha, data.slow_frame_policy)
    slow_indices = slow if model.backbone == "slowfast" else None
    fast_stride = model.slow_stride // model.alpha
    return ClipReader(num_fast_frames, fast_stride, data.clip_fps, slow_indices, np.arange(num_fast_frames))


def build_detector(name: str, device: torch.device) -> PersonDetector:
    """A person detector by its name; a detector's libraries are loaded only when it is asked for."""
    if name == "motion":
        return MotionDetector()
    if name == "torchvision":
        from ava_det.detectors.torchvision_rcnn import TorchvisionDetector

        return TorchvisionDetector(str(device))
    raise ConfigError(f"boxes: expected gt, a box file or one of {', '.join(DETECTORS)}, received {name!r}")


def load_label_map_for(config: Config) -> dict[int, str]:
    """Action id -> name, checked against model.num_classes."""
    if config.data.label_map is None:
        raise ConfigError("data.label_map: expected the path of a label map (.pbtxt)")
    label_map = load_label_map(config.data.label_map)
    if max(label_map) > config.model.num_classes:
        raise ConfigError(
            f"model.num_classes: expected at least {max(label_map)}, the largest id in {config.data.label_map}, "
            f"received {config.model.num_classes}"
        )
    return label_map


@dataclass
class Split:
    """One split, ready to be read. name: train, val or test. keyframes: with the boxes to classify.
    annotations: the rows of its file, None where it has none. excluded: keyframes the protocol may drop.
    boxes: where the boxes came from (gt, a detector's name or a file)."""

    name: str
    keyframes: list[Keyframe]
    annotations: AvaRows | None
    excluded: set[tuple[str, str]]
    boxes: str

    @property
    def is_labelled(self) -> bool:
        return self.annotations is not None and bool((self.annotations.action_ids > 0).any())


def build_split(config: Config, name: str, device: torch.device, boxes: str | None = None) -> Split:
    """Reads the annotations of a split and gives its keyframes their boxes.

    boxes: as `data.<split>.boxes`, which it overrides. In training the labelled boxes always stay, and others join
    them where they overlap by data.proposal_iou; in evaluation they take their place.
    """
    section: SplitConfig = getattr(config.data, name)
    source = boxes or section.boxes
    excluded = load_excluded(section.excluded) if section.excluded else set()
    minimum = config.data.min_person_score
    if section.annotations is None:
        return Split(name, _keyframes_of_box_file(name, source, excluded, minimum), None, excluded, source)
    rows = load_annotations(section.annotations)
    # in evaluation the protocol says what an exclusion means, and the evaluator follows it
    left_out = excluded if name == "train" else frozenset()
    keyframes = keyframes_from_annotations(rows, config.model.num_classes, excluded=left_out)
    if source == "gt":
        if name != "train" and not any(len(keyframe.boxes) for keyframe in keyframes):
            raise ConfigError(
                f"data.{name}.boxes: {section.annotations} has no boxes, expected a box file or a detector"
            )
        return Split(name, keyframes, rows, excluded, source)
    person_boxes = _load_person_boxes(config, name, keyframes, source, device)
    if name == "train":
        keyframes = add_proposals(keyframes, person_boxes, minimum, config.data.proposal_iou)
    else:
        keyframes = replace_boxes(keyframes, person_boxes, minimum)
    return Split(name, keyframes, rows, excluded, source)


def _keyframes_of_box_file(name: str, path: str, excluded: set[tuple[str, str]], min_score: float) -> list[Keyframe]:
    """Without annotations a box file says which keyframes there are."""
    if path == "gt" or not Path(path).is_file():
        raise ConfigError(
            f"data.{name}.annotations: expected an AVA CSV (video_id,timestamp rows are enough to predict)"
        )
    return [
        Keyframe(video_id, float(key), boxes, None, scores)
        for (video_id, key), (boxes, scores) in load_boxes(path, min_score).items()
        if (video_id, key) not in excluded
    ]


def _load_person_boxes(
    config: Config, name: str, keyframes: Sequence[Keyframe], source: str, device: torch.device
) -> PersonBoxes:
    if source not in DETECTORS:
        if not Path(source).is_file():
            build_detector(source, device)  # raises: neither a detector nor a file
        return load_boxes(source, config.data.min_person_score)
    detector = build_detector(source, device)
    bar = partial(tqdm, desc=f"persons ({name}, {detector.name})", unit="keyframe", disable=not is_main_process())
    return detect_persons(detector, _videos(config), keyframes, config.data.start_second, bar)


def _videos(config: Config) -> dict[str, Path]:
    if config.data.video_dir is None:
        raise ConfigError("data.video_dir: expected the folder of the videos")
    return find_videos(config.data.video_dir)


def build_train_loader(config: Config, split: Split) -> ClipLoader:
    """Shuffled, augmented batches of this rank; keyframes without a box are left out."""
    data = config.data
    keyframes = [keyframe for keyframe in split.keyframes if len(keyframe.boxes)]
    if not keyframes:
        raise ConfigError(f"data.train.annotations: {data.train.annotations} has no labelled box to train on")
    sides = (data.train_short_side[0], data.train_short_side[1])
    view_for = partial(draw_training_view, sides, data.crop_size, data.flip, data.box_jitter)
    sampler = TrainBatchSampler(len(keyframes), config.train.batch_size, config.seed, rank(), world_size())
    dataset = ClipDataset(
        keyframes,
        _videos(config),
        data.start_second,
        build_clip_reader(config),
        view_for,
        config.seed,
        cache_side=max(sides) if data.cache_clips else None,
    )
    if data.cache_clips:
        dataset.fill_cache(partial(tqdm, desc="read clips", unit="clip", disable=not is_main_process()))
    return ClipLoader(dataset, sampler, config.train.num_workers)


def build_eval_loader(config: Config, split: Split) -> ClipLoader:
    """This rank's share of the split, every keyframe with a box once, whole frames at data.test_short_side."""
    data = config.data
    keyframes = [keyframe for keyframe in split.keyframes if len(keyframe.boxes)]
    view = View(data.test_short_side)
    reader = build_clip_reader(config)
    dataset = ClipDataset(keyframes, _videos(config), data.start_second, reader, lambda _: view, config.seed)
    sampler = VideoBatchSampler(keyframes, config.eval.batch_size, rank(), world_size())
    return ClipLoader(dataset, sampler, num_workers=0 if data.cache_clips else config.train.num_workers)


def build_optimizer(config: Config, model: nn.Module) -> torch.optim.Optimizer:
    train = config.train
    return build_plain_optimizer(model, train.optimizer, train.lr, train.momentum, train.nesterov, train.weight_decay)


def build_schedule(config: Config) -> Callable[[float], float]:
    """Fractional epoch -> learning rate."""
    train = config.train
    return partial(
        compute_lr,
        lr=train.lr,
        num_epochs=train.epochs,
        warmup_epochs=train.warmup_epochs,
        schedule=train.schedule,
        steps=train.steps,
    )


def build_loop_settings(config: Config) -> LoopSettings:
    train = config.train
    return LoopSettings(
        train.epochs, train.clip_grad_norm, train.freeze_bn, config.precision, train.log_every, train.eval_every
    )


def build_evaluation(
    config: Config, split: Split, label_map: dict[int, str], run_folder: RunFolder, device: torch.device
) -> Callable[[nn.Module], dict[str, Any]]:
    """A function that scores a model on a split, writes detections.csv and metrics.json, and returns the metrics.

    Without labels mAP is null: the detections are written all the same.
    """
    loader = build_eval_loader(config, split)
    data = config.data

    def evaluate(model: nn.Module) -> dict[str, Any]:
        model.eval()
        detections: list[Detections] = []
        bar = tqdm(loader, desc=f"evaluate ({split.name})", unit="batch", disable=not is_main_process(), leave=False)
        for batch in bar:
            ready = normalise_batch(batch, data.mean, data.std, device)
            detections += predict_batch(model, ready, config.precision)
        gathered = [detection for part in gather_objects(detections) for detection in part]
        gathered.sort(key=lambda detection: (detection.keyframe.video_id, detection.keyframe.timestamp))
        metrics = compute_metrics(gathered, split, label_map, config.eval.protocol)
        if is_main_process():
            run_folder.write_results(gathered, metrics, list(label_map))
        return metrics

    return evaluate


def compute_metrics(
    detections: Sequence[Detections], split: Split, label_map: dict[int, str], protocol: str
) -> dict[str, Any]:
    """The content of metrics.json."""
    if split.annotations is None or not split.is_labelled:
        per_class = {str(i): {"name": name, "AP": None, "num_gt": 0} for i, name in label_map.items()}
        metrics: dict[str, Any] = {"mAP": None, "protocol": protocol, "per_class": per_class, "num_keyframes": 0}
    else:
        evaluator = AvaEvaluator(split.annotations, label_map, split.excluded, protocol=protocol)
        evaluator.process(list(detections))
        metrics = evaluator.evaluate()
    return {**metrics, "boxes": split.boxes}


def build_predictor(
    config: Config, weights: str | Path, persons: PersonDetector | PersonBoxes, device: torch.device
) -> Predictor:
    """The model of `config` with trained weights, and all it needs to run on a video."""
    if config.model.head != "roi":
        raise ConfigError(f"model.head: expected roi, which scores each person, received {config.model.head!r}")
    model = build_model(config)
    load_weights(model, weights)
    return Predictor(
        model.to(device).to(memory_format=torch.channels_last_3d),
        persons,
        build_clip_reader(config),
        config.data.test_short_side,
        partial(normalise_batch, mean=config.data.mean, std=config.data.std, device=device),
        config.model.num_classes,
        config.data.min_person_score,
        config.data.start_second,
        config.eval.batch_size,
        config.precision,
    )
