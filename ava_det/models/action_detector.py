"""A backbone and a head: clips in, logits out."""

from __future__ import annotations

from torch import Tensor, nn

from ava_det.models.backbone import Backbone
from ava_det.models.classification_head import ClassificationHead
from ava_det.models.roi_head import RoIHead


class ActionDetector(nn.Module):
    """Scores what each person of a clip does: one row of logits per box."""

    def __init__(self, backbone: Backbone, head: RoIHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(
        self,
        slow: Tensor | None = None,
        fast: Tensor | None = None,
        rois: Tensor | None = None,
        flow: Tensor | None = None,
    ) -> Tensor:
        """Scores the boxes of a batch of clips.

        Args:
            slow: Normalized RGB [B, 3, T, H, W], where the backbone reads it.
            fast: Normalized RGB [B, 3, alpha*T, H, W], where the backbone reads it.
            rois: Float32 [K, 5] = (clip index, x1, y1, x2, y2) in clip pixels.
            flow: Normalized optical flow [B, 2 * L, T, H, W], where the backbone reads it.

        Returns:
            Logits [K, num_classes].
        """
        logits: Tensor = self.head(self.backbone(slow, fast, flow), rois)
        return logits

    def compute_features(
        self,
        slow: Tensor | None = None,
        fast: Tensor | None = None,
        rois: Tensor | None = None,
        flow: Tensor | None = None,
    ) -> Tensor:
        """Computes the input of the head's linear layers: float32 [K, D], one vector per box.

        The arguments are those of `forward`.
        """
        return self.head.pool(self.backbone(slow, fast, flow), rois)


class ActionClassifier(nn.Module):
    """Scores what happens in each clip as a whole (Kinetics): one row of logits per clip."""

    def __init__(self, backbone: Backbone, head: ClassificationHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(
        self,
        slow: Tensor | None = None,
        fast: Tensor | None = None,
        rois: Tensor | None = None,
        flow: Tensor | None = None,
    ) -> Tensor:
        """Returns logits [B, num_classes]; arguments as for `ActionDetector`, `rois` is ignored."""
        logits: Tensor = self.head(self.backbone(slow, fast, flow))
        return logits
