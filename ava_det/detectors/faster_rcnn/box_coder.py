"""Encodes boxes as offsets from other boxes, which is what both heads of the detector predict."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Weights = tuple[float, float, float, float]

ANCHOR_WEIGHTS: Weights = (1.0, 1.0, 1.0, 1.0)
# These bring the box head's targets near unit variance (Fast R-CNN).
PROPOSAL_WEIGHTS: Weights = (10.0, 10.0, 5.0, 5.0)
# A prediction enlarges a box by at most this factor, so that exp() stays finite.
MAX_LOG_SCALE = math.log(1000 / 16)


def encode_boxes(boxes: Tensor, origins: Tensor, weights: Weights) -> Tensor:
    """Computes the offsets that turn `origins` into `boxes`.

    Args:
        boxes: [N, 4], xyxy, with sides > 0.
        origins: [N, 4], xyxy, with sides > 0.
        weights: Factors of the four offsets.

    Returns:
        Offsets [N, 4] (dx, dy, dw, dh).
    """
    x, y, width, height = _to_centers(origins)
    target_x, target_y, target_width, target_height = _to_centers(boxes)
    weight_x, weight_y, weight_width, weight_height = weights
    return torch.stack(
        (
            weight_x * (target_x - x) / width,
            weight_y * (target_y - y) / height,
            weight_width * torch.log(target_width / width),
            weight_height * torch.log(target_height / height),
        ),
        dim=1,
    )


def decode_boxes(offsets: Tensor, origins: Tensor, weights: Weights) -> Tensor:
    """Computes the boxes that offsets describe, always in float32.

    16-bit types cannot hold the pixel coordinates of a large image exactly.

    Args:
        offsets: [..., K, 4].
        origins: [..., 4], xyxy; each is the origin of K boxes.
        weights: Factors of the four offsets, as in `encode_boxes`.

    Returns:
        Boxes float32 [..., K, 4], xyxy.
    """
    offsets = offsets.float()
    origins = origins.float()
    x, y, width, height = (value.unsqueeze(-1) for value in _to_centers(origins))
    dx, dy, dw, dh = (
        offset / weight for offset, weight in zip(offsets.unbind(-1), weights, strict=True)
    )
    center_x = dx * width + x
    center_y = dy * height + y
    new_width = torch.exp(dw.clamp(max=MAX_LOG_SCALE)) * width
    new_height = torch.exp(dh.clamp(max=MAX_LOG_SCALE)) * height
    half_width = 0.5 * new_width
    half_height = 0.5 * new_height
    return torch.stack(
        (
            center_x - half_width,
            center_y - half_height,
            center_x + half_width,
            center_y + half_height,
        ),
        dim=-1,
    )


def _to_centers(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(-1)
    width = x2 - x1
    height = y2 - y1
    return x1 + 0.5 * width, y1 + 0.5 * height, width, height
