"""The view of a training clip follows every key of the config that names one."""

from __future__ import annotations

import torch

from ava_det.config import DataConfig
from ava_det.data.build import build_training_augmentation
from ava_det.data.transforms import NO_BOX_JITTER, Augmentation


def draw(moves_boxes: bool = True, **keys: object) -> Augmentation:
    data = DataConfig(train_short_side=[32, 40], crop_size=32, **keys)  # type: ignore[arg-type]
    return build_training_augmentation(data, moves_boxes)(torch.Generator().manual_seed(1))


def test_each_key_of_colors_changes_them() -> None:
    plain = draw()
    assert plain.color is None and plain.hsv is None
    assert 32 <= plain.short_side <= 40 and plain.crop_size == 32
    assert draw(colour_jitter=0.4).color is not None
    assert draw(lighting=0.1).color is not None
    assert draw(hsv_jitter=[20, 0.1, 0.1]).hsv is not None


def test_boxes_move_by_one_share_or_by_one_for_each_side_or_not_at_all() -> None:
    assert draw(box_jitter=0.1).box_jitter == (0.1, 0.1, 0.1, 0.1)
    sides = [0.2, 0.1, 0.1, 0.05]
    assert draw(box_jitter_sides=sides).box_jitter == tuple(sides)
    assert draw(moves_boxes=False, box_jitter_sides=sides).box_jitter == NO_BOX_JITTER
    assert not draw(flip=False).flip
