"""The detection head: one feature vector per person box (section 5 of the SlowFast paper)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.models.precision import full_precision
from ava_det.models.roi_align import align_boxes


class RoIHead(nn.Module):
    """Classifies the actions of each box; gives logits, never scores.

    Pool over time -> RoIAlign -> spatial max -> dropout -> linear. The last three arguments are
    MMAction2's.

    Args:
        in_channels: Channels of each pathway's features.
        num_classes: Columns of the logits.
        feature_stride: Clip pixels per feature cell.
        aligned: Whether RoIAlign shifts by half a cell. Detectron2's does since 2019, weights that
            were published before do not; it changes the output, so each checkpoint records it.
        resolution: Cells per side of an aligned box.
        dropout: Share of features that training drops.
        time_pool: `mean` or `max`.
        context: Whether the whole clip's features are appended to each box's.
        hidden_layer: Whether one more linear layer and a ReLU come before the last layer.

    Attributes:
        num_features: Width of what `pool` gives for each box.
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
        self.num_features = width
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(width, width) if hidden_layer else None
        self.projection = nn.Linear(width, num_classes)
        for linear in (self.hidden, self.projection):
            if linear is not None:
                nn.init.normal_(linear.weight, std=0.01)
                nn.init.zeros_(linear.bias)

    def forward(self, features: Sequence[Tensor], rois: Tensor | None) -> Tensor:
        """Classifies the boxes of a batch of clips.

        Args:
            features: A tensor [B, C_i, T_i, h, w] per pathway.
            rois: Float [K, 5] = (clip index, x1, y1, x2, y2) in clip pixels. K may be 0, and boxes
                may leave the clip.

        Returns:
            Logits [K, num_classes].

        Raises:
            ValueError: rois are missing or have another shape.
        """
        return self.classify(self.pool(features, rois))

    def pool(self, features: Sequence[Tensor], rois: Tensor | None) -> Tensor:
        """Pools one float32 vector per box, [K, width]: the half of `forward` without weights."""
        rois = self.require_rois(rois)
        # Both poolings run in float32 even under autocast: box coordinates do not survive bfloat16.
        with full_precision(features[0]):
            return self._pool(features, rois.float())

    def require_rois(self, rois: Tensor | None) -> Tensor:
        """Returns the boxes, if they are [K, 5]; raises ValueError otherwise."""
        if rois is None or rois.ndim != 2 or rois.shape[1] != 5:
            received = "None" if rois is None else f"shape {list(rois.shape)}"
            raise ValueError(
                "rois: expected [K, 5] = (clip index, x1, y1, x2, y2) in clip pixels, "
                f"got {received}"
            )
        return rois

    def classify(self, vectors: Tensor) -> Tensor:
        """Turns the vectors [K, width] of `pool` into logits [K, num_classes]."""
        with full_precision(vectors):
            vectors = self.dropout(vectors.to(self.projection.weight.dtype))
            if self.hidden is not None:
                vectors = F.relu(self.hidden(vectors))
            logits: Tensor = self.projection(vectors)
            return logits

    def _pool(self, features: Sequence[Tensor], rois: Tensor) -> Tensor:
        """Pools one float32 vector per box, [K, sum of channels], doubled with context."""
        maps, aligned = self._align(features, rois)
        vectors = aligned.flatten(2).amax(dim=2)
        if self.context:
            whole = F.adaptive_avg_pool2d(maps, self.resolution).flatten(2).amax(dim=2)
            vectors = torch.cat([vectors, whole[rois[:, 0].long()]], dim=1)
        return vectors

    def _align(self, features: Sequence[Tensor], rois: Tensor) -> tuple[Tensor, Tensor]:
        """Pools the features over time to [B, C, h, w], and each box of them to [K, C, r, r]."""
        # RoIAlign works channel by channel, so one call serves all pathways.
        pool = torch.mean if self.time_pool == "mean" else torch.amax
        # Channels come last in the view, as they do in memory: torch is 60 times as slow in the
        # other order.
        rows = [pool(feature.float().permute(0, 2, 3, 4, 1), dim=1) for feature in features]
        maps = torch.cat(rows, dim=-1).permute(0, 3, 1, 2)
        aligned = align_boxes(maps, rois, self.resolution, 1 / self.feature_stride, self.aligned)
        return maps, aligned
