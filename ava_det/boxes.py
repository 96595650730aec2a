"""Computes with boxes: pure functions on float tensors [N, 4], xyxy.

No function here depends on frames, files or models.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def compute_area(boxes: Tensor) -> Tensor:
    """Computes areas [N]; a box whose corners are swapped has area 0."""
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    return size[:, 0] * size[:, 1]


def compute_iou(first: Tensor, second: Tensor) -> Tensor:
    """Computes intersection over union [N, M] of boxes [N, 4] and [M, 4].

    It is 0 where both areas are 0.
    """
    from torchvision.ops import box_iou  # slow, and every process that reads clips imports this

    iou: Tensor = box_iou(first, second).nan_to_num(nan=0.0)
    return iou


def clip_boxes(boxes: Tensor, width: float, height: float) -> Tensor:
    """Moves corners that are outside [0, width] x [0, height] to its edge."""
    return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))


def scale_boxes(boxes: Tensor, width: float, height: float) -> Tensor:
    """Multiplies x by `width` and y by `height`.

    This converts fractions to pixels, or pixels of one size to those of another.
    """
    return boxes * boxes.new_tensor([width, height, width, height])


def place_as_pyslowfast(
    boxes: Tensor, width: int, height: int, new_width: int, new_height: int
) -> Tensor:
    """Places boxes on a resized picture as PySlowFast does, with the rounding its weights saw.

    Corners are kept within the last pixel (width - 1, height - 1) before and after, and both axes
    are multiplied by the ratio of the longer sides, of which the resized one was rounded down.

    Args:
        boxes: Float [N, 4], xyxy, fractions of the picture.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        new_width: Of the resized picture, in pixels.
        new_height: Of the resized picture, in pixels.

    Returns:
        Float [N, 4], xyxy, fractions of the resized picture.
    """
    ratio = new_width / width if height < width else new_height / height
    pixels = clip_boxes(scale_boxes(boxes, width, height), width - 1, height - 1) * ratio
    return normalize_boxes(clip_boxes(pixels, new_width - 1, new_height - 1), new_width, new_height)


def place_as_videomae_ad(boxes: Tensor, width: int, height: int, has_margin: bool = True) -> Tensor:
    """Widens boxes as VideoMAE-Action-Detection and Unmasked Teacher do before RoIAlign.

    Corners are kept within the last pixel (width - 1, height - 1); each side then moves out by a
    tenth (x) or a twentieth (y) of half the box's size in pixels, and is kept within again.

    Args:
        boxes: Float [N, 4], xyxy, fractions of the picture.
        width: Of the resized picture, in pixels.
        height: Of the resized picture, in pixels.
        has_margin: Whether the sides move out; otherwise boxes are only kept within.

    Returns:
        Float [N, 4], xyxy, fractions of the resized picture.
    """
    pixels = clip_boxes(scale_boxes(boxes, width, height), width - 1, height - 1)
    if not has_margin:
        return normalize_boxes(pixels, width, height)
    size = pixels[:, 2:] - pixels[:, :2] + 1
    margin = size * pixels.new_tensor([0.1, 0.05]) / 2
    wider = torch.cat((pixels[:, :2] - margin, pixels[:, 2:] + margin), dim=1)
    return normalize_boxes(clip_boxes(wider, width - 1, height - 1), width, height)


def normalize_boxes(boxes: Tensor, width: float, height: float) -> Tensor:
    """Converts pixels of a [height, width] frame to fractions 0..1."""
    return boxes / boxes.new_tensor([width, height, width, height])


def flip_boxes(boxes: Tensor, width: float) -> Tensor:
    """Mirrors boxes left to right in a frame of `width` (1.0 for normalized boxes)."""
    x1, y1, x2, y2 = boxes.unbind(dim=1)
    return torch.stack((width - x2, y1, width - x1, y2), dim=1)


def jitter_boxes(boxes: Tensor, shares: Sequence[float], generator: torch.Generator) -> Tensor:
    """Moves every edge by a uniform share of the box's own width or height.

    Args:
        boxes: Float [N, 4], xyxy.
        shares: The largest shares: of the width out and in, of the height out and in.
        generator: Source of the random numbers.

    Returns:
        Float [N, 4], xyxy.
    """
    x_out, x_in, y_out, y_in = shares
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    low = boxes.new_tensor([-x_out, -y_out, -x_in, -y_in])
    high = boxes.new_tensor([x_in, y_in, x_out, y_out])
    drawn = torch.rand(boxes.shape, generator=generator, dtype=boxes.dtype)
    return boxes + (low + drawn * (high - low)) * size
