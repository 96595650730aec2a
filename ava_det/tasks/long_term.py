"""Builds the long-term feature bank of a split's videos from a config."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import torch

from ava_det.config import Config
from ava_det.data.feature_bank import FeatureBank
from ava_det.inference.first_pass import load_bank_network
from ava_det.tasks.own_head import load_features
from ava_det.tasks.splits import Split

# What the bank's network reads as the experiment does: files and boxes, not how clips are made.
_OF_EXPERIMENT = (
    "video_dir",
    "label_map",
    "ava_version",
    "start_second",
    "grid_start_second",
    "min_person_score",
    "train",
    "val",
    "test",
)


def build_bank(config: Config) -> FeatureBank | None:
    """Builds an empty bank; None for a config whose head reads none."""
    settings = config.model.long_term
    if not settings.is_used:
        return None
    return FeatureBank(settings.window_seconds, settings.persons_per_second, settings.bank_channels)


def fill_bank(bank: FeatureBank | None, config: Config, split: Split, device: torch.device) -> None:
    """Puts the features of a split's persons in a bank.

    They are computed by a network that is not trained any more, and kept in
    model.long_term.bank_dir, a file for each video, under a hash of its weights.

    Args:
        bank: Of `build_bank`; None does nothing.
        config: Of the network that reads the bank.
        split: Its keyframes, with their boxes, are those of the bank.
        device: Where the features are computed.

    Raises:
        ConfigError: The bank's network cannot be used.
    """
    if bank is None:
        return
    settings, model = load_bank_network(config)
    data = replace(settings.data, **{key: getattr(config.data, key) for key in _OF_EXPERIMENT})
    settings = replace(
        settings, data=data, train=config.train, eval=config.eval, precision=config.precision
    )
    keyframes, features = load_features(
        settings, model, split, config.model.long_term.bank_dir, device
    )
    rows = features.split([len(keyframe.boxes) for keyframe in keyframes])
    paired = zip(keyframes, rows, strict=True)
    for video_id, video_pairs in groupby(paired, key=lambda pair: pair[0].video_id):
        listed = list(video_pairs)
        bank.add_video(video_id, [one for one, _ in listed], [row for _, row in listed])
