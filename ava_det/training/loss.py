"""Computes the loss of one step, exact however its clips are shared out over processes and parts.

It is the sum over every example of the global batch divided by their number. With a mean per
process (or per part of a batch), those with few boxes would weigh as much as those with many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.distributed import world_size
from ava_det.structures import ClipBatch


class StepLoss(NamedTuple):
    """Holds the losses of a step, or of a part of it, on one process.

    Attributes:
        parts: Name -> scalar; their sum is minimized.
        mean_logit: Mean |logit|, a scalar without a gradient; None for a task that is not watched
            for saturation.
    """

    parts: dict[str, Tensor]
    mean_logit: Tensor | None = None


class TaskLoss(Protocol):
    """Describes what the training loop minimizes."""

    @property
    def initial_loss(self) -> float | None:
        """Returns the loss of an untrained network; None where there is no such number."""

    def count(self, batch: ClipBatch) -> int:
        """Returns the number of examples in a batch, known without waiting for a device."""

    def compute(self, model: nn.Module, batch: ClipBatch, num_examples: float) -> StepLoss:
        """Computes the share of a batch in the loss of a step.

        Args:
            model: The network, or DistributedDataParallel around it.
            batch: On the model's device.
            num_examples: Of the step, over all processes and parts.

        Returns:
            The sum over the batch's examples / num_examples * the number of processes, because
            DistributedDataParallel averages over them. Without an example 0, with a gradient of
            zeros.
        """


@dataclass
class ActionLoss:
    """Computes the cross-entropy of actions; the examples are boxes.

    Attributes:
        precision: fp32 or bf16 (autocast).
        columns: 0-based actions that count, None for all.
        focal_gamma: 0 for plain cross-entropy. Above, the loss of an answer is multiplied by
            (1 - p) ** focal_gamma, where p is the score of what is true (Lin et al. 2017,
            equation 4).
        num_exclusive: Number of classes of which exactly one is true, scored by a softmax
            (Kinetics, UCF101-24); None where a sigmoid answers for each action (AVA).
        per_clip: Whether the network answers for each clip as a whole, not for each box.
    """

    precision: str = "fp32"
    columns: list[int] | None = None
    focal_gamma: float = 0.0
    num_exclusive: int | None = None
    per_clip: bool = False

    @property
    def initial_loss(self) -> float:
        """Returns the loss where every class, or every answer, is as likely as the others."""
        return math.log(self.num_exclusive or 2)

    def count(self, batch: ClipBatch) -> int:
        """Returns the number of boxes in a batch."""
        return len(batch.rois)

    def compute(self, model: nn.Module, batch: ClipBatch, num_examples: float) -> StepLoss:
        """Computes the share of a batch in the loss of a step of `num_examples` boxes.

        Args:
            model: (slow, fast, rois) -> logits [N, C].
            batch: Normalized clips with labels, on the model's device.
            num_examples: Boxes of the step, over all processes and parts.

        Returns:
            `loss`: cross-entropy on float32 logits, binary per action and averaged over actions and
            boxes, or of the softmax; and the mean |logit|.
        """
        assert batch.labels is not None
        with torch.autocast(
            batch.rois.device.type, torch.bfloat16, enabled=self.precision == "bf16"
        ):
            logits = model(**batch.inputs).float()
        labels = batch.labels
        if self.columns is not None:
            # indexing by a list would wait for the device
            columns = torch.tensor(self.columns).to(logits.device, non_blocking=True)
            logits = logits[:, columns]
            labels = labels[:, columns]
        if self.num_exclusive is None:
            losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        else:
            if self.per_clip:  # a clip that could not be read has no label
                logits = logits[batch.rois[:, 0].long()]
            losses = F.cross_entropy(logits, labels, reduction="none")[:, None]
        if self.focal_gamma:
            # exp(-loss) is the score of what is true
            losses = losses * (1 - torch.exp(-losses)) ** self.focal_gamma
        # DistributedDataParallel averages over processes: undo it
        loss = losses.sum() * world_size() / (max(num_examples, 1.0) * losses.shape[1])
        mean_logit = logits.detach().abs().sum() / max(logits.numel(), 1)
        return StepLoss({"loss": loss}, mean_logit)


def split_batch(batch: ClipBatch, num_parts: int) -> list[ClipBatch]:
    """Splits a batch into `num_parts` batches of nearly equal size.

    Args:
        batch: One clip or more.
        num_parts: The number of parts; fewer are returned where there are fewer clips.

    Returns:
        Consecutive clips, none of the batches empty.
    """
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
        slow, fast, flow, long_term = (
            None if values is None else values[first:last]
            for values in (batch.slow, batch.fast, batch.flow, batch.long_term)
        )
        labels = None if batch.labels is None else batch.labels[inside]
        keyframes = batch.keyframes[first:last]
        parts.append(
            replace(
                batch,
                slow=slow,
                fast=fast,
                rois=rois,
                labels=labels,
                keyframes=keyframes,
                long_term=long_term,
                flow=flow,
            )
        )
    return parts
