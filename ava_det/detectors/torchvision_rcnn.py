"""torchvision's Faster R-CNN v2 pretrained on COCO. Its weights are downloaded on first use: needs
a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torchvision.models.detection import (
    FasterRCNN_ResNet50_FPN_V2_Weights,
    fasterrcnn_resnet50_fpn_v2,
)

from ava_det.checkpoint.zoo import one_process_at_a_time

COCO_PERSON = 1


class TorchvisionDetector:
    """COCO persons with a score of at least ``min_score``; follows
    :class:`~ava_det.detectors.PersonDetector`.
    """

    name = "torchvision"

    def __init__(self, device: str = "cpu", min_score: float = 0.05) -> None:
        self.device = torch.device(device)
        weights = FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1
        waiting = "torchvision: waiting for another process to download its weights"
        try:
            with one_process_at_a_time(weights.url, waiting):
                model = fasterrcnn_resnet50_fpn_v2(
                    weights=weights, weights_backbone=None, box_score_thresh=min_score
                )
        except OSError as error:  # no network
            folder = Path(torch.hub.get_dir()) / "checkpoints"
            raise ValueError(
                f"the torchvision detector's weights could not be downloaded ({error}): "
                f"download {weights.url} elsewhere and put it into {folder}"
            ) from None
        self.model = model.to(self.device).eval()

    def begin_video(self, samples: Sequence[np.ndarray]) -> Self:
        """Nothing to learn: every frame is judged by itself."""
        return self

    @torch.inference_mode()
    def __call__(self, frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """RGB uint8 [H, W, 3] frames to (boxes [N, 4] xyxy pixels, scores [N]) per frame."""
        results = []
        for frame in frames:
            image = (
                torch.from_numpy(np.ascontiguousarray(frame))
                .to(self.device)
                .permute(2, 0, 1)
                .float()
                / 255
            )
            found = self.model([image])[0]
            person = found["labels"] == COCO_PERSON
            results.append(
                (found["boxes"][person].cpu().numpy(), found["scores"][person].cpu().numpy())
            )
        return results
