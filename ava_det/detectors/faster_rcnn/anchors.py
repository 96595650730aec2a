"""The boxes proposals start from: three shapes at every cell of every level."""

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
    """Anchors of each level, [H * W * 3, 4] xyxy pixels of the padded image, row by row, cell by
    cell.

    map_sizes: (H, W) of each level. sizes: the square root of the anchors' area on each level. They
    are centerd on the upper left corner of a cell and not rounded, unlike those of the first
    Detectron.
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
