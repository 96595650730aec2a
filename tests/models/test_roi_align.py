"""RoIAlign's gradient on the CPU, beside torchvision's."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import roi_align

from ava_det.models.roi_align import align_boxes

# in two clips: inside, over the edges, outside, without extent, and none in a third clip
ROIS = torch.tensor(
    [
        [1, 10, 12, 60, 70],
        [0, -30, -5, 40, 200],
        [1, 500, 500, 600, 600],
        [0, 20, 20, 20, 20],
        [0, 0, 0, 96, 80],
    ],
    dtype=torch.float64,
)


@pytest.mark.parametrize("is_aligned", [True, False])
@pytest.mark.parametrize("rois", [ROIS, ROIS[:0]], ids=["five boxes", "no box"])
def test_values_and_gradient_are_torchvisions(rois: torch.Tensor, is_aligned: bool) -> None:
    maps = torch.randn(3, 10, 5, 6, dtype=torch.float64, requires_grad=True)
    ours = align_boxes(maps, rois, 7, 1 / 16, is_aligned)
    theirs = roi_align(maps, rois, 7, 1 / 16, 0, is_aligned)
    assert torch.equal(ours, theirs)
    weights = torch.randn_like(theirs)
    (expected,) = torch.autograd.grad((theirs * weights).sum(), maps)
    (received,) = torch.autograd.grad((ours * weights).sum(), maps)
    # ten products of numbers near 1 are added in another order
    torch.testing.assert_close(received, expected, rtol=0, atol=1e-12)


def test_the_gradient_is_in_the_layout_of_the_features() -> None:
    maps = torch.randn(2, 8, 5, 6).to(memory_format=torch.channels_last).requires_grad_()
    align_boxes(maps, ROIS.float(), 7, 1 / 16, True).sum().backward()
    assert maps.grad is not None
    assert maps.grad.is_contiguous(memory_format=torch.channels_last)
