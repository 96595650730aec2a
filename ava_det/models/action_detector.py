"""Backbone and head: clips in, logits out."""

from __future__ import annotations

from torch import Tensor, nn

from ava_det.models.classification_head import ClassificationHead
from ava_det.models.roi_head import RoIHead
from ava_det.models.slowfast import SlowFast


class ActionDetector(nn.Module):
    """What each person of a clip does: one row of logits per box."""

    def __init__(self, backbone: SlowFast, head: RoIHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(
        self, slow: Tensor | None = None, fast: Tensor | None = None, rois: Tensor | None = None
    ) -> Tensor:
        """slow [B, 3, T, H, W] and fast [B, 3, alpha*T, H, W], whichever the backbone reads,
        normalised RGB; rois float32 [K, 5] = (clip index, x1, y1, x2, y2) in clip pixels. Returns
        logits [K, num_classes].
        """
        return self.head(self.backbone(slow, fast), rois)

    def compute_features(
        self, slow: Tensor | None = None, fast: Tensor | None = None, rois: Tensor | None = None
    ) -> Tensor:
        """What the head's linear layers are given: float32 [K, D], one vector per box; inputs as in
        `forward`.
        """
        return self.head.pool(self.backbone(slow, fast), rois)


class ActionClassifier(nn.Module):
    """What happens in each clip as a whole (Kinetics): one row of logits per clip."""

    def __init__(self, backbone: SlowFast, head: ClassificationHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(
        self, slow: Tensor | None = None, fast: Tensor | None = None, rois: Tensor | None = None
    ) -> Tensor:
        """As `ActionDetector`, but `rois` is ignored. Returns logits [B, num_classes]."""
        return self.head(self.backbone(slow, fast))
