from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ava_det.config import load_config
from ava_det.data.clip_pixels import ClipPixels
from ava_det.data.transforms import Augmentation, apply_augmentation
from ava_det.inference.batch import average_views, flip_batch, predict_batch
from ava_det.models.build import build_model
from ava_det.structures import ClipBatch, Keyframe


def make_batch(counts: list[int]) -> ClipBatch:
    generator = torch.Generator().manual_seed(0)
    rois = []
    keyframes = []
    for clip, count in enumerate(counts):
        corners = torch.rand(count, 2, 2, generator=generator).sort(dim=1).values.reshape(count, 4)
        rois.append(torch.cat((torch.full((count, 1), float(clip)), corners * 32), dim=1))
        keyframes.append(
            Keyframe(f"v{clip}", 1.0, corners, None, torch.rand(count, generator=generator))
        )
    fast = torch.randn(len(counts), 3, 16, 32, 32, generator=generator)
    return ClipBatch(fast[:, :, ::4], fast, torch.cat(rois), None, keyframes)


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return build_model(load_config("configs/synthetic/slowfast.yaml", ["model.width=8"])).eval()


def pick(frames: Tensor | None, clip: int) -> Tensor:
    assert frames is not None
    return frames[clip : clip + 1]


def test_a_batch_gives_what_its_clips_give_alone() -> None:
    model = make_model()
    batch = make_batch([2, 0, 3])
    together = predict_batch(model, batch, "fp32")
    for clip, detections in enumerate(together):
        rois = batch.rois[batch.rois[:, 0] == clip].clone()
        rois[:, 0] = 0
        own = ClipBatch(
            pick(batch.slow, clip), pick(batch.fast, clip), rois, None, [batch.keyframes[clip]]
        )
        [alone] = predict_batch(model, own, "fp32")
        torch.testing.assert_close(
            detections.action_scores, alone.action_scores, atol=1e-5, rtol=1e-5
        )
        assert detections.keyframe is batch.keyframes[clip]


def test_scores_are_fractions_and_boxes_the_keyframe_s_own() -> None:
    batch = make_batch([2, 1])
    for keyframe, detections in zip(
        batch.keyframes, predict_batch(make_model(), batch, "fp32"), strict=True
    ):
        assert bool(((detections.action_scores > 0) & (detections.action_scores < 1)).all())
        torch.testing.assert_close(detections.boxes, keyframe.boxes)
        torch.testing.assert_close(detections.person_scores, keyframe.person_scores)


def test_bf16_stays_close_and_returns_float32() -> None:
    model = make_model()
    batch = make_batch([3])
    exact, rounded = (
        predict_batch(model, batch, precision)[0].action_scores for precision in ("fp32", "bf16")
    )
    assert rounded.dtype == torch.float32
    assert float((exact - rounded).abs().max()) < 0.01


class CenterOfMass(nn.Module):
    """Logits that are the mean brightness left and right in each roi: mirrored clips must swap them
    exactly.
    """

    def forward(self, slow: Tensor, fast: Tensor, rois: Tensor) -> Tensor:
        rows = []
        for clip, x1, y1, x2, y2 in rois.round().long().tolist():
            inside = slow[clip, :, :, y1:y2, x1:x2]
            half = inside.shape[-1] // 2
            rows.append(torch.stack((inside[..., :half].mean(), inside[..., -half:].mean())))
        return torch.stack(rows)


def test_a_flipped_batch_looks_at_the_same_pixels() -> None:
    batch = make_batch([2, 3])
    whole = batch.rois.round()
    # boxes of whole pixels, not too thin
    whole[:, 3:] = torch.maximum(whole[:, 3:], whole[:, 1:3] + 4).clamp(max=32)
    whole[:, 1:3] = torch.minimum(whole[:, 1:3], whole[:, 3:] - 4)
    batch = ClipBatch(batch.slow, batch.fast, whole, None, batch.keyframes)
    model = CenterOfMass()
    plain, mirrored = (model(b.slow, b.fast, b.rois) for b in (batch, flip_batch(batch)))
    torch.testing.assert_close(plain, mirrored.flip(1))  # apart from the order of the sums
    twice = flip_batch(flip_batch(batch))
    assert torch.equal(twice.rois, batch.rois)
    assert torch.equal(pick(twice.fast, 1), pick(batch.fast, 1))


def test_a_flip_on_the_device_is_the_flip_of_the_training_view() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (2, 40, 56, 3), dtype=np.uint8)
    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.9], [0.7, 0.0, 1.0, 1.0]])
    keyframe = Keyframe("v", 1.0, boxes, None, torch.ones(2))
    batches = []
    for flip in (False, True):
        seen, pixels = apply_augmentation(
            ClipPixels(frames), boxes, Augmentation(40, flip=flip), torch.Generator()
        )
        clip = torch.from_numpy(seen.frames).permute(3, 0, 1, 2)[None].float()
        rois = torch.cat((torch.zeros(2, 1), pixels), dim=1)
        batches.append(ClipBatch(clip, None, rois, None, [keyframe]))
    mirrored = flip_batch(batches[0])
    assert torch.equal(pick(mirrored.slow, 0), pick(batches[1].slow, 0))
    torch.testing.assert_close(mirrored.rois, batches[1].rois)


def test_views_are_averaged_keyframe_by_keyframe() -> None:
    model = make_model()
    batch = make_batch([2, 1])
    plain = predict_batch(model, batch, "fp32")
    mirrored = predict_batch(model, flip_batch(batch), "fp32")
    both = predict_batch(model, batch, "fp32", flip=True)
    for mean, views in (
        (both, (plain, mirrored)),
        (average_views([plain, mirrored]), (plain, mirrored)),
    ):
        for detections, first, second in zip(mean, *views, strict=True):
            torch.testing.assert_close(
                detections.action_scores, (first.action_scores + second.action_scores) / 2
            )
    missing = average_views([plain, mirrored[1:]])  # the first clip could not be read again
    assert torch.equal(missing[0].action_scores, plain[0].action_scores)
    assert missing[1].keyframe is batch.keyframes[1]
