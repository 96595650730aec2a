"""RoIAlign with a fast gradient on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.ops import roi_align


def align_boxes(
    maps: Tensor, rois: Tensor, resolution: int, spatial_scale: float, aligned: bool
) -> Tensor:
    """Computes torchvision's RoIAlign, with as many samples in a bin as it has cells.

    Args:
        maps: Float32 [B, C, h, w].
        rois: Float32 [K, 5] = (map index, x1, y1, x2, y2) in pixels.
        resolution: Bins per side of a box.
        spatial_scale: Cells per pixel.
        aligned: Whether boxes are shifted by half a cell.

    Returns:
        [K, C, resolution, resolution].
    """
    pooled: Tensor
    if maps.device.type == "cpu" and maps.requires_grad and torch.is_grad_enabled():
        pooled = _RoIAlign.apply(maps, rois, resolution, spatial_scale, aligned)
        return pooled
    pooled = roi_align(maps, rois, resolution, spatial_scale, 0, aligned)
    return pooled


class _RoIAlign(torch.autograd.Function):
    """Computes the gradient by a matrix product for each box.

    Each bin is a weighted mean of cells, with the same weights in every channel. RoIAlign of the
    unit maps, which are 1 in one cell and 0 in the others, gives these weights. torchvision's
    gradient computes them anew for each of hundreds of channels, in one thread.
    """

    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        rois: Tensor,
        resolution: int,
        spatial_scale: float,
        aligned: bool,
    ) -> Tensor:
        ctx.save_for_backward(rois)
        ctx.size = maps.shape
        ctx.options = resolution, spatial_scale, 0, aligned
        pooled: Tensor = roi_align(maps, rois, *ctx.options)
        return pooled

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (rois,) = ctx.saved_tensors
        clips, channels, height, width = ctx.size
        cells = height * width
        unit_maps = torch.eye(cells, dtype=gradient.dtype).view(1, cells, height, width)
        on_unit_maps = rois.clone()
        on_unit_maps[:, 0] = 0
        weights = roi_align(unit_maps, on_unit_maps, *ctx.options).flatten(2)
        # [K, cells, bins] x [K, bins, C]
        of_boxes = weights @ gradient.flatten(2).transpose(1, 2)
        of_maps = gradient.new_zeros(clips, cells, channels)
        of_maps.index_add_(0, rois[:, 0].long(), of_boxes)
        return (
            of_maps.view(clips, height, width, channels).permute(0, 3, 1, 2),
            None,
            None,
            None,
            None,
        )
