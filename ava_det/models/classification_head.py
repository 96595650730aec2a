"""The classification head of the Kinetics models (section 3.4 of the SlowFast paper)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ava_det.models.precision import full_precision


class ClassificationHead(nn.Module):
    """Classifies whole clips; gives logits, never scores.

    Global average pool of each pathway -> concat -> dropout -> linear. The pool spans whatever area
    the features have, so any input size gives one row per clip.

    Args:
        in_channels: Channels of each pathway's features.
        num_classes: Columns of the logits.
        dropout: Share of features that training drops.
        window: (time, height, width) of an average pool of stride 1 before the global one, cut to
            the size of the features. Where they are larger than the window, cells at the border
            count less than those inside; Inception networks are scored so.
        norm: Whether a LayerNorm comes between the pool and the dropout, as in VideoMAE.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        dropout: float = 0.5,
        window: tuple[int, int, int] | None = None,
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.window = window
        self.norm = nn.LayerNorm(sum(in_channels), eps=1e-6) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(sum(in_channels), num_classes)
        nn.init.normal_(self.projection.weight, std=0.01)
        nn.init.zeros_(self.projection.bias)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Returns logits [B, num_classes]. features: a tensor [B, C_i, T_i, h, w] per pathway."""
        with full_precision(features[0]):
            pooled = torch.cat([self._pool(feature.float()) for feature in features], dim=1)
            vectors = self.norm(pooled.to(self.projection.weight.dtype))
            logits: Tensor = self.projection(self.dropout(vectors))
            return logits

    def _pool(self, feature: Tensor) -> Tensor:
        """Pools a float32 map [B, C, T, h, w] to [B, C]."""
        if self.window is not None:
            for length in reversed(self.window):
                feature = feature @ _weigh_cells(feature.shape[-1], length, feature.device)
            return feature
        return feature.mean(dim=(2, 3, 4))


def _weigh_cells(size: int, length: int, device: torch.device) -> Tensor:
    """Returns what each of `size` cells in a row counts, float32 [size] of sum 1.

    It is the number of windows that hold the cell, where a window of `length` cells, or of all if
    there are fewer, moves by one. Written without a branch on the size, so that an exported network
    is right at every size.
    """
    cells = torch.arange(size, device=device)
    most = (torch.full((), size - length + 1, device=device)).clamp(1, length)
    counts = torch.minimum(torch.minimum(cells + 1, size - cells), most).float()
    return counts / counts.sum()
