"""A batch through the network: clips and persons in, one score per person and action out."""

from __future__ import annotations

import torch
from torch import nn

from ava_det.structures import ClipBatch, Detections


@torch.inference_mode()
def predict_batch(model: nn.Module, batch: ClipBatch, precision: str) -> list[Detections]:
    """One Detections per clip, on the CPU, in the order of the batch; boxes are the keyframe's own.

    batch: float clips on the model's device. precision: fp32, or bf16 by autocast.
    """
    with torch.autocast(batch.rois.device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits = model(batch.slow, batch.fast, batch.rois)
    scores = logits.float().sigmoid().cpu().split([len(keyframe.boxes) for keyframe in batch.keyframes])
    return [
        Detections(keyframe.boxes, action_scores, keyframe.person_scores, None, keyframe)
        for keyframe, action_scores in zip(batch.keyframes, scores, strict=True)
    ]
