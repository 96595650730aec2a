"""Runs the network as a person detector: frames of any size in, boxes in their pixels out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Self

import numpy as np
import torch

from ava_det.boxes import clip_boxes, scale_boxes
from ava_det.detectors.faster_rcnn.model import FasterRCNN
from ava_det.detectors.faster_rcnn.resize import LONG_SIDE, SHORT_SIDE, resize_frame
from ava_det.device.precision import HALF_TYPES, resolve_precision


class FasterRCNNDetector:
    """Finds the persons of single frames; implements `PersonDetector`.

    Args:
        model: Is put into eval mode and moved to `device`.
        device: Where the network runs.
        short_side: Size of the resized frames, see `compute_size`.
        long_side: Size of the resized frames, see `compute_size`.
        channel_order: Of the images the weights were trained on: BGR for all of Detectron2's zoo.
        person_class: The class whose boxes are kept.
        precision: fp32; bf16 or fp16 by autocast where the device computes them natively; auto for
            bf16 where it is faster. Results are always float32.
        batch_size: Frames that go through the network together, padded to the largest of them.

    Raises:
        ValueError: The network has no such class.
    """

    name = "faster_rcnn"

    def __init__(
        self,
        model: FasterRCNN,
        device: str | torch.device = "cpu",
        short_side: int = SHORT_SIDE,
        long_side: int = LONG_SIDE,
        channel_order: str = "BGR",
        person_class: int = 0,
        precision: str = "fp32",
        batch_size: int = 8,
    ) -> None:
        num_classes = model.architecture["num_classes"]
        if not 0 <= person_class < num_classes:
            raise ValueError(
                f"person_class: expected 0..{num_classes - 1}, received {person_class}"
            )
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.short_side = short_side
        self.long_side = long_side
        self.channel_order = channel_order
        self.person_class = person_class
        self.precision = precision
        self.batch_size = batch_size

    def begin_video(self, samples: Sequence[np.ndarray]) -> Self:
        """Returns itself: every frame is processed alone, and nothing is learned from the video."""
        return self

    @torch.inference_mode()
    def __call__(self, frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Finds the persons of each frame.

        Args:
            frames: RGB uint8 [H, W, 3], of any sizes.

        Returns:
            Boxes float32 [N, 4], xyxy in pixels, and person_scores float32 [N] of each frame.
        """
        results = []
        for start in range(0, len(frames), self.batch_size):
            results += self._detect(frames[start : start + self.batch_size])
        return results

    def _detect(self, frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        images = [self._prepare(frame) for frame in frames]
        with autocast(self.device, self.precision):
            detected = self.model.detect(images)
        results = []
        for frame, image, (boxes, scores, classes) in zip(frames, images, detected, strict=True):
            height, width = frame.shape[:2]
            boxes = clip_boxes(
                scale_boxes(boxes, width / image.shape[2], height / image.shape[1]), width, height
            )
            person = classes == self.person_class
            results.append((boxes[person].cpu().numpy(), scores[person].cpu().numpy()))
        return results

    def _prepare(self, frame: np.ndarray) -> torch.Tensor:
        """Resizes a frame: uint8 [3, H', W'] in the channel order of the weights, on the device."""
        resized = resize_frame(frame, self.short_side, self.long_side)
        if self.channel_order == "BGR":
            resized = resized[:, :, ::-1]
        return torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1))).to(self.device)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Returns the autocast context of `precision` on the device; one without effect for fp32."""
    name = resolve_precision(precision, device)
    return nullcontext() if name == "fp32" else torch.autocast(device.type, HALF_TYPES[name])
