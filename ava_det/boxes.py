"""Pure functions on boxes: float tensors [N, 4], xyxy. Nothing here knows about frames, files or
models.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import box_iou, clip_boxes_to_image


def compute_area(boxes: Tensor) -> Tensor:
    """Areas [N]; a box whose corners are swapped has area 0."""
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    return size[:, 0] * size[:, 1]


def compute_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union [N, M] of boxes [N, 4] and [M, 4]; 0 where both areas are 0."""
    return box_iou(first, second).nan_to_num(nan=0.0)


def clip_boxes(boxes: Tensor, width: float, height: float) -> Tensor:
    """Moves the corners that stand outside [0, width] x [0, height] onto its edge."""
    return clip_boxes_to_image(boxes, (height, width))


def scale_boxes(boxes: Tensor, width: float, height: float) -> Tensor:
    """Multiplies x by `width` and y by `height`: fractions to pixels, or pixels of one size to
    another.
    """
    return boxes * boxes.new_tensor([width, height, width, height])


def place_as_pyslowfast(
    boxes: Tensor, width: int, height: int, new_width: int, new_height: int
) -> Tensor:
    """The rounding that PySlowFast's weights saw: fractions of a `width` x `height` picture to
    fractions of it resized.

    Corners are kept within the last pixel (width - 1, height - 1) before and after, and both axes
    grow by the ratio of the longer sides, of which the resized one was rounded down.
    """
    ratio = new_width / width if height < width else new_height / height
    pixels = clip_boxes(scale_boxes(boxes, width, height), width - 1, height - 1) * ratio
    return normalize_boxes(clip_boxes(pixels, new_width - 1, new_height - 1), new_width, new_height)


def normalize_boxes(boxes: Tensor, width: float, height: float) -> Tensor:
    """Pixels of a [height, width] frame to fractions 0..1."""
    return boxes / boxes.new_tensor([width, height, width, height])


def flip_boxes(boxes: Tensor, width: float) -> Tensor:
    """Mirrors boxes left to right in a frame of `width` (1.0 for normalized boxes)."""
    x1, y1, x2, y2 = boxes.unbind(dim=1)
    return torch.stack((width - x2, y1, width - x1, y2), dim=1)


def jitter_boxes(boxes: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """Moves every edge by a uniform share, at most `fraction`, of the box's own width or height."""
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    offset = torch.rand(boxes.shape, generator=generator, dtype=boxes.dtype) * 2 - 1
    return boxes + offset * fraction * size
