"""Runs the network on a batch: clips and persons in, one score per person and action out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ava_det.boxes import flip_boxes
from ava_det.structures import ClipBatch, Detections


@torch.inference_mode()
def predict_batch(
    model: nn.Module,
    batch: ClipBatch,
    precision: str,
    flip: bool = False,
    multilabel: bool = True,
) -> list[Detections]:
    """Scores the actions of the persons of a batch of clips.

    Args:
        model: The network.
        batch: Float clips on the model's device.
        precision: fp32, or bf16 by autocast.
        flip: Whether every clip is also scored mirrored left to right; scores are then the mean of
            both.
        multilabel: Whether each action is scored by a sigmoid; otherwise by a softmax over all.

    Returns:
        One Detections per clip, on the CPU, in the order of the batch, with the keyframe's own
        boxes.
    """
    scores = _score(model, batch, precision, multilabel)
    if flip:
        scores = (scores + _score(model, flip_batch(batch), precision, multilabel)) / 2
    return [
        Detections(keyframe.boxes, action_scores, keyframe.person_scores, None, keyframe)
        for keyframe, action_scores in zip(
            batch.keyframes,
            scores.split([len(keyframe.boxes) for keyframe in batch.keyframes]),
            strict=True,
        )
    ]


def compute_scores(logits: Tensor, exclusive: bool) -> Tensor:
    """Computes scores 0..1 of logits [K, C]: one softmax over exclusive classes, else sigmoids."""
    return logits.softmax(dim=1) if exclusive else logits.sigmoid()


@torch.inference_mode()
def compute_features(model: nn.Module, batch: ClipBatch, precision: str) -> list[Tensor]:
    """Computes the features of the persons of a batch of clips: the input of the head's layers.

    Args:
        model: The network, an `ActionDetector` or its form for inference.
        batch: Float clips on the model's device.
        precision: fp32, or bf16 by autocast.

    Returns:
        Float32 [N, D] of each clip, on the CPU, in the order of the batch.
    """
    network: Any = model
    with torch.autocast(batch.rois.device.type, torch.bfloat16, enabled=precision == "bf16"):
        vectors = network.compute_features(**batch.inputs)
    counts = [len(keyframe.boxes) for keyframe in batch.keyframes]
    return list(vectors.float().cpu().split(counts))


def flip_batch(batch: ClipBatch) -> ClipBatch:
    """Mirrors clips, their optical flow and their rois left to right.

    The order of rows, labels, keyframes and the long-term features are those of `batch`.
    """
    slow, fast, flow = (
        None if frames is None else frames.flip(-1)
        for frames in (batch.slow, batch.fast, batch.flow)
    )
    if flow is not None:  # what moved to the right moves to the left
        flow[:, ::2] = 2 * batch.u_at_rest - flow[:, ::2]
    width = next(clip.shape[-1] for clip in (slow, fast, flow) if clip is not None)
    rois = torch.cat((batch.rois[:, :1], flip_boxes(batch.rois[:, 1:], width)), dim=1)
    return replace(batch, slow=slow, fast=fast, flow=flow, rois=rois)


def average_views(views: Sequence[Sequence[Detections]]) -> list[Detections]:
    """Averages the action scores of each keyframe over several views of it.

    A keyframe that some views lack (its clip could not be read again) is averaged over the others.

    Args:
        views: The detections of each view.

    Returns:
        One Detections per keyframe, in the order of the first view.
    """
    by_keyframe: dict[tuple[str, float], list[Detections]] = {}
    for view in views:
        for detections in view:
            by_keyframe.setdefault(
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
        for same in by_keyframe.values()
    ]


def _score(model: nn.Module, batch: ClipBatch, precision: str, multilabel: bool) -> Tensor:
    """Returns scores float32 [K, C] on the CPU, after the sigmoid or the softmax."""
    with torch.autocast(batch.rois.device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits: Tensor = model(**batch.inputs)
    return compute_scores(logits.float(), exclusive=not multilabel).cpu()
