from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ava_det.data.clip_pixels import ClipPixels
from ava_det.data.transforms import (
    Augmentation,
    apply_augmentation,
    draw_training_augmentation,
    normalize_batch,
)
from ava_det.structures import ClipBatch

NO_KEYFRAMES: Any = [None, None]


JITTER = (0.1, 0.1, 0.1, 0.1)


def frames_with_a_white_box(
    box: tuple[int, int, int, int], width: int = 120, height: int = 80
) -> np.ndarray:
    frames = np.zeros((3, height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    frames[:, y1:y2, x1:x2] = 255
    return frames


def white_extent(frames: np.ndarray) -> list[int]:
    rows, columns = np.nonzero(frames[0, :, :, 0] > 127)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


@pytest.mark.parametrize(
    "view",
    [
        Augmentation(80),
        Augmentation(40),
        Augmentation(160),
        Augmentation(80, flip=True),
        Augmentation(80, crop_size=64, crop_x=0.3, crop_y=0.7),
        Augmentation(100, crop_size=80, crop_x=1.0, crop_y=0.0, flip=True),
    ],
    ids=repr,
)
def test_boxes_stay_on_what_they_frame(view: Augmentation) -> None:
    pixels = (36, 24, 72, 56)
    boxes = torch.tensor([[36 / 120, 24 / 80, 72 / 120, 56 / 80]])
    seen, moved = apply_augmentation(
        ClipPixels(frames_with_a_white_box(pixels)), boxes, view, torch.Generator()
    )
    frames = seen.frames
    assert frames is not None
    np.testing.assert_allclose(white_extent(frames), moved[0].numpy(), atol=1.01)
    if view.crop_size:
        assert frames.shape[1:3] == (view.crop_size, view.crop_size)
    else:
        assert min(frames.shape[1:3]) == view.short_side


def test_a_box_outside_the_crop_keeps_its_row_without_area() -> None:
    boxes = torch.tensor([[0.9, 0.9, 1.0, 1.0], [0.0, 0.0, 0.5, 0.5]])
    _, moved = apply_augmentation(
        ClipPixels(frames_with_a_white_box((0, 0, 9, 9))),
        boxes,
        Augmentation(80, 40, 0.0, 0.0),
        torch.Generator(),
    )
    assert moved.shape == (2, 4)
    assert float((moved[0, 2:] - moved[0, :2]).prod()) == 0
    assert moved.min() >= 0
    assert moved.max() <= 40


def test_random_views_stay_in_their_bounds_and_repeat_with_the_seed() -> None:
    def draw(seed: int) -> Augmentation:
        return draw_training_augmentation(
            (256, 340), 224, True, JITTER, torch.Generator().manual_seed(seed)
        )

    views = [draw(seed) for seed in range(200)]
    sides = [view.short_side for view in views]
    assert min(sides) >= 256
    assert max(sides) <= 340
    assert len(set(sides)) > 30
    assert 60 < sum(view.flip for view in views) < 140
    assert draw(3) == draw(3)


def test_normalize_makes_float_channels_last_clips() -> None:
    frames = torch.randint(0, 256, (2, 3, 4, 6, 8), dtype=torch.uint8)
    batch = ClipBatch(None, frames, torch.zeros(0, 5), None, NO_KEYFRAMES)
    ready = normalize_batch(batch, [0.45, 0.4, 0.35], [0.225, 0.25, 0.2], torch.device("cpu"))
    mean = torch.tensor([0.45, 0.4, 0.35])[:, None, None, None]
    std = torch.tensor([0.225, 0.25, 0.2])[:, None, None, None]
    assert ready.fast is not None
    torch.testing.assert_close(
        ready.fast, (frames.float() / 255 - mean) / std, atol=1e-5, rtol=1e-5
    )
    assert ready.fast.is_contiguous(memory_format=torch.channels_last_3d)
    assert ready.slow is None


def test_caffe_networks_see_blue_first() -> None:
    frames = torch.randint(0, 256, (2, 3, 4, 6, 8), dtype=torch.uint8)
    batch = ClipBatch(frames, None, torch.zeros(0, 5), None, NO_KEYFRAMES)
    statistics = ([0.45, 0.4, 0.35], [0.225, 0.25, 0.2], torch.device("cpu"))
    rgb = normalize_batch(batch, *statistics).slow
    bgr = normalize_batch(batch, *statistics, "bgr").slow
    assert rgb is not None
    assert bgr is not None
    torch.testing.assert_close(bgr, rgb.flip(1), rtol=0, atol=0)
    assert bgr.is_contiguous(memory_format=torch.channels_last_3d)
