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
from ava_det.data.clip_pixels import ClipPixels
from ava_det.data.color import ColorChange, change_colors, draw_color_change
from ava_det.data.feature_bank import FeatureBank
from ava_det.data.hsv import NO_HSV_JITTER, HsvChange, change_hsv, draw_hsv_change
from ava_det.flow.coding import LEVELS, flip_coded, resize_coded
from ava_det.structures import ClipBatch
from ava_det.video.pictures import compute_resized_size, resize_short_side

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
    pixels: ClipPixels, boxes: Tensor, view: Augmentation, generator: torch.Generator
) -> tuple[ClipPixels, Tensor]:
    """Applies an augmentation to the pixels and boxes of a clip.

    Optical flow is resized, cut and mirrored with its frames, its values with it; colors leave it
    alone. Boxes are clipped to the result; one that lies wholly outside keeps its row and has no
    area.

    Args:
        pixels: The clip.
        boxes: float32 [N, 4], xyxy in fractions of the frame.
        view: The augmentation.
        generator: Source of the boxes' jitter.

    Returns:
        The clip of another size, and boxes [N, 4], xyxy in pixels of it.
    """
    pixels = _resize(pixels, view.short_side)
    width, height = pixels.size
    boxes = scale_boxes(boxes, width, height)
    if any(view.box_jitter):
        boxes = jitter_boxes(boxes, view.box_jitter, generator)
    frames, flow = pixels.frames, pixels.flow
    if view.crop_size is not None:
        left = round(view.crop_x * (width - view.crop_size))
        top = round(view.crop_y * (height - view.crop_size))
        width = height = view.crop_size
        inside = slice(top, top + height), slice(left, left + width)
        frames = None if frames is None else frames[:, *inside]
        flow = None if flow is None else flow[:, :, *inside]
        boxes = boxes - boxes.new_tensor([left, top, left, top])
    if view.flip:
        frames = None if frames is None else frames[:, :, ::-1]
        flow = None if flow is None else flip_coded(flow)
        boxes = flip_boxes(boxes, width)
    if frames is not None:
        frames = np.ascontiguousarray(_change_colors(frames, view))
    flow = None if flow is None else np.ascontiguousarray(flow)
    return ClipPixels(frames, flow), clip_boxes(boxes, width, height)


def _resize(pixels: ClipPixels, short_side: int) -> ClipPixels:
    """Resizes a clip to a shorter side in pixels."""
    if min(pixels.size) == short_side:
        return pixels
    frames, flow = pixels.frames, pixels.flow
    if frames is not None:
        frames = np.stack([resize_short_side(frame, short_side) for frame in frames])
    if flow is not None:
        size = compute_resized_size(*pixels.size, short_side)
        fields = [resize_coded(field, *size) for field in flow.swapaxes(0, 1)]
        flow = np.stack(fields, axis=1)
    return ClipPixels(frames, flow)


def _change_colors(frames: np.ndarray, view: Augmentation) -> np.ndarray:
    """Applies the changes of color of a view."""
    if view.color is not None:
        frames = change_colors(frames, view.color)
    if view.hsv is not None:
        frames = change_hsv(frames, view.hsv)
    return frames


@dataclass(frozen=True)
class FlowScale:
    """Describes how coded optical flow becomes what a network reads.

    Attributes:
        flow_range: Of the coding, pixels a step.
        mean: Mean of u and of v, pixels a step.
        std: Standard deviation of u and of v, pixels a step.
        stack: Fields of a frame.
    """

    flow_range: float
    mean: Sequence[float]
    std: Sequence[float]
    stack: int


def normalize_batch(
    batch: ClipBatch,
    mean: list[float],
    std: list[float],
    device: torch.device,
    channel_order: str = "rgb",
    bank: FeatureBank | None = None,
    flow_scale: FlowScale | None = None,
) -> ClipBatch:
    """Moves a uint8 batch to a device and normalizes its clips.

    Args:
        batch: Clips of uint8 RGB, and of coded optical flow where the network reads it.
        mean: Mean of R, G and B in 0..1.
        std: Standard deviation of R, G and B in 0..1.
        device: Where the batch goes.
        channel_order: `rgb`, or `bgr`, which reverses the channels of the result.
        bank: Gives the features around each keyframe, for a network that reads them.
        flow_scale: Of the optical flow; is needed where there is some.

    Returns:
        Clips of float32, (x / 255 - mean) / std, with channels last in memory, and flow
        [B, 2 * stack, T, H, W], (pixels a step - mean) / std.
    """
    statistics = list(zip(mean, std, strict=True))
    if channel_order == "bgr":
        statistics.reverse()
    scales = [1 / (255 * value) for _, value in statistics]
    shifts = [-middle / value for middle, value in statistics]

    def normalize(frames: Tensor | None) -> Tensor | None:
        """Moves and normalizes the clips of one pathway."""
        if frames is None:
            return None
        frames = frames.to(device, non_blocking=True)
        return _scale(frames.flip(1) if channel_order == "bgr" else frames, scales, shifts)

    labels = None if batch.labels is None else batch.labels.to(device, non_blocking=True)
    rois = batch.rois.to(device, non_blocking=True)
    long_term = None
    if bank is not None:
        long_term = bank.cut_out_batch(batch.keyframes).to(device, non_blocking=True)
    slow, fast = (normalize(frames) for frames in (batch.slow, batch.fast))
    ready = replace(batch, slow=slow, fast=fast, rois=rois, labels=labels, long_term=long_term)
    if batch.flow is None:
        return ready
    assert flow_scale is not None
    flow = normalize_flow(batch.flow.to(device, non_blocking=True), flow_scale)
    return replace(ready, flow=flow, u_at_rest=-flow_scale.mean[0] / flow_scale.std[0])


def normalize_flow(coded: Tensor, scale: FlowScale) -> Tensor:
    """Stacks the fields of each frame in its channels and normalizes them.

    Args:
        coded: uint8 [B, 2, T * L, H, W], the L fields of a frame one after the other.
        scale: Its stack is L.

    Returns:
        float32 [B, 2 * L, T, H, W], channels u and v of the first field, then of the next, with
        channels last in memory.
    """
    batch, _, fields, height, width = coded.shape
    frames = coded.reshape(batch, 2, fields // scale.stack, scale.stack, height, width)
    stacked = frames.permute(0, 3, 1, 2, 4, 5).flatten(1, 2)
    level = 2 * scale.flow_range / LEVELS
    scales = [level / value for value in scale.std]
    shifts = [
        -(scale.flow_range + middle) / value
        for middle, value in zip(scale.mean, scale.std, strict=True)
    ]
    return _scale(stacked, scales * scale.stack, shifts * scale.stack)


def _scale(frames: Tensor, scales: list[float], shifts: list[float]) -> Tensor:
    """Returns frames * scales + shifts of each channel, float32 with channels last in memory."""
    # made on the CPU and sent without waiting: making a tensor on a GPU from numbers waits for all
    # work queued there
    scale, shift = (
        torch.tensor(values).to(frames.device, non_blocking=True)[:, None, None, None]
        for values in (scales, shifts)
    )
    # in place: the fewest passes over memory
    return frames.to(torch.float32, memory_format=torch.channels_last_3d).mul_(scale).add_(shift)


# OpenCV's own threads would compete with the loader's processes for the same cores.
cv2.setNumThreads(0)
