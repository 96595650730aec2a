"""Finds persons by torchvision's Faster R-CNN v2, pretrained on COCO.

Its weights are downloaded when it is first used, which needs a network.
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
    """Finds COCO persons; implements `PersonDetector`.

    Args:
        device: Where the network runs.
        min_score: Smallest person score of a box.

    Raises:
        ValueError: The weights could not be downloaded.
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
        """Returns itself: every frame is processed alone, and nothing is learned from the video."""
        return self

    @torch.inference_mode()
    def __call__(self, frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Finds the persons of each frame.

        Args:
            frames: RGB uint8 [H, W, 3].

        Returns:
            Boxes [N, 4], xyxy in pixels, and person scores [N] of each frame.
        """
        results = []
        for frame in frames:
            pixels = torch.from_numpy(np.ascontiguousarray(frame)).to(self.device)
            output = self.model([pixels.permute(2, 0, 1).float() / 255])[0]
            person = output["labels"] == COCO_PERSON
            boxes = output["boxes"][person].cpu().numpy()
            results.append((boxes, output["scores"][person].cpu().numpy()))
        return results
