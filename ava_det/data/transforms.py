"""Frames and boxes together: resize, crop, flip, and the step from uint8 to what the network reads.

Geometry happens on uint8 frames, where a crop or a flip is only another view; numbers become float
once, on the device.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from ava_det.boxes import clip_boxes, flip_boxes, jitter_boxes, scale_boxes
from ava_det.data.color import ColorChange, change_colors, draw_color_change
from ava_det.structures import ClipBatch
from ava_det.video.pictures import resize_short_side

MID_GRAY = 115  # nearly 0 when normalized


@dataclass
class Augmentation:
    """How one clip is looked at.

    short_side: pixels. crop_size: of a square crop, or None for the whole frame. crop_x, crop_y:
    0..1, where the crop stands between left (top) and right (bottom). flip: mirrored left to right.
    box_jitter: share of a box's own size. color: of all frames alike, or None for the colors
    there are.
    """

    short_side: int
    crop_size: int | None = None
    crop_x: float = 0.5
    crop_y: float = 0.5
    flip: bool = False
    box_jitter: float = 0.0
    color: ColorChange | None = None


def evaluation_augmentation(generator: torch.Generator, short_side: int) -> Augmentation:
    """The whole frame at `short_side`, whatever the generator: the paper's test-time view."""
    return Augmentation(short_side)


def draw_training_augmentation(
    short_sides: tuple[int, int],
    crop_size: int | None,
    flip: bool,
    box_jitter: float,
    generator: torch.Generator,
    colour_jitter: float = 0.0,
    lighting: float = 0.0,
) -> Augmentation:
    """A random view: short side with 1 / side uniform between its bounds (as the released models),
    crop, flip, and colors (`draw_color_change`).
    """
    draw = torch.rand(4, generator=generator).tolist()
    low = 1 / short_sides[1]
    high = 1 / short_sides[0]
    short_side = round(1 / (low + draw[0] * (high - low)))
    color = draw_color_change(colour_jitter, lighting, generator)
    return Augmentation(
        short_side, crop_size, draw[1], draw[2], flip and draw[3] < 0.5, box_jitter, color
    )


def apply_augmentation(
    frames: np.ndarray, boxes: Tensor, view: Augmentation, generator: torch.Generator
) -> tuple[np.ndarray, Tensor]:
    """uint8 RGB [T, H, W, 3] and normalized boxes [N, 4] to the view's uint8 [T, h, w, 3] and pixel
    boxes [N, 4].

    Boxes are clipped to the view; one that lies wholly outside keeps its row with no area.
    """
    if min(frames.shape[1:3]) != view.short_side:
        frames = np.stack([resize_short_side(frame, view.short_side) for frame in frames])
    height, width = frames.shape[1:3]
    boxes = scale_boxes(boxes, width, height)
    if view.box_jitter:
        boxes = jitter_boxes(boxes, view.box_jitter, generator)
    if view.crop_size is not None:
        left = round(view.crop_x * (width - view.crop_size))
        top = round(view.crop_y * (height - view.crop_size))
        frames = frames[:, top : top + view.crop_size, left : left + view.crop_size]
        boxes = boxes - boxes.new_tensor([left, top, left, top])
        height = view.crop_size
        width = view.crop_size
    if view.flip:
        frames = frames[:, :, ::-1]
        boxes = flip_boxes(boxes, width)
    if view.color is not None:
        frames = change_colors(frames, view.color)
    return np.ascontiguousarray(frames), clip_boxes(boxes, width, height)


def normalize_batch(
    batch: ClipBatch, mean: list[float], std: list[float], device: torch.device
) -> ClipBatch:
    """Moves a uint8 batch to `device` and makes its clips float32, (x / 255 - mean) / std, channels
    last in memory.
    """

    def normalize(frames: Tensor | None) -> Tensor | None:
        if frames is None:
            return None
        frames = frames.to(device, non_blocking=True).to(
            torch.float32, memory_format=torch.channels_last_3d
        )
        # made here and sent without waiting: a tensor made on a GPU from numbers waits for all its
        # work
        scale = torch.tensor([1 / (255 * value) for value in std]).to(device, non_blocking=True)
        shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)]).to(
            device, non_blocking=True
        )
        # of memory passes, the fewest
        return frames.mul_(scale[:, None, None, None]).add_(shift[:, None, None, None])

    labels = None if batch.labels is None else batch.labels.to(device, non_blocking=True)
    rois = batch.rois.to(device, non_blocking=True)
    return ClipBatch(normalize(batch.slow), normalize(batch.fast), rois, labels, batch.keyframes)


# OpenCV's own threads fight with the loader's processes for the same cores.
cv2.setNumThreads(0)
