"""The second stage: classifies each proposal and refines its box."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms, roi_align

from ava_det.boxes import clip_boxes, compute_area
from ava_det.detectors.faster_rcnn.box_coder import PROPOSAL_WEIGHTS, decode_boxes, encode_boxes
from ava_det.detectors.faster_rcnn.matching import match_boxes, sample
from ava_det.detectors.faster_rcnn.pyramid import STRIDES

RESOLUTION = 7  # cells per side of an aligned proposal
NUM_LEVELS = 4  # P2..P5; only proposals use P6
NMS_IOU = 0.5
FOREGROUND_FROM = 0.5  # IoU with a labeled box; proposals below are background
NUM_SAMPLES = 512  # proposals of one image in the loss
FOREGROUND_SHARE = 0.25  # largest part of them that is foreground

Size = tuple[int, int]
# Boxes float32 [N, 4], xyxy in pixels of the resized image, scores float32 [N], best first, and
# classes int64 [N].
ImageDetections = tuple[Tensor, Tensor, Tensor]


class FullyConnected(nn.Module):
    """Maps aligned proposals [K, C, 7, 7] to [K, hidden] by two linear layers."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels * RESOLUTION**2, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        for layer in (self.fc1, self.fc2):
            nn.init.kaiming_uniform_(layer.weight, a=1)
            nn.init.zeros_(layer.bias)

    def forward(self, aligned: Tensor) -> Tensor:
        """Maps [K, C, 7, 7] to [K, hidden]."""
        return F.relu_(self.fc2(F.relu_(self.fc1(aligned.flatten(1)))))


class BoxPredictor(nn.Module):
    """Predicts the class and the box of each proposal by one linear layer each."""

    def __init__(self, hidden: int, num_classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(hidden, num_classes + 1)
        self.bbox_pred = nn.Linear(hidden, 4 * num_classes)
        for layer, std in ((self.cls_score, 0.01), (self.bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [K, hidden] to logits and offsets.

        Returns:
            Logits [K, num_classes + 1], background last, and offsets [K, num_classes * 4].
        """
        return self.cls_score(hidden), self.bbox_pred(hidden)


class BoxHead(nn.Module):
    """Scores and refines proposals.

    Args:
        channels: Of the pyramid's maps.
        hidden: Channels of the linear layers.
        num_classes: Without the background.
        min_score: Smallest score of a box.
        max_boxes: Most boxes of one image, over all classes.
    """

    def __init__(
        self, channels: int, hidden: int, num_classes: int, min_score: float, max_boxes: int
    ) -> None:
        super().__init__()
        self.box_head = FullyConnected(channels, hidden)
        self.box_predictor = BoxPredictor(hidden, num_classes)
        self.num_classes = num_classes
        self.min_score = min_score
        self.max_boxes = max_boxes

    def forward(
        self, maps: Sequence[Tensor], proposals: Sequence[Tensor], image_sizes: Sequence[Size]
    ) -> list[ImageDetections]:
        """Finds the objects of each image.

        Args:
            maps: P2..P6 of the batch, as `FeaturePyramid` computes them.
            proposals: Boxes [N, 4] of each image, xyxy in pixels of the resized image.
            image_sizes: (H, W) of each image without its padding.

        Returns:
            Boxes, scores and classes of each image, see `ImageDetections`.
        """
        logits, offsets = self._predict(maps, proposals)
        counts = [len(boxes) for boxes in proposals]
        scores = F.softmax(logits, dim=-1)
        boxes = decode_boxes(offsets, torch.cat(list(proposals)), PROPOSAL_WEIGHTS)
        return [
            self._select(image_boxes, image_scores, size)
            for image_boxes, image_scores, size in zip(
                boxes.split(counts), scores.split(counts), image_sizes, strict=True
            )
        ]

    def compute_losses(
        self,
        maps: Sequence[Tensor],
        proposals: Sequence[Tensor],
        targets: Sequence[tuple[Tensor, Tensor]],
    ) -> dict[str, Tensor]:
        """Computes the losses `box_cls` (cross-entropy) and `box_loc` (L1).

        Both are divided by the number of sampled proposals.

        Args:
            maps: P2..P6 of the batch.
            proposals: Boxes [N, 4] of each image, in pixels of the resized image.
            targets: Boxes [M, 4] in the same pixels, and classes int64 [M], of each image.
        """
        sampled = [
            self._sample(boxes, truth, classes)
            for boxes, (truth, classes) in zip(proposals, targets, strict=True)
        ]
        chosen, truth, classes = (torch.cat(parts) for parts in zip(*sampled, strict=True))
        logits, offsets = self._predict(maps, [boxes for boxes, _, _ in sampled])
        foreground = (classes < self.num_classes).nonzero()[:, 0]
        target = encode_boxes(truth[foreground], chosen[foreground], PROPOSAL_WEIGHTS)
        location = F.l1_loss(offsets[foreground, classes[foreground]], target, reduction="sum")
        count = max(len(classes), 1)
        classification = F.cross_entropy(logits, classes, reduction="sum")
        return {"box_cls": classification / count, "box_loc": location / count}

    @torch.no_grad()
    def _sample(
        self, proposals: Tensor, truth: Tensor, classes: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Samples the proposals of one image for the loss.

        The labeled boxes are proposals too, because at the start of training no other one is good.

        Returns:
            The sampled boxes [K, 4], the labeled box that each should become [K, 4], and its class
            [K].
        """
        candidates = torch.cat((proposals, truth))
        nearest, kind = match_boxes(candidates, truth, FOREGROUND_FROM, FOREGROUND_FROM)
        foreground, background = sample(kind, NUM_SAMPLES, FOREGROUND_SHARE)
        chosen = torch.cat((foreground, background))
        wanted = classes.new_full((len(chosen),), self.num_classes)
        wanted[: len(foreground)] = classes[nearest[foreground]]
        answer = truth[nearest[chosen]] if len(truth) else candidates[chosen]
        return candidates[chosen], answer, wanted

    def _predict(
        self, maps: Sequence[Tensor], proposals: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Computes float32 logits [K, num_classes + 1] and offsets [K, num_classes, 4]."""
        logits, offsets = self.box_predictor(
            self.box_head(align_proposals(maps[:NUM_LEVELS], proposals))
        )
        return logits.float(), offsets.float().unflatten(1, (self.num_classes, 4))

    def _select(self, boxes: Tensor, scores: Tensor, image_size: Size) -> ImageDetections:
        """Selects the boxes of one image: by score, without overlaps, and at most `max_boxes`.

        Args:
            boxes: [N, num_classes, 4].
            scores: [N, num_classes + 1], background last.
            image_size: (H, W) without padding, to which boxes are clipped.
        """
        finite = boxes.isfinite().flatten(1).all(dim=1) & scores.isfinite().all(dim=1)
        boxes = boxes[finite]
        scores = scores[finite, :-1]
        row, column = (scores > self.min_score).nonzero(as_tuple=True)
        height, width = image_size
        chosen = clip_boxes(boxes[row, column], width, height)
        kept = batched_nms(chosen, scores[row, column], column, NMS_IOU)[: self.max_boxes]
        # Empty boxes are dropped after the limit, as Detectron2 does.
        kept = kept[(chosen[kept, 2:] > chosen[kept, :2]).all(dim=1)]
        return chosen[kept], scores[row, column][kept], column[kept]


def align_proposals(maps: Sequence[Tensor], proposals: Sequence[Tensor]) -> Tensor:
    """Aligns each proposal (RoIAlign) on the level that suits its size.

    Args:
        maps: P2..P5 of the batch.
        proposals: Boxes [N, 4] of each image, xyxy in pixels of the resized image.

    Returns:
        [K, C, 7, 7] for the proposals of all images in order.
    """
    boxes = torch.cat(list(proposals))
    counts = torch.tensor([len(of_image) for of_image in proposals], device=boxes.device)
    image = torch.arange(len(proposals), device=boxes.device).repeat_interleave(counts)
    rois = torch.cat((image[:, None].to(boxes.dtype), boxes), dim=1)
    levels = choose_levels(boxes)
    aligned = maps[0].new_zeros(len(boxes), maps[0].shape[1], RESOLUTION, RESOLUTION)
    for level, (features, stride) in enumerate(zip(maps, STRIDES, strict=False)):
        index = (levels == level).nonzero()[:, 0]
        aligned.index_put_(  # in place, because a copy per level is 50 MB
            (index,),
            roi_align(
                features, rois[index], RESOLUTION, 1 / stride, sampling_ratio=0, aligned=True
            ),
        )
    return aligned


def choose_levels(boxes: Tensor) -> Tensor:
    """Chooses the map that each box [N, 4] is read from, by index.

    A box of 224 x 224 pixels is read from P4 (FPN paper, equation 1).
    """
    level = torch.floor(4 + torch.log2(compute_area(boxes).sqrt() / 224 + 1e-8))
    return level.clamp(min=2, max=1 + NUM_LEVELS).long() - 2
