"""Builds what a config says of its data: videos, label map, and the clips its network reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ava_det.config import Config, ConfigError
from ava_det.config.data import DataConfig
from ava_det.config.networks import FAMILIES
from ava_det.data.clip_reader import ClipReader, FlowOfClips
from ava_det.data.feature_bank import FeatureBank
from ava_det.data.sampling import compute_flow_ticks, compute_slow_indices
from ava_det.data.transforms import (
    NO_BOX_JITTER,
    Augmentation,
    FlowScale,
    draw_training_augmentation,
    normalize_batch,
)
from ava_det.flow import ComputedFlow, StoredFlow, build_flow
from ava_det.formats.label_map import load_label_map
from ava_det.structures import ClipBatch
from ava_det.video.sources import find_videos


def build_clip_reader(
    config: Config, device: torch.device | str = "cpu", flow_dir: str | Path | None = None
) -> ClipReader:
    """Builds the reader of what the network of this config needs around a keyframe.

    Args:
        config: Of the network.
        device: Where raft computes optical flow.
        flow_dir: Folders of `ava-det flow` to read optical flow from; None computes it.

    Raises:
        ValueError: The algorithm of flow cannot be used here.
    """
    model = config.model
    data = config.data
    input_settings = (
        data.frame_grid,
        data.grid_start_second,
        data.frame_colour,
        data.box_arithmetic,
        data.clip_shift,
        build_flow_of_clips(config, device, flow_dir),
    )
    if model.streams == "flow":
        return ClipReader(0, 1, data.clip_fps, None, None, *input_settings)
    clips = FAMILIES[model.backbone].clips
    if "fast" not in clips:
        every = np.arange(model.num_slow_frames)
        return ClipReader(
            model.num_slow_frames, model.slow_stride, data.clip_fps, every, None, *input_settings
        )
    num_fast_frames = model.alpha * model.num_slow_frames
    slow = compute_slow_indices(num_fast_frames, model.alpha, data.slow_frame_policy)
    slow_indices = slow if "slow" in clips else None
    fast_stride = model.slow_stride // model.alpha
    return ClipReader(
        num_fast_frames,
        fast_stride,
        data.clip_fps,
        slow_indices,
        np.arange(num_fast_frames),
        *input_settings,
    )


def build_dataset_reader(config: Config) -> ClipReader:
    """Builds the reader for training and evaluation, with the flow of data.flow_dir if it is set.

    Raises:
        ConfigError: The processes that read videos would have to compute raft.
        ValueError: The algorithm of flow cannot be used here.
    """
    data = config.data
    if config.model.streams != "rgb" and data.flow_dir is None and data.flow_algorithm == "raft":
        raise ConfigError(
            "data.flow_dir: expected the folder of `ava-det flow --algorithm raft`, as the "
            "processes that read videos have no device to compute it on"
        )
    return build_clip_reader(config, flow_dir=data.flow_dir)


def build_flow_of_clips(
    config: Config, device: torch.device | str, flow_dir: str | Path | None
) -> FlowOfClips | None:
    """Builds what reads or computes the optical flow of clips; see `build_clip_reader`.

    Returns:
        None for a network that reads none.
    """
    stream = config.model.split_streams().get("flow")
    if stream is None:
        return None
    data = config.data
    shape = stream.num_slow_frames, stream.slow_stride, stream.flow.stack, data.flow_gap
    source: ComputedFlow | StoredFlow
    if flow_dir is None:
        algorithm = build_flow(data.flow_algorithm, device)
        source = ComputedFlow(algorithm, data.flow_range, data.flow_short_side)
    else:
        step = data.flow_gap / data.clip_fps
        coding = data.flow_algorithm, data.flow_range, step, data.flow_short_side
        source = StoredFlow(flow_dir, *coding)
    return FlowOfClips(compute_flow_ticks(*shape), data.flow_gap, source, data.flow_center)


def build_training_augmentation(
    data: DataConfig, moves_boxes: bool = True
) -> Callable[[torch.Generator], Augmentation]:
    """Builds the function that draws the view of a training clip.

    Args:
        data: Which views there are.
        moves_boxes: Whether boxes are jittered; those that are the whole frame are not.
    """
    low, high = data.train_short_side
    x_out, x_in, y_out, y_in = data.box_jitter_sides or [data.box_jitter] * 4
    return partial(
        draw_training_augmentation,
        (low, high),
        data.crop_size,
        data.flip,
        (x_out, x_in, y_out, y_in) if moves_boxes else NO_BOX_JITTER,
        color_jitter=data.colour_jitter,
        lighting=data.lighting,
        hsv_jitter=data.hsv_jitter,
    )


def build_device_transform(
    config: Config, device: torch.device, bank: FeatureBank | None = None
) -> Callable[[ClipBatch], ClipBatch]:
    """Builds a function that moves a uint8 batch to a device and normalizes it.

    Args:
        config: Its `data` section says how clips are normalized.
        device: Of the model.
        bank: Is read by a model with a long-term head.
    """
    data = config.data
    return partial(
        normalize_batch,
        mean=data.mean,
        std=data.std,
        device=device,
        channel_order=data.channel_order,
        bank=bank,
        flow_scale=FlowScale(
            data.flow_range, data.flow_mean, data.flow_std, config.model.flow.stack
        ),
    )


def load_label_map_for(config: Config, carried: Mapping[int, str] | None = None) -> dict[int, str]:
    """Reads the actions of a config: data.label_map, and of it train.action_ids where that is set.

    Args:
        config: Its data.label_map is checked against model.num_classes.
        carried: The label map that came with the weights, taken where data.label_map is null.

    Returns:
        Names by action id.

    Raises:
        ConfigError: There is no label map, or an id does not fit.
    """
    source = config.data.label_map or "the label map of the weights"
    if config.data.label_map is not None:
        label_map = load_label_map(config.data.label_map)
    elif carried is not None:
        label_map = dict(carried)
    else:
        raise ConfigError("data.label_map: expected the path of a label map (.pbtxt)")
    if max(label_map) > config.model.num_classes:
        raise ConfigError(
            f"model.num_classes: expected at least {max(label_map)}, the largest id in {source}, "
            f"received {config.model.num_classes}"
        )
    wanted = config.train.action_ids
    if wanted is None:
        return label_map
    unknown = [action_id for action_id in wanted if action_id not in label_map]
    if unknown:
        raise ConfigError(f"train.action_ids: expected ids of {source}, received {unknown[0]}")
    return {action_id: label_map[action_id] for action_id in wanted}


def describe_other_names(
    label_map: Mapping[int, str], carried: Mapping[int, str] | None
) -> list[str]:
    """Says that weights learned other names for these ids, or do not know some of the ids.

    Args:
        label_map: What `load_label_map_for` gave.
        carried: The label map that came with the weights, None where there is none to compare.

    Returns:
        At most one sentence.
    """
    if carried is None:
        return []
    renamed = [
        action_id for action_id, name in label_map.items() if carried.get(action_id, name) != name
    ]
    unknown = [action_id for action_id in label_map if action_id not in carried]
    if renamed:
        first = renamed[0]
        return [
            f"data.label_map: {len(renamed)} actions have other names than in training: id "
            f"{first} is {label_map[first]!r}, the weights learned it as {carried[first]!r}"
        ]
    if unknown:
        first = unknown[0]
        return [
            f"data.label_map: {len(unknown)} actions that the weights never learned, such as "
            f"{first} {label_map[first]!r}"
        ]
    return []


def find_config_videos(config: Config) -> dict[str, Path]:
    """Finds the videos of `data.video_dir` by video id; raises ConfigError where it is not set."""
    if config.data.video_dir is None:
        raise ConfigError("data.video_dir: expected the folder of the videos")
    return find_videos(config.data.video_dir)
