"""Computes the features of a split's boxes, or reads them from a cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ava_det.config import Config, ConfigError, config_to_dict
from ava_det.data.build import build_device_transform, find_config_videos
from ava_det.device.precision import resolve_precision
from ava_det.distributed import gather_objects, rank, world_size
from ava_det.inference.batch import flip_batch
from ava_det.models.action_detector import ActionDetector
from ava_det.models.inference_form import optimize_for_inference
from ava_det.models.two_stream import TwoStream
from ava_det.own_classes import FeatureCache
from ava_det.own_classes.feature_cache import hash_weights
from ava_det.structures import Keyframe
from ava_det.tasks.splits import Split, build_eval_loader

# What no feature depends on: the head's linear layers, augmentation, and what the cache knows of
# each clip. All other keys count, so that one that is new is not forgotten.
NOT_OF_FEATURES = {
    "model": {
        "num_classes",
        "dropout",
        "roi_hidden_layer",
        "zero_init_last_gamma",
        "temporal_difference_init",
    },
    "data": {
        *(
            "video_dir",
            "ava_version",
            "label_map",
            "train",
            "val",
            "test",
            "min_person_score",
            "proposal_iou",
        ),
        *(
            "train_short_side",
            "crop_size",
            "flip",
            "box_jitter",
            "box_jitter_sides",
            "hsv_jitter",
            "colour_jitter",
            "lighting",
            "cache_clips",
        ),
    },
}


def _build_cache(
    config: Config,
    model: ActionDetector | TwoStream,
    folder: str | Path,
    precision: str,
    mirrored: bool,
) -> FeatureCache:
    """Opens a cache for a backbone, its head's pooling and a config's clips, mirrored or not."""
    values = config_to_dict(config)
    facts: dict[str, object] = {
        "weights": hash_weights(_find_weights_of_features(model)),
        "precision": precision,
    }
    facts["mirrored"] = mirrored
    for section, left_out in NOT_OF_FEATURES.items():
        facts[section] = {
            key: value for key, value in values[section].items() if key not in left_out
        }
    return FeatureCache(folder, facts)


def _find_weights_of_features(model: ActionDetector | TwoStream) -> dict[str, Tensor]:
    """Returns the weights that features depend on: all but those of the heads' linear layers."""
    after = ("head.projection.", "head.hidden.")
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.removeprefix("rgb.").removeprefix("flow.").startswith(after)
    }


def find_cache(config: Config) -> Path:
    """Returns the folder in which features are kept, the same for all commands."""
    return Path(config.output_dir) / "head" / "features"


def load_features(
    config: Config,
    model: ActionDetector | TwoStream,
    split: Split,
    folder: str | Path,
    device: torch.device,
    mirrored: bool = False,
) -> tuple[list[Keyframe], Tensor]:
    """Loads the features of a split's boxes, and computes those that are not in the cache.

    They are put there video by video, so that a run that was stopped goes on where it was.

    Args:
        config: How clips are read: whole frames at data.test_short_side, as in evaluation.
        model: Whose backbone and pooling compute the features.
        split: Whose boxes are described.
        folder: Of the cache.
        device: On which features are computed.
        mirrored: Whether frames are mirrored left to right.

    Returns:
        The keyframes that have boxes and can be read, and float32 [N, D] for their boxes, in order.

    Raises:
        ValueError: No clip can be read.
    """
    precision = resolve_precision(config.precision, device)
    videos = find_config_videos(config)
    cache = _build_cache(config, model, folder, precision, mirrored)
    by_video: dict[str, list[Keyframe]] = {}
    for keyframe in sorted(split.keyframes, key=lambda k: (k.video_id, k.timestamp)):
        if len(keyframe.boxes):
            by_video.setdefault(keyframe.video_id, []).append(keyframe)
    absent = [
        video_id
        for video_id, keyframes in by_video.items()
        if video_id not in videos or cache.find(videos[video_id], keyframes) is None
    ]
    gather_objects(None)  # no process may write before all have looked
    share = {video_id: by_video[video_id] for video_id in absent[rank() :: world_size()]}
    computed = _compute_features(config, model, split.name, share, device, mirrored)
    for video_id, features in computed if share else ():
        cache.write(videos[video_id], by_video[video_id], features)
    gather_objects(None)  # nor read before all have written
    kept: list[Keyframe] = []
    parts: list[Tensor] = []
    for video_id, keyframes in by_video.items():
        cached = cache.find(videos[video_id], keyframes)
        assert cached is not None
        rows = _split(torch.from_numpy(np.array(cached)), keyframes)
        for keyframe, part in zip(keyframes, rows, strict=True):
            if part.isfinite().all():
                kept.append(keyframe)
                parts.append(part)
    if not kept:
        raise ConfigError(
            f"data.{split.name}: expected keyframes with boxes in videos that can be read, "
            "found none"
        )
    return kept, torch.cat(parts)


def _compute_features(
    config: Config,
    model: ActionDetector | TwoStream,
    name: str,
    by_video: dict[str, list[Keyframe]],
    device: torch.device,
    mirrored: bool,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields each video with the features of its boxes, [N, D]; NaN for a clip that was lost."""
    keyframes = [keyframe for video_keyframes in by_video.values() for keyframe in video_keyframes]
    all_of_them = Split(name, keyframes, None, set(), "gt")
    loader = build_eval_loader(config, all_of_them, config.data.test_short_side, shared=False)
    is_half = resolve_precision(config.precision, device) == "bf16"
    network: Any = optimize_for_inference(
        model, device, torch.bfloat16 if is_half else torch.float32
    )
    to_device = build_device_transform(config, device)
    features: dict[str, dict[float, Tensor]] = {video_id: {} for video_id in by_video}
    width = 0
    with torch.inference_mode(), loader.failures_named():
        title = f"features ({name}{', mirrored' if mirrored else ''})"
        for batch in tqdm(loader, desc=title, unit="batch", leave=False):
            ready = flip_batch(to_device(batch)) if mirrored else to_device(batch)
            with torch.autocast(device.type, torch.bfloat16, enabled=is_half):
                vectors = network.compute_features(**ready.inputs).float().cpu()
            width = vectors.shape[1]
            for keyframe, rows in zip(
                batch.keyframes, _split(vectors, batch.keyframes), strict=True
            ):
                features[keyframe.video_id][keyframe.timestamp] = rows
            video_id = batch.keyframes[0].video_id
            if len(features[video_id]) == len(by_video[video_id]):
                yield video_id, _join(features.pop(video_id), by_video[video_id], width)
    for video_id, parts in features.items():
        yield video_id, _join(parts, by_video[video_id], width)


def _split(rows: Tensor, keyframes: Sequence[Keyframe]) -> tuple[Tensor, ...]:
    """Splits the rows of the boxes of several keyframes, by keyframe."""
    return torch.split(rows, [len(keyframe.boxes) for keyframe in keyframes])


def _join(parts: Mapping[float, Tensor], keyframes: Sequence[Keyframe], width: int) -> np.ndarray:
    """Joins the rows of the boxes of keyframes, in order; NaN for those that are not in `parts`."""
    lost = [torch.full((len(keyframe.boxes), width), torch.nan) for keyframe in keyframes]
    return torch.cat(
        [parts.get(k.timestamp, nothing) for k, nothing in zip(keyframes, lost, strict=True)]
    ).numpy()
