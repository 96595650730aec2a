"""Training only: which predictions answer for which labeled box, and which of them the loss looks
at.
"""

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
    """Assigns labeled boxes [M, 4] to candidates [N, 4] by intersection over union.

    Args:
        low, high: below `low` a candidate is background, from `high` foreground, between them
        ignored. keep_best: the candidates that overlap a labeled box most are foreground however
        little it is.

    Returns:
        nearest: int64 [N], the labeled box each candidate overlaps most (0 where there is none at
        all), and kind: int64 [N] of FOREGROUND, BACKGROUND and IGNORED.
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
    """[M, N], one labeled box at a time: [M, N, 2] temporaries of 200,000 anchors are what
    training waits for.
    """
    area = compute_area(candidates)
    rows = []
    for box, own_area in zip(labeled, compute_area(labeled), strict=True):
        width = (candidates[:, 2].minimum(box[2]) - candidates[:, 0].maximum(box[0])).clamp(min=0)
        height = (candidates[:, 3].minimum(box[3]) - candidates[:, 1].maximum(box[1])).clamp(min=0)
        shared = width * height
        rows.append(shared / (area + own_area - shared).clamp(min=1e-12))
    return torch.stack(rows)


def sample(kind: Tensor, count: int, foreground_share: float) -> tuple[Tensor, Tensor]:
    """At most `count` random indices, of which at most `foreground_share` foreground: (foreground,
    background).
    """
    foreground = (kind == FOREGROUND).nonzero()[:, 0]
    background = (kind == BACKGROUND).nonzero()[:, 0]
    num_foreground = min(len(foreground), int(count * foreground_share))
    num_background = min(len(background), count - num_foreground)
    chosen = torch.randperm(len(foreground), device=kind.device)[:num_foreground]
    others = torch.randperm(len(background), device=kind.device)[:num_background]
    return foreground[chosen], background[others]
