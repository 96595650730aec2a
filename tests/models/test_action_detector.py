"""The whole network at small sizes: shapes, independence of clips and boxes, precision, gradients,
messages.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from ava_det.config.networks import BACKBONES, LATERALS
from ava_det.models.action_detector import ActionClassifier, ActionDetector
from ava_det.models.classification_head import ClassificationHead
from ava_det.models.roi_head import RoIHead
from ava_det.models.slowfast import SlowFast

T = 2
ALPHA = 4
HEIGHT = 48
WIDTH = 64


def build_small(
    backbone: str = "slowfast", lateral: str = "t_conv", **values: object
) -> ActionDetector:
    torch.manual_seed(0)
    network = SlowFast(
        backbone,
        depth=14,
        width=16,
        alpha=ALPHA,
        beta_inv=4,
        lateral=lateral,
        res5_stride=1,
        res5_dilation=2,
        zero_init_last_gamma=False,
        **values,  # type: ignore[arg-type]
    )
    return ActionDetector(network, RoIHead(network.out_channels, 5, network.feature_stride))


def make_clips(
    batch: int = 2, frames: int = T, height: int = HEIGHT, width: int = WIDTH
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    fast = torch.randn(batch, 3, ALPHA * frames, height, width, generator=generator)
    return {"slow": fast[:, :, ::ALPHA], "fast": fast}


ROIS = torch.tensor(
    [
        [0, 4.0, 4.0, 30.0, 40.0],
        [1, 10.0, 2.0, 60.0, 47.0],
        [1, -20.0, -9.0, 15.0, 20.0],
        [0, 50.0, 30.0, 90.0, 70.0],
    ]
)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_gives_one_row_per_box(backbone: str) -> None:
    model = build_small(backbone).eval()
    assert model(**make_clips(), rois=ROIS).shape == (4, 5)


@pytest.mark.parametrize("lateral", LATERALS)
def test_every_lateral_connection_trains_every_parameter(lateral: str) -> None:
    model = build_small(lateral=lateral)
    model(**make_clips(), rois=ROIS).square().sum().backward()
    without = [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert without == []


@pytest.mark.parametrize("backbone", ["slow_only", "fast_only", "i3d"])
def test_every_parameter_of_a_single_pathway_gets_a_gradient(backbone: str) -> None:
    model = build_small(backbone)
    model(**make_clips(), rois=ROIS).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_batched_equals_single() -> None:
    model = build_small().eval()
    clips = make_clips()
    with torch.no_grad():
        batched = model(**clips, rois=ROIS)
        for index in (0, 1):
            rows = ROIS[:, 0] == index
            rois = ROIS[rows].clone()
            rois[:, 0] = 0
            single = model(
                **{name: clip[index : index + 1] for name, clip in clips.items()}, rois=rois
            )
            torch.testing.assert_close(single, batched[rows], rtol=1e-4, atol=1e-5)


def test_moving_one_box_changes_only_its_row() -> None:
    model = build_small().eval()
    clips = make_clips()
    moved = ROIS.clone()
    moved[1, 1:] -= 7
    with torch.no_grad():
        before = model(**clips, rois=ROIS)
        after = model(**clips, rois=moved)
    assert not torch.allclose(before[1], after[1])
    torch.testing.assert_close(before[[0, 2, 3]], after[[0, 2, 3]], rtol=0, atol=0)


def test_no_boxes_give_no_rows_and_still_train() -> None:
    model = build_small()
    logits = model(**make_clips(), rois=torch.zeros(0, 5))
    assert logits.shape == (0, 5)
    logits.sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_bf16_and_channels_last_agree_with_float32() -> None:
    model = build_small().eval()
    clips = make_clips()
    with torch.no_grad():
        expected = model(**clips, rois=ROIS)
        model = model.to(memory_format=torch.channels_last_3d)
        clips = {
            name: clip.to(memory_format=torch.channels_last_3d) for name, clip in clips.items()
        }
        torch.testing.assert_close(model(**clips, rois=ROIS), expected, rtol=1e-3, atol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(**clips, rois=ROIS)
        halved = model.bfloat16()(
            **{name: clip.bfloat16() for name, clip in clips.items()}, rois=ROIS
        )
    assert logits.dtype == torch.float32
    assert (logits - expected).abs().max() < 0.05 * expected.std() + 0.02
    assert (halved.float() - expected).abs().max() < 0.1 * expected.std() + 0.05


def test_training_under_bf16_autocast() -> None:
    model = build_small(non_local_res4=[0]).to(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(**make_clips(), rois=ROIS)
    logits.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_logits_are_not_squashed() -> None:
    model = build_small().eval()
    torch.nn.init.constant_(model.head.projection.bias, 7.0)
    assert model(**make_clips(), rois=ROIS).min() > 2


def test_odd_sizes() -> None:
    model = build_small(non_local_res4=[0]).eval()
    assert model(**make_clips(height=45, width=71), rois=ROIS).shape == (4, 5)


@pytest.mark.parametrize(
    ("backbone", "missing"), [("slowfast", "fast"), ("slowfast", "slow"), ("fast_only", "fast")]
)
def test_a_missing_clip_is_named(backbone: str, missing: str) -> None:
    clips: dict[str, Tensor | None] = dict(make_clips())
    clips[missing] = None
    with pytest.raises(ValueError, match=f"{missing} clip is missing"):
        build_small(backbone)(**clips, rois=ROIS)


def test_a_wrong_number_of_fast_frames_is_named() -> None:
    clips = make_clips()
    with pytest.raises(ValueError, match=r"fast clip has 7 frames, expected alpha \* T = 4 \* 2"):
        build_small()(clips["slow"], clips["fast"][:, :, :7], ROIS)


def test_missing_rois_are_named() -> None:
    with pytest.raises(ValueError, match=r"rois: expected \[K, 5\]"):
        build_small()(**make_clips())


@pytest.mark.parametrize("size", [(48, 64), (45, 71)])
def test_classifier_gives_one_row_per_clip_and_ignores_rois(size: tuple[int, int]) -> None:
    network = SlowFast(depth=14, width=16, alpha=ALPHA, beta_inv=4, zero_init_last_gamma=False)
    model = ActionClassifier(network, ClassificationHead(network.out_channels, 6)).eval()
    clips = make_clips(height=size[0], width=size[1])
    with torch.no_grad():
        logits = model(**clips)
        torch.testing.assert_close(model(**clips, rois=ROIS), logits, rtol=0, atol=0)
    assert logits.shape == (2, 6)


@pytest.mark.parametrize(
    "values", [{}, {"backbone": "i3d"}, {"backbone": "fast_only"}, {"lateral": "ttoc_concat"}]
)
def test_channels_last_gives_the_same_logits_and_gradients(values: dict[str, str]) -> None:
    """In that layout the factorized convolutions are 2D ones. In float64, where no ReLU stands on
    the edge.
    """
    plain = build_small(**values).double().train()
    plain.head.dropout.p = 0.0
    viewed = copy.deepcopy(plain).to(memory_format=torch.channels_last_3d)
    clips = {name: clip.double() for name, clip in make_clips().items()}
    logits = plain(**clips, rois=ROIS)
    seen = viewed(
        **{n: c.contiguous(memory_format=torch.channels_last_3d) for n, c in clips.items()},
        rois=ROIS,
    )
    # RoIAlign and what follows are float32
    torch.testing.assert_close(seen, logits, rtol=0, atol=2e-6)
    for result in (logits, seen):
        result.square().sum().backward()
    for (name, one), (_, other) in zip(
        plain.named_parameters(), viewed.named_parameters(), strict=True
    ):
        assert one.grad is not None
        assert other.grad is not None
        assert (other.grad - one.grad).norm() <= 1e-4 * one.grad.norm(), name
