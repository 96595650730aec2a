"""Transforms frames and boxes together: resize, crop, flip and normalize.

Geometry is done on uint8 frames, where a crop or a flip is only a view of the array; they become
float once, on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from ava_det.boxes import clip_boxes, flip_boxes, jitter_boxes, scale_boxes
from ava_det.data.color import ColorChange, change_colors, draw_color_change
from ava_det.data.feature_bank import FeatureBank
from ava_det.data.hsv import NO_HSV_JITTER, HsvChange, change_hsv, draw_hsv_change
from ava_det.structures import ClipBatch
from ava_det.video.pictures import resize_short_side

MID_GRAY = 115  # nearly 0 when normalized
NO_BOX_JITTER = (0.0, 0.0, 0.0, 0.0)


@dataclass
class Augmentation:
    """Describes how one clip is resized, cropped, flipped and colored.

    Attributes:
        short_side: Shorter side of the resized frames, in pixels.
        crop_size: Side of a square crop in pixels, or None for the whole frame.
        crop_x: Position of the crop, 0 at the left and 1 at the right.
        crop_y: Position of the crop, 0 at the top and 1 at the bottom.
        flip: Whether frames are mirrored left to right.
        box_jitter: Shares of a box by which its sides may move, as for `jitter_boxes`.
        color: Change of colors, the same for all frames, or None for none.
        hsv: Change of hue, saturation and value after it, likewise.
    """

    short_side: int
    crop_size: int | None = None
    crop_x: float = 0.5
    crop_y: float = 0.5
    flip: bool = False
    box_jitter: tuple[float, float, float, float] = NO_BOX_JITTER
    color: ColorChange | None = None
    hsv: HsvChange | None = None


def evaluation_augmentation(generator: torch.Generator, short_side: int) -> Augmentation:
    """Returns the augmentation of the paper's test: the whole frame at `short_side`."""
    return Augmentation(short_side)


def draw_training_augmentation(
    short_sides: tuple[int, int],
    crop_size: int | None,
    flip: bool,
    box_jitter: tuple[float, float, float, float],
    generator: torch.Generator,
    color_jitter: float = 0.0,
    lighting: float = 0.0,
    hsv_jitter: Sequence[float] = NO_HSV_JITTER,
) -> Augmentation:
    """Draws a random augmentation for training.

    Args:
        short_sides: Bounds of the short side in pixels; 1 / side is uniform between them, as in the
            released models.
        crop_size: Side of a square crop in pixels, or None for the whole frame.
        flip: Whether half of the clips are mirrored.
        box_jitter: Shares of a box by which its sides may move, as for `jitter_boxes`.
        generator: Source of the random numbers.
        color_jitter: As `draw_color_change`'s jitter.
        lighting: As for `draw_color_change`.
        hsv_jitter: As `draw_hsv_change`'s limits.
    """
    draw = torch.rand(4, generator=generator).tolist()
    low = 1 / short_sides[1]
    high = 1 / short_sides[0]
    short_side = round(1 / (low + draw[0] * (high - low)))
    color = draw_color_change(color_jitter, lighting, generator)
    hsv = draw_hsv_change(hsv_jitter, generator)
    is_mirrored = flip and draw[3] < 0.5
    return Augmentation(
        short_side, crop_size, draw[1], draw[2], is_mirrored, box_jitter, color, hsv
    )


def apply_augmentation(
    frames: np.ndarray, boxes: Tensor, view: Augmentation, generator: torch.Generator
) -> tuple[np.ndarray, Tensor]:
    """Applies an augmentation to the frames and boxes of a clip.

    Boxes are clipped to the result; one that lies wholly outside keeps its row and has no area.

    Args:
        frames: uint8 RGB [T, H, W, 3].
        boxes: float32 [N, 4], xyxy in fractions of the frame.
        view: The augmentation.
        generator: Source of the boxes' jitter.

    Returns:
        uint8 RGB [T, h, w, 3], and boxes [N, 4], xyxy in pixels of it.
    """
    if min(frames.shape[1:3]) != view.short_side:
        frames = np.stack([resize_short_side(frame, view.short_side) for frame in frames])
    height, width = frames.shape[1:3]
    boxes = scale_boxes(boxes, width, height)
    if any(view.box_jitter):
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
    if view.hsv is not None:
        frames = change_hsv(frames, view.hsv)
    return np.ascontiguousarray(frames), clip_boxes(boxes, width, height)


def normalize_batch(
    batch: ClipBatch,
    mean: list[float],
    std: list[float],
    device: torch.device,
    channel_order: str = "rgb",
    bank: FeatureBank | None = None,
) -> ClipBatch:
    """Moves a uint8 batch to a device and normalizes its clips.

    Args:
        batch: Clips of uint8 RGB.
        mean: Mean of R, G and B in 0..1.
        std: Standard deviation of R, G and B in 0..1.
        device: Where the batch goes.
        channel_order: `rgb`, or `bgr`, which reverses the channels of the result.
        bank: Gives the features around each keyframe, for a network that reads them.

    Returns:
        Clips of float32, (x / 255 - mean) / std, with channels last in memory.
    """
    statistics = list(zip(mean, std, strict=True))
    if channel_order == "bgr":
        statistics.reverse()

    def normalize(frames: Tensor | None) -> Tensor | None:
        """Moves and normalizes the clips of one pathway."""
        if frames is None:
            return None
        frames = frames.to(device, non_blocking=True)
        if channel_order == "bgr":
            frames = frames.flip(1)
        frames = frames.to(torch.float32, memory_format=torch.channels_last_3d)
        # made on the CPU and sent without waiting: making a tensor on a GPU from numbers waits
        # for all work queued there
        scale = torch.tensor([1 / (255 * value) for _, value in statistics]).to(
            device, non_blocking=True
        )
        shift = torch.tensor([-m / s for m, s in statistics]).to(device, non_blocking=True)
        # in place: the fewest passes over memory
        return frames.mul_(scale[:, None, None, None]).add_(shift[:, None, None, None])

    labels = None if batch.labels is None else batch.labels.to(device, non_blocking=True)
    rois = batch.rois.to(device, non_blocking=True)
    long_term = None
    if bank is not None:
        long_term = bank.cut_out_batch(batch.keyframes).to(device, non_blocking=True)
    slow, fast = (normalize(frames) for frames in (batch.slow, batch.fast))
    return replace(batch, slow=slow, fast=fast, rois=rois, labels=labels, long_term=long_term)


# OpenCV's own threads would compete with the loader's processes for the same cores.
cv2.setNumThreads(0)
