from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import box_iou

from ava_det.boxes import (
    clip_boxes,
    compute_area,
    compute_iou,
    flip_boxes,
    jitter_boxes,
    normalize_boxes,
    place_as_videomae_ad,
    scale_boxes,
)


@st.composite
def box_sets(draw: st.DrawFn) -> Tensor:
    coordinate = st.floats(0, 1, width=32)
    rows = draw(st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=5))
    corners = torch.tensor(rows, dtype=torch.float32).reshape(-1, 2, 2)
    return torch.cat((corners.amin(dim=1), corners.amax(dim=1)), dim=1)


@given(box_sets(), box_sets())
def test_iou_agrees_with_torchvision(first: Tensor, second: Tensor) -> None:
    expected = box_iou(first, second).nan_to_num(0.0)
    torch.testing.assert_close(compute_iou(first, second), expected)


@given(box_sets())
def test_iou_is_symmetric_and_one_with_itself(boxes: Tensor) -> None:
    iou = compute_iou(boxes, boxes)
    torch.testing.assert_close(iou, iou.T)
    real = compute_area(boxes) > 0
    torch.testing.assert_close(iou.diagonal()[real], torch.ones(int(real.sum())))


def test_known_iou() -> None:
    first = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    second = torch.tensor([[1.0, 1.0, 3.0, 3.0], [2.0, 0.0, 4.0, 2.0], [5.0, 5.0, 4.0, 4.0]])
    torch.testing.assert_close(compute_iou(first, second), torch.tensor([[1 / 7, 0.0, 0.0]]))


@given(box_sets(), st.floats(0.5, 500))
def test_flipping_twice_and_scaling_back_change_nothing(boxes: Tensor, width: float) -> None:
    torch.testing.assert_close(flip_boxes(flip_boxes(boxes, 1.0), 1.0), boxes, atol=1e-6, rtol=0)
    scaled = scale_boxes(boxes, width, 2 * width)
    torch.testing.assert_close(normalize_boxes(scaled, width, 2 * width), boxes)
    torch.testing.assert_close(
        compute_area(scaled), compute_area(boxes) * 2 * width**2, rtol=1e-3, atol=1e-6
    )


@given(box_sets())
def test_a_flipped_box_keeps_its_size(boxes: Tensor) -> None:
    torch.testing.assert_close(
        compute_area(flip_boxes(boxes, 1.0)), compute_area(boxes), atol=1e-5, rtol=1e-4
    )


def test_clipping_moves_only_what_is_outside() -> None:
    boxes = torch.tensor([[-5.0, 3.0, 20.0, 9.0], [1.0, 1.0, 2.0, 2.0]])
    assert clip_boxes(boxes, 10, 8).tolist() == [[0, 3, 10, 8], [1, 1, 2, 2]]


@settings(max_examples=30)
@given(box_sets(), st.integers(0, 1000))
def test_jitter_stays_within_its_share(boxes: Tensor, seed: int) -> None:
    moved = jitter_boxes(boxes, [0.1] * 4, torch.Generator().manual_seed(seed))
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    assert bool(((moved - boxes).abs() <= 0.1 * size + 1e-6).all())


@settings(max_examples=30)
@given(box_sets(), st.integers(0, 1000))
def test_jitter_has_its_own_share_out_and_in(boxes: Tensor, seed: int) -> None:
    moved = jitter_boxes(boxes, (0.2, 0.1, 0.08, 0.05), torch.Generator().manual_seed(seed))
    width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(dim=1)
    outward = torch.stack((boxes[:, :2] - moved[:, :2], moved[:, 2:] - boxes[:, 2:]))
    for axis, size, out, inward in ((0, width, 0.2, 0.1), (1, height, 0.08, 0.05)):
        assert bool((outward[..., axis] <= out * size + 1e-6).all())
        assert bool((outward[..., axis] >= -inward * size - 1e-6).all())


def test_the_margin_of_videomae_ad_is_the_mean_of_its_jitter() -> None:
    boxes = torch.tensor([[0.3, 0.3, 0.7, 0.6]]).repeat(20_000, 1)
    generator = torch.Generator().manual_seed(0)
    moved = jitter_boxes(scale_boxes(boxes, 1000, 1000), (0.2, 0.1, 0.1, 0.05), generator)
    placed = scale_boxes(place_as_videomae_ad(boxes, 1000, 1000)[:1], 1000, 1000)
    torch.testing.assert_close(moved.mean(dim=0)[None], placed, atol=1.0, rtol=0)
    plain = place_as_videomae_ad(boxes[:1], 1000, 1000, has_margin=False)
    torch.testing.assert_close(plain, boxes[:1])
