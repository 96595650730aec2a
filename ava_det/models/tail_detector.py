"""Scores boxes as Girdhar's detector does (arXiv 1807.10066): the last blocks see each box alone.

    clip --> backbone up to Mixed_4f --> RoIAlign at every time step --> [K, C, T, 7, 7]
         --> Mixed_5b, Mixed_5c --> mean over time and space --> dropout --> linear

The blocks stay with the backbone, so that weights for whole clips load as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchvision.ops import roi_align

from ava_det.models.action_detector import ActionDetector
from ava_det.models.i3d_inception import I3DInception
from ava_det.models.precision import full_precision
from ava_det.models.roi_head import RoIHead


class TailHead(RoIHead):
    """Classifies vectors that the tail has pooled already."""

    def pool(self, features: Sequence[Tensor], rois: Tensor | None) -> Tensor:
        """Returns the one entry of `features`, [K, width]."""
        (vectors,) = features
        return vectors


class TailDetector(ActionDetector):
    """Scores what each person of a clip does, by a backbone whose tail runs box by box."""

    def __init__(self, backbone: I3DInception, head: TailHead) -> None:
        super().__init__(backbone, head)
        self.backbone: I3DInception = backbone

    def forward(
        self,
        slow: Tensor | None = None,
        fast: Tensor | None = None,
        rois: Tensor | None = None,
        flow: Tensor | None = None,
    ) -> Tensor:
        """Scores the boxes of a batch of clips; arguments and result as for `ActionDetector`."""
        logits: Tensor = self.head([self.compute_features(slow, fast, rois, flow)], rois)
        return logits

    def compute_features(
        self,
        slow: Tensor | None = None,
        fast: Tensor | None = None,
        rois: Tensor | None = None,
        flow: Tensor | None = None,
    ) -> Tensor:
        """Computes the input of the head's linear layers: float32 [K, D], one vector per box."""
        (maps,) = self.backbone(slow, fast, flow)
        rois = self.head.require_rois(rois)
        with full_precision(maps):
            aligned = roi_align(
                maps.float().flatten(1, 2),
                rois.float(),
                output_size=self.head.resolution,
                spatial_scale=1.0 / self.head.feature_stride,
                sampling_ratio=0,
                aligned=self.head.aligned,
            )
        boxes = aligned.unflatten(1, maps.shape[1:3]).to(maps.dtype)
        return self.backbone.run_tail(boxes).float().mean(dim=(2, 3, 4))
