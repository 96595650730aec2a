"""Reads the clips that a network is quantized with, and others that it is judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import overload

import torch
from torch import Tensor
from tqdm import tqdm

from ava_det.config import Config, ConfigError
from ava_det.data.build import build_device_transform
from ava_det.structures import ClipBatch
from ava_det.tasks.long_term import build_bank, fill_bank
from ava_det.tasks.splits import Split, build_eval_loader, build_split

NUM_CALIBRATION = 64
NUM_HELD_OUT = 64


class PreparedClips(Sequence[dict[str, Tensor]]):
    """Holds clips as bytes, a quarter of the memory, and normalizes each when it is asked for.

    Args:
        batches: Of one clip each, uint8.
        prepare: Normalizes a batch.
    """

    def __init__(
        self, batches: Sequence[ClipBatch], prepare: Callable[[ClipBatch], ClipBatch]
    ) -> None:
        self._batches = batches
        self._prepare = prepare

    def __len__(self) -> int:
        return len(self._batches)

    @overload
    def __getitem__(self, index: int) -> dict[str, Tensor]: ...
    @overload
    def __getitem__(self, index: slice) -> PreparedClips: ...
    def __getitem__(self, index: int | slice) -> dict[str, Tensor] | PreparedClips:
        if isinstance(index, slice):
            return PreparedClips(self._batches[index], self._prepare)
        inputs = self._prepare(self._batches[index]).inputs
        return {name: value for name, value in inputs.items() if value is not None}


def read_int8_clips(config: Config) -> tuple[PreparedClips, PreparedClips, str]:
    """Reads clips of the train split, and held-out ones of the val split.

    They are drawn by the config's seed, and read and normalized as in evaluation. Where there are
    no annotations of val, other clips of train are held out.

    Returns:
        At most `NUM_CALIBRATION` clips, at most `NUM_HELD_OUT` others, and where these are from:
        val or train.

    Raises:
        ConfigError: There are no two clips with persons.
    """
    train = build_split(config, "train", torch.device("cpu"))
    if config.data.val.annotation_files:
        val = build_split(config, "val", torch.device("cpu"))
        [calibration] = draw_keyframes(train, config.seed, NUM_CALIBRATION)
        [held_out] = draw_keyframes(val, config.seed, NUM_HELD_OUT)
    else:
        val = train
        calibration, held_out = draw_keyframes(train, config.seed, NUM_CALIBRATION, NUM_HELD_OUT)
    for split in (calibration, held_out):
        if not split.keyframes:
            raise ConfigError(
                f"data.{split.name}.annotations: expected keyframes with persons to calibrate by, "
                "found none"
            )
    clips = [
        _read(config, split, whole, title)
        for split, whole, title in (
            (calibration, train, "read clips to calibrate by"),
            (held_out, val, "read held-out clips"),
        )
    ]
    return clips[0], clips[1], val.name


def draw_keyframes(split: Split, seed: int, *counts: int) -> list[Split]:
    """Draws keyframes with persons, without replacement.

    Args:
        split: Where to draw from.
        seed: Of the draw, which is always the same for the same split.
        counts: How many keyframes each result gets; where there are too few, each gets the same.

    Returns:
        A split with the keyframes that were drawn, for each count.
    """
    keyframes = [keyframe for keyframe in split.keyframes if len(keyframe.boxes)]
    order = torch.randperm(len(keyframes), generator=torch.Generator().manual_seed(seed)).tolist()
    drawn = []
    for count in counts:
        share = min(count, len(keyframes) // len(counts))
        drawn.append(replace(split, keyframes=[keyframes[index] for index in order[:share]]))
        order = order[share:]
    return drawn


def _read(config: Config, split: Split, whole: Split, title: str) -> PreparedClips:
    """Reads the clips of a split, one a batch; a bank is filled from all keyframes around them."""
    device = torch.device("cpu")
    bank = build_bank(config)
    fill_bank(bank, config, whole, device)
    single = replace(config, eval=replace(config.eval, batch_size=1))
    loader = build_eval_loader(single, split, config.data.test_short_side, shared=False)
    bar = tqdm(loader, desc=title, unit="clip", leave=False)
    with bar, loader.failures_named():
        batches = list(bar)
    return PreparedClips(batches, build_device_transform(config, device, bank))
