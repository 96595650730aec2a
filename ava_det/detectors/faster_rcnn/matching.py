"""Matches predictions with labeled boxes and samples them for the loss, in training only."""

from __future__ import annotations

import torch
from torch import Tensor

from ava_det.boxes import compute_area

FOREGROUND = 1
BACKGROUND = 0
IGNORED = -1


def match_boxes(
    candidates: Tensor, labeled: Tensor, low: float, high: float, keep_best: bool = False
) -> tuple[Tensor, Tensor]:
    """Assigns labeled boxes to candidates by intersection over union.

    Args:
        candidates: [N, 4], xyxy.
        labeled: [M, 4], xyxy.
        low: Below this IoU a candidate is background; from `low` to `high` it is ignored.
        high: From this IoU on a candidate is foreground.
        keep_best: Whether the candidates that overlap a labeled box most are foreground at any IoU.

    Returns:
        Int64 [N], the labeled box that each candidate overlaps most (0 where it overlaps none), and
        int64 [N] of FOREGROUND, BACKGROUND and IGNORED.
    """
    kind = torch.full((len(candidates),), BACKGROUND, device=candidates.device)
    if len(labeled) == 0:
        return torch.zeros_like(kind), kind
    iou = _compute_iou_columns(labeled, candidates)
    best, nearest = iou.max(dim=0)
    kind[best >= low] = IGNORED
    kind[best >= high] = FOREGROUND
    if keep_best:
        most = iou.max(dim=1, keepdim=True).values
        kind[((iou == most) & (most > 0)).any(dim=0)] = FOREGROUND
    return nearest, kind


def _compute_iou_columns(labeled: Tensor, candidates: Tensor) -> Tensor:
    """Computes IoU [M, N], one labeled box at a time.

    With 200,000 anchors, temporary tensors [M, N, 2] would take most of the time of training.
    """
    area = compute_area(candidates)
    rows = []
    for box, box_area in zip(labeled, compute_area(labeled), strict=True):
        width = (candidates[:, 2].minimum(box[2]) - candidates[:, 0].maximum(box[0])).clamp(min=0)
        height = (candidates[:, 3].minimum(box[3]) - candidates[:, 1].maximum(box[1])).clamp(min=0)
        shared = width * height
        rows.append(shared / (area + box_area - shared).clamp(min=1e-12))
    return torch.stack(rows)


def sample(kind: Tensor, count: int, foreground_share: float) -> tuple[Tensor, Tensor]:
    """Draws random candidates for the loss.

    Args:
        kind: int64 [N], as `match_boxes` returns it.
        count: Most indices, foreground and background together.
        foreground_share: Largest part of `count` that is foreground.

    Returns:
        Indices of foreground and indices of background candidates.
    """
    foreground = (kind == FOREGROUND).nonzero()[:, 0]
    background = (kind == BACKGROUND).nonzero()[:, 0]
    num_foreground = min(len(foreground), int(count * foreground_share))
    num_background = min(len(background), count - num_foreground)
    chosen = torch.randperm(len(foreground), device=kind.device)[:num_foreground]
    others = torch.randperm(len(background), device=kind.device)[:num_background]
    return foreground[chosen], background[others]
