"""Makes the anchors that proposals start from: three shapes at every cell of every level."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

ASPECT_RATIOS = (0.5, 1.0, 2.0)  # height / width


def make_anchors(
    map_sizes: Sequence[tuple[int, int]],
    strides: Sequence[int],
    sizes: Sequence[float],
    device: torch.device,
) -> list[Tensor]:
    """Makes the anchors of each level, centered on the upper left corner of each cell.

    They are not rounded, unlike those of the first Detectron.

    Args:
        map_sizes: (H, W) of each level, in cells.
        strides: Pixels per cell of each level.
        sizes: Square root of the anchors' area on each level, in pixels.
        device: Of the result.

    Returns:
        A tensor [H * W * 3, 4] per level, xyxy in pixels of the padded image, row by row and cell
        by cell.
    """
    levels = []
    for (height, width), stride, size in zip(map_sizes, strides, sizes, strict=True):
        shapes = torch.tensor([_make_shape(size, ratio) for ratio in ASPECT_RATIOS], device=device)
        x = torch.arange(0, width * stride, stride, dtype=torch.float32, device=device)
        y = torch.arange(0, height * stride, stride, dtype=torch.float32, device=device)
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        corners = torch.stack((columns, rows, columns, rows), dim=-1).reshape(-1, 1, 4)
        levels.append((corners + shapes).reshape(-1, 4))
    return levels


def _make_shape(size: float, ratio: float) -> list[float]:
    width = math.sqrt(size**2 / ratio)
    height = ratio * width
    return [-width / 2, -height / 2, width / 2, height / 2]
