"""A batch through the network: clips and persons in, one score per person and action out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ava_det.boxes import flip_boxes
from ava_det.structures import ClipBatch, Detections


@torch.inference_mode()
def predict_batch(
    model: nn.Module, batch: ClipBatch, precision: str, flip: bool = False
) -> list[Detections]:
    """One Detections per clip, on the CPU, in the order of the batch; boxes are the keyframe's own.

    batch: float clips on the model's device. precision: fp32, or bf16 by autocast. flip: score
    every clip also mirrored left to right and take the mean of both scores.
    """
    scores = _score(model, batch, precision)
    if flip:
        scores = (scores + _score(model, flip_batch(batch), precision)) / 2
    return [
        Detections(keyframe.boxes, action_scores, keyframe.person_scores, None, keyframe)
        for keyframe, action_scores in zip(
            batch.keyframes,
            scores.split([len(keyframe.boxes) for keyframe in batch.keyframes]),
            strict=True,
        )
    ]


def flip_batch(batch: ClipBatch) -> ClipBatch:
    """Clips mirrored left to right with their rois; rows stay in order. Labels and keyframes are
    those of `batch`.
    """
    clips = batch.fast if batch.slow is None else batch.slow
    assert clips is not None
    rois = torch.cat((batch.rois[:, :1], flip_boxes(batch.rois[:, 1:], clips.shape[-1])), dim=1)
    slow, fast = (
        None if frames is None else frames.flip(-1) for frames in (batch.slow, batch.fast)
    )
    return ClipBatch(slow, fast, rois, batch.labels, batch.keyframes)


def average_views(views: Sequence[Sequence[Detections]]) -> list[Detections]:
    """The mean action scores of each keyframe over several views of it, in the order of the first
    view.

    A keyframe that some views lack (its clip could not be read again) is averaged over the others.
    """
    found: dict[tuple[str, float], list[Detections]] = {}
    for view in views:
        for detections in view:
            found.setdefault(
                (detections.keyframe.video_id, detections.keyframe.timestamp), []
            ).append(detections)
    return [
        Detections(
            same[0].boxes,
            torch.stack([detections.action_scores for detections in same]).mean(dim=0),
            same[0].person_scores,
            None,
            same[0].keyframe,
        )
        for same in found.values()
    ]


def _score(model: nn.Module, batch: ClipBatch, precision: str) -> Tensor:
    """float32 [K, C] on the CPU, after the sigmoid."""
    with torch.autocast(batch.rois.device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits = model(batch.slow, batch.fast, batch.rois)
    return logits.float().sigmoid().cpu()
