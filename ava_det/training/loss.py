"""The loss of one step, exact however its clips are shared out over processes and micro-batches.

It is the sum over every box of the global batch divided by their number: with a mean per process
(or micro-batch), those with few boxes would weigh as much as those with many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.distributed import world_size
from ava_det.structures import ClipBatch


@dataclass
class LossSettings:
    """precision: fp32 or bf16 (autocast). columns: 0-based actions that count, None for all.
    focal_gamma: 0 for plain cross-entropy; above, a score p of what is true counts (1 - p) **
    focal_gamma of it (Lin et al. 2017, equation 4). num_exclusive: of so many classes exactly one
    is true, and the softmax of the logits is scored (Kinetics); None where each action is a
    question of its own, answered by a sigmoid (AVA).
    """

    precision: str = "fp32"
    columns: list[int] | None = None
    focal_gamma: float = 0.0
    num_exclusive: int | None = None

    @property
    def initial_loss(self) -> float:
        """Of a network that knows nothing: every class, or every answer, is as likely as the
        others.
        """
        return math.log(self.num_exclusive or 2)


def compute_loss(
    model: nn.Module, batch: ClipBatch, num_boxes: float, settings: LossSettings
) -> tuple[Tensor, Tensor]:
    """This batch's share of the loss of a step of `num_boxes` boxes over all processes, and its
    mean |logit|.

    Cross-entropy on float32 logits: binary per action, averaged over actions and boxes, or of the
    softmax. A batch without a box gives 0 with a gradient of zeros. Both are scalars on the model's
    device; the second has no gradient.
    """
    assert batch.labels is not None
    with torch.autocast(
        batch.rois.device.type, torch.bfloat16, enabled=settings.precision == "bf16"
    ):
        logits = model(batch.slow, batch.fast, batch.rois).float()
        labels = batch.labels
    if settings.columns is not None:
        # a list would be waited for
        columns = torch.tensor(settings.columns).to(logits.device, non_blocking=True)
        logits = logits[:, columns]
        labels = labels[:, columns]
    if settings.num_exclusive is None:
        losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    else:  # one row for each clip; one that could not be read has no label
        logits = logits[batch.rois[:, 0].long()]
        losses = F.cross_entropy(logits, labels, reduction="none")[:, None]
    if settings.focal_gamma:
        # exp(-loss) is the score of what is true
        losses = losses * (1 - torch.exp(-losses)) ** settings.focal_gamma
    # DDP averages over processes: undo it
    loss = losses.sum() * world_size() / (max(num_boxes, 1.0) * losses.shape[1])
    mean_logit = logits.detach().abs().sum() / max(logits.numel(), 1)
    return loss, mean_logit


def split_batch(batch: ClipBatch, num_parts: int) -> list[ClipBatch]:
    """Consecutive clips of a batch as `num_parts` batches of nearly equal size, none of them empty."""
    num_clips = len(batch.keyframes)
    if num_parts == 1:
        return [batch]
    edges = [round(part * num_clips / num_parts) for part in range(num_parts + 1)]
    parts = []
    for first, last in pairwise(edges):
        if first == last:
            continue
        inside = (batch.rois[:, 0] >= first) & (batch.rois[:, 0] < last)
        rois = batch.rois[inside].clone()
        rois[:, 0] -= first
        slow, fast = (
            None if clips is None else clips[first:last] for clips in (batch.slow, batch.fast)
        )
        labels = None if batch.labels is None else batch.labels[inside]
        parts.append(ClipBatch(slow, fast, rois, labels, batch.keyframes[first:last]))
    return parts
