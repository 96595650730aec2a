"""The detection head: one feature vector per person box (section 5 of the SlowFast paper)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from ava_det.models.precision import full_precision


class RoIHead(nn.Module):
    """Pool over time -> RoIAlign -> spatial max -> dropout -> linear; logits, never scores.

    in_channels: of each pathway's features. feature_stride: clip pixels per feature cell.
    resolution: cells per side of an aligned box. aligned: shift by half a cell, as Detectron2's
    RoIAlign does since 2019 and published weights before it did not; it changes the output, so each
    checkpoint records it. The rest is MMAction2's: time_pool "max" instead of "mean"; context
    appends the whole clip's features to each box's; hidden_layer puts one more linear layer and a
    ReLU before the last.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        feature_stride: int,
        *,
        aligned: bool = True,
        resolution: int = 7,
        dropout: float = 0.5,
        time_pool: str = "mean",
        context: bool = False,
        hidden_layer: bool = False,
    ) -> None:
        super().__init__()
        if time_pool not in ("mean", "max"):
            raise ValueError(f"time_pool is {time_pool!r}, expected mean or max")
        self.feature_stride = feature_stride
        self.aligned = aligned
        self.resolution = resolution
        self.time_pool = time_pool
        self.context = context
        width = sum(in_channels) * (2 if context else 1)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(width, width) if hidden_layer else None
        self.projection = nn.Linear(width, num_classes)
        for linear in (self.hidden, self.projection):
            if linear is not None:
                nn.init.normal_(linear.weight, std=0.01)
                nn.init.zeros_(linear.bias)

    def forward(self, features: Sequence[Tensor], rois: Tensor | None) -> Tensor:
        """features: [B, C_i, T_i, h, w] each; rois: [K, 5] = (clip index, x1, y1, x2, y2) in clip
        pixels.

        Returns logits [K, num_classes]; K may be 0, and boxes may leave the clip.
        Raises ValueError if rois are missing or have another shape.
        """
        return self.classify(self.pool(features, rois))

    def pool(self, features: Sequence[Tensor], rois: Tensor | None) -> Tensor:
        """The first half of `forward`, in which nothing is learned: one float32 vector per box, [K,
        width].
        """
        if rois is None or rois.ndim != 2 or rois.shape[1] != 5:
            received = "None" if rois is None else f"shape {list(rois.shape)}"
            raise ValueError(
                f"rois: expected [K, 5] = (clip index, x1, y1, x2, y2) in clip pixels, got {received}"
            )
        # Both poolings run in float32 even under autocast: box coordinates do not survive bfloat16.
        with full_precision(features[0]):
            return self._pool(features, rois.float())

    def classify(self, vectors: Tensor) -> Tensor:
        """The second half of `forward`: vectors [K, width] of `pool` to logits [K, num_classes]."""
        with full_precision(vectors):
            vectors = self.dropout(vectors.to(self.projection.weight.dtype))
            if self.hidden is not None:
                vectors = F.relu(self.hidden(vectors))
            return self.projection(vectors)

    def _pool(self, features: Sequence[Tensor], rois: Tensor) -> Tensor:
        """One float32 vector per box, [K, sum of channels], doubled with context."""
        # RoIAlign works channel by channel, so one call serves all pathways.
        pool = torch.mean if self.time_pool == "mean" else torch.amax
        # with channels last in view as they are in memory: torch reduces the other order sixty
        # times as slowly
        rows = [pool(feature.float().permute(0, 2, 3, 4, 1), dim=1) for feature in features]
        maps = torch.cat(rows, dim=-1).permute(0, 3, 1, 2)
        aligned = roi_align(
            maps,
            rois,
            output_size=self.resolution,
            spatial_scale=1.0 / self.feature_stride,
            sampling_ratio=0,
            aligned=self.aligned,
        )
        vectors = aligned.flatten(2).amax(dim=2)
        if self.context:
            whole = F.adaptive_avg_pool2d(maps, self.resolution).flatten(2).amax(dim=2)
            vectors = torch.cat([vectors, whole[rois[:, 0].long()]], dim=1)
        return vectors
