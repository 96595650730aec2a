"""Applies the cap: at most 50 rows of a keyframe are scored, the highest over all its classes.

ActivityNet's code keeps them in a heap of (score, action_id, y1, x1, y2, x2) that a row enters,
once the heap is full, only with a score strictly above the lowest. Without ties at the cut that is
a plain selection; with them the order of rows decides, and the heap is replayed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import torch
from torch import Tensor

HeapEntries = Callable[[slice], list[tuple[float, ...]]]


def kept_under_cap(
    keyframes: Tensor, scores: Tensor, cap: int, heap_entries: HeapEntries
) -> Tensor:
    """Finds the rows that stay under the cap.

    Args:
        keyframes: int64 [R], ascending, rows in file order within each.
        scores: float64 [R].
        cap: Rows of a keyframe.
        heap_entries: Gives, for a slice of the rows, their tuples (score, action_id, y1, x1, y2,
            x2).

    Returns:
        bool [R].
    """
    keep = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
    counts = torch.bincount(keyframes)
    starts = counts.cumsum(0) - counts
    for size in torch.unique(counts[counts > cap]).tolist():
        first_rows = starts[counts == size]
        rows = first_rows[:, None] + torch.arange(size, device=scores.device)
        block = scores[rows]
        lowest = torch.topk(block, cap, dim=1, sorted=False).values.amin(1, keepdim=True)
        chosen = block >= lowest
        keep[rows] = chosen
        unclear = (chosen.sum(1) != cap) | block.isnan().any(1)
        for first in first_rows[unclear].tolist():
            span = slice(first, first + size)
            keep[span] = _replay(heap_entries(span), cap).to(keep.device)
    return keep


def _replay(entries: list[tuple[float, ...]], cap: int) -> Tensor:
    heap: list[tuple[float, ...]] = []
    for row, entry in enumerate(entries):
        if len(heap) < cap:
            heapq.heappush(heap, (*entry, row))
        elif entry[0] > heap[0][0]:
            heapq.heapreplace(heap, (*entry, row))
    keep = torch.zeros(len(entries), dtype=torch.bool)
    keep[[int(entry[-1]) for entry in heap]] = True
    return keep
