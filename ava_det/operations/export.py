"""Does what `ava-det export` does: writes a network as ONNX or OpenVINO and compares it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ava_det.checkpoint import load_checkpoint
from ava_det.checkpoint.zoo import choose_weights
from ava_det.config import Config, ConfigError, config_to_dict, load_config
from ava_det.config.networks import FAMILIES
from ava_det.data.build import build_clip_reader, build_device_transform, load_label_map_for
from ava_det.data.loader import collate
from ava_det.data.transforms import Augmentation, apply_augmentation
from ava_det.device.precision import choose_stored_precision
from ava_det.device.select import prepare_torch
from ava_det.export import export_int8, export_model
from ava_det.export.int8 import import_nncf
from ava_det.files import require_other_files
from ava_det.inference.batch import compute_scores
from ava_det.inference.pretrained import check_thresholds
from ava_det.inference.trained_model import load_plain_model, require_same_network
from ava_det.operations.int8_clips import read_int8_clips
from ava_det.structures import Keyframe
from ava_det.video.folder import open_video
from ava_det.video.sources import find_videos, video_id_of


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det export` and returns its exit code."""
    args.weights = choose_weights(args.weights)
    require_other_files(
        {"--output": [args.output, args.output.with_suffix(".bin")]},
        {"--weights": args.weights, "--config": args.config, "--video": args.video}
        | {"--calibrate": args.calibrate},
    )
    config = load_config(args.config, args.overrides)
    for stream in config.model.split_streams().values():
        reason = FAMILIES[stream.backbone].cannot_export
        if reason is not None:
            raise ConfigError(
                f"model.backbone: expected a network that can be exported, {stream.backbone} "
                f"runs in torch alone: {reason}"
            )
    if args.precision == "int8":
        return _run_int8(args, config)
    # OpenVINO runs on CPUs alone
    device = prepare_torch(config) if args.format == "onnx" else torch.device("cpu")
    precision = choose_stored_precision(args.precision, device)
    video = args.video or find_first_video(config)
    model, facts = load_with_facts(config, args.weights, precision)
    score = partial(compute_scores, exclusive=config.model.is_exclusive)
    checks = list_checks(config, video)
    difference = export_model(model, checks, args.output, args.format, precision, facts, score)
    compared = (
        f"random clips and one of {video.name}"
        if video is not None
        else "random clips alone: no video is at hand"
    )
    what = "logits" if precision == "fp32" else "scores"
    print(f"{args.output}: {what} within {difference:.1g} of the network's on {compared}")
    return 0


def _run_int8(args: argparse.Namespace, config: Config) -> int:
    """Runs `ava-det export --precision int8` and returns its exit code."""
    import_nncf()  # before minutes of reading
    calibration = load_config(args.calibrate, args.overrides)
    require_same_network(calibration, config_to_dict(config), f"{args.config} has it")
    model, facts = load_with_facts(config, args.weights, "int8")
    used, held_out, split = read_int8_clips(calibration)
    facts["int8"] = {"config": str(args.calibrate), "clips": len(used)} | {
        "held_out_clips": len(held_out),
        "held_out_split": split,
    }
    names = facts["label_map"] or range(1, config.model.num_classes + 1)
    made = export_int8(
        model,
        list_checks(config, args.video or find_first_video(config)),
        (used, held_out),
        args.output,
        args.format,
        facts,
        [action_id - 1 for action_id in names],
        partial(compute_scores, exclusive=config.model.is_exclusive),
    )
    print(
        f"{args.output}: {made.speedup:.2f} times as fast as float32 on this CPU, rank "
        f"correlation of the scores {made.correlation:.4f} on {len(held_out)} held-out "
        f"clips of {split}; in float32: {', '.join(made.float_parts) or 'nothing'}"
    )
    return 0


def load_with_facts(
    config: Config, weights: str | Path, precision: str
) -> tuple[nn.Module, dict[str, Any]]:
    """Loads a network, and what its file will say of it.

    Args:
        config: Of the network.
        weights: Its checkpoint.
        precision: Of the file.

    Returns:
        The network, and its config, label map, thresholds and precision as JSON values.
    """
    model, label_map = load_plain_model(config, weights)
    if (
        label_map is None
        and config.data.label_map is not None
        and Path(config.data.label_map).is_file()
    ):
        label_map = load_label_map_for(config)
    return model, {
        "config": config_to_dict(config),
        "label_map": label_map,
        "thresholds": check_thresholds(load_checkpoint(weights).get("thresholds"), weights),
        "precision": precision,
    }


def list_checks(config: Config, video: Path | None) -> list[dict[str, Tensor]]:
    """Lists the inputs on which a file is compared: random ones, and a clip of a video if any."""
    checks = [draw_inputs(config, 2, 3), draw_inputs(config, 1, 0), draw_inputs(config, 3, 1)]
    return checks if video is None else [*checks, read_inputs(config, video)]


def find_first_video(config: Config) -> Path | None:
    """Returns the first of the config's own videos; None where none is present."""
    folder = config.data.video_dir
    videos = find_videos(folder) if folder is not None and Path(folder).is_dir() else {}
    return videos[min(videos)] if videos else None


def draw_inputs(config: Config, batch: int, boxes: int, short_side: int = 64) -> dict[str, Tensor]:
    """Draws random inputs of the config's network, always the same for the same arguments.

    The pictures are small, because they check a graph of any size as well as large ones.

    Args:
        config: The experiment.
        batch: N, the number of clips.
        boxes: R, the number of boxes, spread over the clips. Some reach out of the picture.
        short_side: Height of the pictures, in pixels; they are 13 * N pixels wider than high.

    Returns:
        Those of these that the network reads: the clips `slow`, `fast` and `flow`, float32 [N, C,
        T, H, W] of normal noise, `rois` [R, 5], (clip, x1, y1, x2, y2) in pixels, and `long_term`,
        see `draw_bank`.
    """
    generator = torch.Generator().manual_seed(batch)
    height = short_side
    width = short_side + 13 * batch
    clips = {
        name: torch.randn(batch, channels, frames, height, width, generator=generator)
        for name, (channels, frames) in config.model.clip_shapes().items()
    }
    corners = torch.rand(boxes, 2, 2, generator=generator).sort(dim=1).values * torch.tensor(
        [width + 9, height]
    )
    rois = torch.cat([torch.arange(boxes)[:, None] % batch, corners.flatten(1)], dim=1)
    return select_inputs(config, {**clips, "rois": rois}, draw_bank(config, batch))


def draw_bank(config: Config, batch: int) -> Tensor | None:
    """Draws a random bank for each clip, always the same for the same arguments.

    Returns:
        `long_term`, float32 [N, L, D], uniform in [0, 1) with every third place empty; None for a
        network that reads none.
    """
    bank = config.model.long_term
    if not bank.is_used:
        return None
    generator = torch.Generator().manual_seed(batch)
    places = bank.window_seconds * bank.persons_per_second
    drawn = torch.rand(batch, places, bank.bank_channels, generator=generator)
    drawn[:, ::3] = 0
    return drawn


def read_inputs(config: Config, video: Path) -> dict[str, Tensor]:
    """Reads the clip in the middle of a video, with the whole frame and its middle as boxes.

    A bank is a random one: the network that fills banks is not part of what is exported.

    Returns:
        The inputs as `draw_inputs` returns them, of one clip.
    """
    reader = build_clip_reader(config)
    start = config.data.start_second
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.3, 0.2, 0.6, 0.9]])
    with open_video(video, start) as frames_of:
        middle = (start + frames_of.find_end()) / 2
        keyframe = Keyframe(video_id_of(video), middle, boxes, None, torch.ones(2))
        pixels = reader.read(frames_of, middle, config.data.test_short_side)
    pixels, pixel_boxes = apply_augmentation(
        pixels, boxes, Augmentation(config.data.test_short_side), torch.Generator()
    )
    batch = collate([reader.make_clip(pixels, pixel_boxes, keyframe)])
    batch = build_device_transform(config, torch.device("cpu"))(batch)
    return select_inputs(config, batch.inputs, draw_bank(config, 1))


def select_inputs(
    config: Config, inputs: Mapping[str, Tensor | None], long_term: Tensor | None
) -> dict[str, Tensor]:
    """Keeps those inputs that the config's network reads."""
    absent = {"rois"} if config.model.head == "classification" else set()
    named = {**inputs, "long_term": long_term}
    return {
        name: value for name, value in named.items() if name not in absent and value is not None
    }
