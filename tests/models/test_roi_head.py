"""The detection head against RoIAlign worked out by hand, and its less usual values."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ava_det.models.roi_head import RoIHead


def identity_head(channels: int = 1, **values: Any) -> RoIHead:
    """A head whose logits are its pooled features."""
    num_classes = channels * (2 if values.get("context") else 1)
    head = RoIHead([channels], num_classes, 16, **values).eval()
    torch.nn.init.eye_(head.projection.weight)
    return head


def ramp(height: int = 8, width: int = 8, frames: int = 1) -> Tensor:
    """A feature map whose value is its column."""
    return torch.arange(float(width)).expand(1, 1, frames, height, width).clone()


@pytest.mark.parametrize(("aligned", "shift"), [(True, 0.5), (False, 0.0)])
def test_aligned_moves_the_samples_by_half_a_cell(aligned: bool, shift: float) -> None:
    """A box over columns 2..4 in seven bins: the last bin is centerd 1/14 of the box before its
    right edge.
    """
    logits = identity_head(aligned=aligned)([ramp()], torch.tensor([[0, 32.0, 32.0, 64.0, 64.0]]))
    assert logits.item() == pytest.approx(2 + 2 * 13 / 14 - shift, abs=1e-5)


def test_the_time_mean_commutes_with_roi_align() -> None:
    features = torch.randn(2, 3, 4, 8, 8)
    rois = torch.tensor([[0, 5.0, 8.0, 90.0, 100.0], [1, -10.0, 3.0, 60.0, 130.0]])
    head = identity_head(3, resolution=1)
    frame_by_frame = torch.stack([head([features[:, :, t : t + 1]], rois) for t in range(4)]).mean(
        dim=0
    )
    torch.testing.assert_close(head([features], rois), frame_by_frame)


def test_max_over_time_and_context() -> None:
    features = ramp(frames=3)
    features[:, :, 1] += 10
    rois = torch.tensor([[0, 32.0, 32.0, 64.0, 64.0]])
    head = identity_head(time_pool="max", context=True, resolution=8)
    logits = head([features], rois)
    assert logits[0, 0].item() == pytest.approx(10 + 2 + 2 * 15 / 16 - 0.5, abs=1e-5)
    assert logits[0, 1].item() == pytest.approx(17.0)


def test_hidden_layer_is_a_relu_network() -> None:
    head = identity_head(hidden_layer=True)
    assert head.hidden is not None
    torch.nn.init.constant_(head.hidden.weight, -1.0)
    assert head([ramp()], torch.tensor([[0, 32.0, 32.0, 64.0, 64.0]])).item() == 0.0


def test_unknown_time_pool() -> None:
    with pytest.raises(ValueError, match="expected mean or max"):
        RoIHead([1], 1, 16, time_pool="median")
