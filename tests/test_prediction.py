from __future__ import annotations

import torch
from torch import Tensor, nn

from ava_det.build import build_model
from ava_det.config import load_config
from ava_det.prediction import predict_batch
from ava_det.structures import ClipBatch, Keyframe


def make_batch(counts: list[int]) -> ClipBatch:
    generator = torch.Generator().manual_seed(0)
    rois, keyframes = [], []
    for clip, count in enumerate(counts):
        corners = torch.rand(count, 2, 2, generator=generator).sort(dim=1).values.reshape(count, 4)
        rois.append(torch.cat((torch.full((count, 1), float(clip)), corners * 32), dim=1))
        keyframes.append(Keyframe(f"v{clip}", 1.0, corners, None, torch.rand(count, generator=generator)))
    fast = torch.randn(len(counts), 3, 16, 32, 32, generator=generator)
    return ClipBatch(fast[:, :, ::4], fast, torch.cat(rois), None, keyframes)


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return build_model(load_config("configs/synthetic/slowfast.yaml", ["model.width=8"])).eval()


def pick(frames: Tensor | None, clip: int) -> Tensor:
    assert frames is not None
    return frames[clip : clip + 1]


def test_a_batch_gives_what_its_clips_give_alone() -> None:
    model, batch = make_model(), make_batch([2, 0, 3])
    together = predict_batch(model, batch, "fp32")
    for clip, detections in enumerate(together):
        rois = batch.rois[batch.rois[:, 0] == clip].clone()
        rois[:, 0] = 0
        own = ClipBatch(pick(batch.slow, clip), pick(batch.fast, clip), rois, None, [batch.keyframes[clip]])
        [alone] = predict_batch(model, own, "fp32")
        torch.testing.assert_close(detections.action_scores, alone.action_scores, atol=1e-5, rtol=1e-5)
        assert detections.keyframe is batch.keyframes[clip]


def test_scores_are_fractions_and_boxes_the_keyframe_s_own() -> None:
    batch = make_batch([2, 1])
    for keyframe, detections in zip(batch.keyframes, predict_batch(make_model(), batch, "fp32"), strict=True):
        assert bool(((detections.action_scores > 0) & (detections.action_scores < 1)).all())
        torch.testing.assert_close(detections.boxes, keyframe.boxes)
        torch.testing.assert_close(detections.person_scores, keyframe.person_scores)


def test_bf16_stays_close_and_returns_float32() -> None:
    model, batch = make_model(), make_batch([3])
    exact, rounded = (predict_batch(model, batch, precision)[0].action_scores for precision in ("fp32", "bf16"))
    assert rounded.dtype == torch.float32
    assert float((exact - rounded).abs().max()) < 0.01
