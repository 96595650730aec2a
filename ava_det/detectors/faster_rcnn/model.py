"""The whole network: maps images to boxes, or to losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ava_det.detectors.faster_rcnn.box_head import BoxHead, ImageDetections
from ava_det.detectors.faster_rcnn.proposals import ProposalNetwork
from ava_det.detectors.faster_rcnn.pyramid import FeaturePyramid
from ava_det.detectors.faster_rcnn.resnet import ResNet

MULTIPLE = 32  # images are padded to multiples of the coarsest stride of the ResNet
COCO_MEAN_BGR = (103.53, 116.28, 123.675)


class FasterRCNN(nn.Module):
    """Detects objects by Faster R-CNN with a feature pyramid.

    The defaults are Detectron2's R50-FPN for COCO.

    Args:
        depth: See `ResNet`.
        width: See `ResNet`.
        groups: See `ResNet`.
        group_width: See `ResNet`.
        stride_in_1x1: See `ResNet`.
        norm: See `ResNet`.
        channels: Of the pyramid's maps.
        hidden: Of the box head's layers.
        num_classes: Without the background; class 0 is the person, in COCO too.
        anchor_sizes: Of the five levels, in pixels of the resized image.
        pixel_mean: Is subtracted from images of 0..255, in the order of their channels.
        pixel_std: Divides them after that.
        min_score: Smallest score of a box.
        max_boxes: Most boxes of one image, over all classes.

    Attributes:
        architecture: The arguments except min_score and max_boxes;
            `FasterRCNN(**model.architecture)` fits the weights.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        depth: int = 50,
        width: int = 64,
        groups: int = 1,
        group_width: int | None = None,
        stride_in_1x1: bool = True,
        norm: str = "frozen_bn",
        channels: int = 256,
        hidden: int = 1024,
        num_classes: int = 80,
        anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
        pixel_mean: Sequence[float] = COCO_MEAN_BGR,
        pixel_std: Sequence[float] = (1.0, 1.0, 1.0),
        min_score: float = 0.05,
        max_boxes: int = 100,
    ) -> None:
        super().__init__()
        self.architecture: dict[str, Any] = {
            "depth": depth,
            "width": width,
            "groups": groups,
            "group_width": group_width,
            "stride_in_1x1": stride_in_1x1,
            "norm": norm,
            "channels": channels,
            "hidden": hidden,
            "num_classes": num_classes,
            "anchor_sizes": list(anchor_sizes),
            "pixel_mean": list(pixel_mean),
            "pixel_std": list(pixel_std),
        }
        self.backbone = FeaturePyramid(
            ResNet(depth, width, groups, group_width, stride_in_1x1, norm), channels
        )
        self.proposal_generator = ProposalNetwork(channels, anchor_sizes)
        self.roi_heads = BoxHead(channels, hidden, num_classes, min_score, max_boxes)
        # Not persistent: these are no weights, and some files of the zoo lack them.
        self.register_buffer(
            "pixel_mean", torch.tensor(list(pixel_mean)).view(3, 1, 1), persistent=False
        )
        self.register_buffer(
            "pixel_std", torch.tensor(list(pixel_std)).view(3, 1, 1), persistent=False
        )

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[tuple[Tensor, Tensor]] | None = None
    ) -> list[ImageDetections] | dict[str, Tensor]:
        """Returns `detect(images)`, or with targets `compute_losses(images, targets)`.

        It is the only method that DistributedDataParallel calls.
        """
        return self.detect(images) if targets is None else self.compute_losses(images, targets)

    def detect(self, images: Sequence[Tensor]) -> list[ImageDetections]:
        """Detects the objects of each image.

        The other images of a batch matter only by how far an image is padded.

        Args:
            images: uint8 or float in 0..255, [3, H, W], of any sizes, on any device. Channels are
                in the order of the weights, BGR in Detectron2's zoo.

        Returns:
            Of each image: boxes float32 [N, 4], xyxy in pixels of the image as given (resize it
            before, scale the boxes after); scores float32 [N] in 0..1, highest first; classes int64
            [N], from 0.
        """
        maps, sizes = self._compute_maps(images)
        proposals, _ = self.proposal_generator(maps, sizes)
        detections: list[ImageDetections] = self.roi_heads(maps, proposals, sizes)
        return detections

    def compute_losses(
        self, images: Sequence[Tensor], targets: Sequence[tuple[Tensor, Tensor]]
    ) -> dict[str, Tensor]:
        """Computes the losses `rpn_cls`, `rpn_loc`, `box_cls` and `box_loc`, to be added up.

        Which predictions they use is drawn from torch's generator.

        Args:
            images: See `detect`.
            targets: Of each image boxes float32 [M, 4] in its pixels, with sides > 0, and classes
                int64 [M], on the device of the model; M may be 0.
        """
        maps, sizes = self._compute_maps(images)
        proposals, losses = self.proposal_generator(maps, sizes, [boxes for boxes, _ in targets])
        both: dict[str, Tensor] = losses | self.roi_heads.compute_losses(maps, proposals, targets)
        return both

    def _compute_maps(self, images: Sequence[Tensor]) -> tuple[list[Tensor], list[tuple[int, int]]]:
        """Computes P2..P6 of the normalized images, and the (H, W) of each image.

        Images are padded at right and bottom with zeros to one size.
        """
        sizes = [(image.shape[1], image.shape[2]) for image in images]
        height, width = (
            -(-max(sides) // MULTIPLE) * MULTIPLE for sides in zip(*sizes, strict=True)
        )
        batch = self.pixel_mean.new_zeros(len(images), 3, height, width)
        for padded, image, (image_height, image_width) in zip(batch, images, sizes, strict=True):
            padded[:, :image_height, :image_width] = (
                image.to(batch.device) - self.pixel_mean
            ) / self.pixel_std
        return self.backbone(batch), sizes
