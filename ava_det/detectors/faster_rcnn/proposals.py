"""The region proposal network: finds where there may be an object of any class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms

from ava_det.boxes import clip_boxes
from ava_det.detectors.faster_rcnn.anchors import ASPECT_RATIOS, make_anchors
from ava_det.detectors.faster_rcnn.box_coder import ANCHOR_WEIGHTS, decode_boxes, encode_boxes
from ava_det.detectors.faster_rcnn.matching import match_boxes, sample
from ava_det.detectors.faster_rcnn.pyramid import STRIDES

NMS_IOU = 0.7
MAX_PER_LEVEL = 1000  # best anchors of each level that become boxes
MAX_PER_LEVEL_IN_TRAINING = 2000
MAX_PROPOSALS = 1000  # of one image, after non-maximum suppression
BACKGROUND_BELOW = 0.3  # IoU of an anchor with a labeled box
FOREGROUND_FROM = 0.7
NUM_SAMPLES = 256  # anchors of one image in the loss
FOREGROUND_SHARE = 0.5  # largest part of them that is foreground

Size = tuple[int, int]


class ProposalHead(nn.Module):
    """Predicts a logit and four offsets for each anchor; all levels share the weights."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness_logits = nn.Conv2d(channels, len(ASPECT_RATIOS), 1)
        self.anchor_deltas = nn.Conv2d(channels, 4 * len(ASPECT_RATIOS), 1)
        for layer in (self.conv, self.objectness_logits, self.anchor_deltas):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [B, C, H, W] to logits [B, H * W * 3] and offsets [B, H * W * 3, 4].

        They are in the order of the anchors.
        """
        hidden = F.relu_(self.conv(features))
        logits = self.objectness_logits(hidden).permute(0, 2, 3, 1).flatten(1)
        offsets = self.anchor_deltas(hidden)
        batch, _, height, width = offsets.shape
        offsets = (
            offsets.view(batch, -1, 4, height, width).permute(0, 3, 4, 1, 2).reshape(batch, -1, 4)
        )
        return logits, offsets


class ProposalNetwork(nn.Module):
    """Computes proposals from P2..P6.

    Args:
        channels: Of the maps.
        anchor_sizes: Of the five levels, in pixels.

    Raises:
        ValueError: There is not one anchor size per level.
    """

    def __init__(self, channels: int, anchor_sizes: Sequence[float]) -> None:
        super().__init__()
        if len(anchor_sizes) != len(STRIDES):
            raise ValueError(
                f"anchor_sizes: expected {len(STRIDES)}, one per level, "
                f"received {list(anchor_sizes)}"
            )
        self.rpn_head = ProposalHead(channels)
        self._anchor_sizes = tuple(anchor_sizes)

    def forward(
        self,
        maps: Sequence[Tensor],
        image_sizes: Sequence[Size],
        labeled: Sequence[Tensor] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Computes the proposals of each image, and losses where labeled boxes are given.

        Args:
            maps: P2..P6 of the batch.
            image_sizes: (H, W) of each image without its padding.
            labeled: Boxes [M, 4] of each image, in its pixels, or None.

        Returns:
            Boxes float32 [N, 4] of each image, xyxy in pixels of the resized image, most likely
            first, and the losses `rpn_cls` and `rpn_loc`, none without labeled boxes.
        """
        sizes = [(features.shape[2], features.shape[3]) for features in maps]
        anchors = make_anchors(sizes, STRIDES, self._anchor_sizes, maps[0].device)
        outputs = [self.rpn_head(features) for features in maps]
        losses = {} if labeled is None else compute_losses(outputs, torch.cat(anchors), labeled)
        with torch.no_grad():  # the box head's loss does not train the proposals
            boxes, logits, levels = self._select_anchors(outputs, anchors)
            proposals = [
                suppress_proposals(boxes[index], logits[index], levels, size)
                for index, size in enumerate(image_sizes)
            ]
        return proposals, losses

    def _select_anchors(
        self, outputs: Sequence[tuple[Tensor, Tensor]], anchors: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Selects the best anchors of each level and image.

        Returns:
            Boxes [B, N, 4], logits [B, N] and levels [N].
        """
        limit = MAX_PER_LEVEL_IN_TRAINING if self.training else MAX_PER_LEVEL
        boxes = []
        best_logits = []
        levels = []
        for level, ((logits, offsets), origins) in enumerate(zip(outputs, anchors, strict=True)):
            best, index = logits.topk(min(limit, logits.shape[1]), dim=1)
            chosen = offsets.gather(1, index.unsqueeze(-1).expand(-1, -1, 4))
            boxes.append(
                decode_boxes(chosen.unsqueeze(2), origins[index], ANCHOR_WEIGHTS).squeeze(2)
            )
            best_logits.append(best)
            levels.append(torch.full_like(index[0], level))
        return torch.cat(boxes, 1), torch.cat(best_logits, 1), torch.cat(levels)


def suppress_proposals(boxes: Tensor, logits: Tensor, levels: Tensor, image_size: Size) -> Tensor:
    """Keeps the best proposals of one image, after non-maximum suppression on each level.

    Args:
        boxes: [N, 4], clipped to the image here; those that are then empty are dropped.
        logits: [N].
        levels: [N], index of the level of each.
        image_size: (H, W) without padding.

    Returns:
        Boxes [M, 4] with M <= MAX_PROPOSALS, most likely first.
    """
    height, width = image_size
    finite = boxes.isfinite().all(dim=1) & logits.isfinite()
    boxes = clip_boxes(boxes, width, height)
    keep = finite & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    boxes = boxes[keep]
    logits = logits[keep]
    levels = levels[keep]
    return boxes[batched_nms(boxes, logits.float(), levels, NMS_IOU)[:MAX_PROPOSALS]]


def compute_losses(
    outputs: Sequence[tuple[Tensor, Tensor]], anchors: Tensor, labeled: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Computes the losses of the proposal network, both over the number of samples.

    Args:
        outputs: Logits and offsets of each level, see `ProposalHead.forward`.
        anchors: [A, 4], of all levels.
        labeled: Boxes [M, 4] of each image.

    Returns:
        `rpn_cls`, the cross-entropy of sampled anchors, and `rpn_loc`, the L1 distance of the
        foreground ones' offsets.
    """
    logits = torch.cat([level for level, _ in outputs], dim=1).float()
    offsets = torch.cat([level for _, level in outputs], dim=1).float()
    classification = logits.sum() * 0
    location = offsets.sum() * 0
    for image, boxes in enumerate(labeled):
        nearest, kind = match_boxes(
            anchors, boxes, BACKGROUND_BELOW, FOREGROUND_FROM, keep_best=True
        )
        foreground, background = sample(kind, NUM_SAMPLES, FOREGROUND_SHARE)
        chosen = torch.cat((foreground, background))
        truth = torch.zeros_like(logits[image, chosen])
        truth[: len(foreground)] = 1
        classification = classification + F.binary_cross_entropy_with_logits(
            logits[image, chosen], truth, reduction="sum"
        )
        if len(foreground):
            target = encode_boxes(boxes[nearest[foreground]], anchors[foreground], ANCHOR_WEIGHTS)
            location = location + F.l1_loss(offsets[image, foreground], target, reduction="sum")
    samples = NUM_SAMPLES * len(labeled)
    return {"rpn_cls": classification / samples, "rpn_loc": location / samples}
