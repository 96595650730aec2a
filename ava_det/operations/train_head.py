"""Does what `ava-det train-head` does: fits a head for own classes on a frozen network."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ava_det.checkpoint import save_checkpoint
from ava_det.config import Config, ConfigError, config_to_dict, load_config
from ava_det.data.build import load_label_map_for
from ava_det.device.precision import choose_precision
from ava_det.device.select import prepare_torch
from ava_det.evaluation.metrics import ActionMetrics
from ava_det.files import require_other_files
from ava_det.models.action_detector import ActionDetector
from ava_det.models.roi_head import RoIHead
from ava_det.models.two_stream import TwoStream
from ava_det.own_classes import calibrate, choose_head, find_thresholds, place_columns, write_table
from ava_det.structures import Detections, Keyframe
from ava_det.tasks.action_detection import compute_metrics
from ava_det.tasks.frozen_network import join_labels, list_heads, load_frozen, score_features
from ava_det.tasks.own_head import find_cache, load_features
from ava_det.tasks.run_folder import RunFolder, describe_metrics, list_sources
from ava_det.tasks.splits import build_split, log_warnings


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det train-head` and returns its exit code."""
    config = load_config(args.config, args.overrides)
    train_head(config, prepare_torch(config), args.table)
    return 0


def train_head(config: Config, device: torch.device, table: Path | None) -> None:
    """Computes or loads the features, fits the head on them, and writes and prints the results.

    Args:
        config: The experiment.
        device: Where the features are computed.
        table: A CSV to write every box into; None for none.
    """
    folder = RunFolder(Path(config.output_dir) / "head")
    folder.require_other_sources(config, trains=True)
    require_other_files({"--table": table}, list_sources(config))
    label_map = load_label_map_for(config)
    model = load_frozen(config, allow_missing=("head",))
    train_split = build_split(config, "train", device)
    val_split = build_split(config, "val", device, boxes="gt")
    features = find_cache(config)
    start = time.perf_counter()
    train_keyframes, train_features = load_features(config, model, train_split, features, device)
    val_keyframes, val_features = load_features(config, model, val_split, features, device)
    train = (train_features, join_labels(train_keyframes))
    val = (val_features, join_labels(val_keyframes))
    train_set = train
    if config.data.flip:
        keyframes, mirrored = load_features(
            config, model, train_split, features, device, mirrored=True
        )
        train_set = torch.cat((train[0], mirrored)), torch.cat((train[1], join_labels(keyframes)))
    features_done = time.perf_counter()
    if table is not None:
        write_table(
            table, {"train": (train_keyframes, train[0]), "val": (val_keyframes, val[0])}, label_map
        )
    thresholds, penalties = fit(model, train_set, val, label_map)
    fit_done = time.perf_counter()
    scores = score_features(model, val[0])
    metrics = compute_metrics(
        to_detections(val_keyframes, scores), val_split, label_map, config.eval.protocol
    )
    details = {
        "thresholds": {str(action_id): value for action_id, value in thresholds.items()},
        "penalty": penalties[0] if len(penalties) == 1 else penalties,
    }
    metrics = replace(metrics, details=details)
    folder.remove_results()
    folder.write_description(config, choose_precision(config.precision, device))
    facts = {"config": config_to_dict(config), "label_map": label_map, "thresholds": thresholds}
    save_checkpoint(folder.last_checkpoint, {"model": model.state_dict(), **facts})
    folder.write_results(to_detections(val_keyframes, scores), metrics, list(label_map))
    log_warnings(metrics.warnings)
    print(describe_classes(label_map, train[1], val[1], metrics, thresholds))
    seconds = features_done - start, fit_done - features_done
    print(
        f"{len(train[0])} + {len(val[0])} boxes: features {seconds[0]:.1f} s, head "
        f"{seconds[1]:.1f} s"
    )
    print(describe_metrics(metrics, folder.path))


def fit(
    model: ActionDetector | TwoStream,
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    label_map: dict[int, str],
) -> tuple[dict[int, float], list[float]]:
    """Puts fitted and calibrated layers into the heads of `model`.

    An action of the label map without an example in training is not fitted: its score stays near 0.

    Args:
        model: The network to change, in place.
        train: Features float32 [N, F] and labels [N, C] of the training boxes.
        val: The same of the validation boxes.
        label_map: Action id -> name.

    Returns:
        The threshold of each action id, and the weight penalty that was chosen for each head.

    Raises:
        ConfigError: No training box has an action of the label map.
    """
    columns = [action_id - 1 for action_id in label_map if bool(train[1][:, action_id - 1].any())]
    if not columns:
        raise ConfigError(
            "data.train.annotations: expected labeled boxes of the label map's actions, found none"
        )
    heads = list_heads(model)
    widths = [head.num_features for head in heads]
    parts = zip(heads, train[0].split(widths, dim=1), val[0].split(widths, dim=1), strict=True)
    penalties = [
        fit_head(head, (of_train, train[1]), (of_val, val[1]), columns)
        for head, of_train, of_val in parts
    ]
    scores = score_features(model, val[0])[:, columns]
    thresholds = {
        column + 1: round(value, 4)
        for column, value in zip(columns, find_thresholds(scores, val[1][:, columns]), strict=True)
    }
    return dict.fromkeys(label_map, 0.5) | thresholds, penalties


def fit_head(
    head: RoIHead, train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor], columns: list[int]
) -> float:
    """Puts fitted and calibrated layers into `head`, for these columns of the labels.

    Arguments are as for `fit`; the weight penalty that was chosen is returned.
    """
    hidden = [] if head.hidden is None else [head.hidden, nn.ReLU()]
    narrow = nn.Linear(head.projection.in_features, len(columns))
    fit_set, held_out = ((features, labels[:, columns]) for features, labels in (train, val))
    layers, penalty = choose_head(nn.Sequential(*hidden, narrow), fit_set, held_out)
    last = layers[-1]
    assert isinstance(last, nn.Linear)
    calibrate(last, layers(held_out[0]), held_out[1])
    if head.hidden is not None:
        head.hidden.load_state_dict(layers[0].state_dict())
    place_columns(last, head.projection, columns)
    return penalty


def to_detections(keyframes: Sequence[Keyframe], scores: Tensor) -> list[Detections]:
    """Pairs the keyframes with the scores of their boxes, float32 [N, C]."""
    parts = scores.split([len(keyframe.boxes) for keyframe in keyframes])
    return [
        Detections(keyframe.boxes, part, keyframe.person_scores, None, keyframe)
        for keyframe, part in zip(keyframes, parts, strict=True)
    ]


def describe_classes(
    label_map: dict[int, str],
    train: Tensor,
    val: Tensor,
    metrics: ActionMetrics,
    thresholds: dict[int, float],
) -> str:
    """Formats a line for each action: its boxes, its AP and the score it is shown from."""
    lines = [f"{'action':32} {'train':>6} {'val':>6} {'AP':>6}  shown from"]
    for action_id, name in label_map.items():
        ap = metrics.result.per_class[action_id].ap
        counts = [int(x[:, action_id - 1].sum()) for x in (train, val)]
        shown = "no example to learn from" if not counts[0] else f"{thresholds[action_id]:.2f}"
        shown += "" if counts[1] or not counts[0] else " (no example in val)"
        lines.append(
            f"{name[:32]:32} {counts[0]:6} {counts[1]:6} "
            f"{'-' if ap is None else f'{ap:.3f}':>6}  {shown}"
        )
    return "\n".join(lines)
