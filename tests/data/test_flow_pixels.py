"""Optical flow beside its frames: cut, mirrored, resized, padded and normalized as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ava_det.data.clip_pixels import ClipPixels
from ava_det.data.clip_reader import ClipReader, FlowOfClips
from ava_det.data.color import ColorChange
from ava_det.data.loader import collate
from ava_det.data.sampling import compute_flow_ticks
from ava_det.data.transforms import (
    Augmentation,
    FlowScale,
    apply_augmentation,
    normalize_batch,
    normalize_flow,
)
from ava_det.flow import ComputedFlow, build_flow, decode_flow, encode_flow, flip_flow, resize_flow
from ava_det.flow.coding import REST
from ava_det.inference.batch import flip_batch
from ava_det.structures import ClipBatch, Keyframe

VMZ = FlowScale(20.0, [0.0046635, 0.0046261], [0.972347, 0.755146], 1)
I3D = FlowScale(20.0, [0.0, 0.0], [20.0, 20.0], 1)
CPU = torch.device("cpu")
NOBODY = Keyframe("v", 1.0, torch.zeros(0, 4), None, torch.zeros(0))


def draw_flow(fields: int = 3, height: int = 40, width: int = 56) -> np.ndarray:
    """Smooth flow within +-15 pixels, float32 [2, F, H, W]."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [np.sin(x / 9 + k) * np.cos(y / 7 - k) for k in range(2 * fields)]
    return 15 * np.stack(waves).reshape(2, fields, height, width).astype(np.float32)


def view_flow(flow: np.ndarray, view: Augmentation) -> np.ndarray:
    seen, _ = apply_augmentation(
        ClipPixels(None, encode_flow(flow)), torch.zeros(0, 4), view, torch.Generator()
    )
    assert seen.frames is None
    assert seen.flow is not None
    return decode_flow(seen.flow)


def test_a_cut_and_a_flip_are_those_of_the_frames() -> None:
    flow = draw_flow()
    seen = view_flow(flow, Augmentation(40, 32, crop_x=0.25, crop_y=1.0, flip=True))
    expected = flip_flow(flow[:, :, 8:40, 6:38])
    np.testing.assert_allclose(seen, expected, atol=0.08)  # half a level


def test_a_mirrored_field_is_mirrored_back_to_the_bit() -> None:
    coded = encode_flow(draw_flow())
    view = Augmentation(40, flip=True)
    nobody = torch.zeros(0, 4)
    once, _ = apply_augmentation(ClipPixels(None, coded), nobody, view, torch.Generator())
    twice, _ = apply_augmentation(once, nobody, view, torch.Generator())
    np.testing.assert_array_equal(twice.flow, coded)
    assert not np.array_equal(coded, once.flow)


def test_values_grow_with_the_frames() -> None:
    flow = draw_flow() / 4
    seen = view_flow(flow, Augmentation(80))
    expected = np.stack([resize_flow(field, 112, 80) for field in flow.swapaxes(0, 1)], axis=1)
    np.testing.assert_allclose(seen, expected, atol=0.25)  # half a level of twice the size, coded


def test_boxes_and_colors_are_those_of_frames_alone() -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (2, 40, 56, 3), dtype=np.uint8)
    coded = encode_flow(draw_flow())
    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.9]])
    color = ColorChange((("brightness", 1.2),), (3.0, 0.0, -3.0))
    view = Augmentation(48, 32, 0.3, 0.7, True, color=color)
    both, placed = apply_augmentation(ClipPixels(frames, coded), boxes, view, torch.Generator())
    alone, expected = apply_augmentation(ClipPixels(frames), boxes, view, torch.Generator())
    np.testing.assert_array_equal(both.frames, alone.frames)
    assert torch.equal(placed, expected)
    uncolored = Augmentation(48, 32, 0.3, 0.7, True)
    plain, moved = apply_augmentation(ClipPixels(None, coded), boxes, uncolored, torch.Generator())
    np.testing.assert_array_equal(both.flow, plain.flow)
    assert torch.equal(moved, expected)


def test_a_flow_of_i3d_is_read_as_its_authors_read_it() -> None:
    coded = torch.arange(256, dtype=torch.uint8).repeat(2, 1).reshape(1, 2, 1, 16, 16)
    torch.testing.assert_close(normalize_flow(coded, I3D), coded / 127.5 - 1, atol=1e-6, rtol=0)


def test_mean_and_std_are_of_u_and_v_in_pixels() -> None:
    flow = draw_flow()
    ready = normalize_flow(torch.from_numpy(encode_flow(flow))[None], VMZ)[0].numpy()
    for axis in range(2):
        expected = (flow[axis] - VMZ.mean[axis]) / VMZ.std[axis]
        np.testing.assert_allclose(ready[axis], expected, atol=0.0785 / VMZ.std[axis])
    assert normalize_flow(torch.zeros(1, 2, 3, 4, 5, dtype=torch.uint8), VMZ).is_contiguous(
        memory_format=torch.channels_last_3d
    )


def test_the_fields_of_a_frame_are_its_channels_in_the_order_of_time() -> None:
    """Channels u1, v1, u2, v2, u3, v3 of two frames of three fields each."""
    levels = torch.tensor([[10, 20, 30, 40, 50, 60], [11, 21, 31, 41, 51, 61]], dtype=torch.uint8)
    coded = levels[None, :, :, None, None].expand(2, 2, 6, 4, 4)
    scale = FlowScale(127.5, [0.0, 0.0], [1.0, 1.0], 3)  # then a level is a pixel
    ready = normalize_flow(coded, scale) + 127.5
    assert ready.shape == (2, 6, 2, 4, 4)
    assert ready[0, :, 0, 0, 0].tolist() == [10, 11, 20, 21, 30, 31]
    assert ready[1, :, 1, 3, 3].tolist() == [40, 41, 50, 51, 60, 61]


@pytest.mark.parametrize("scale", [I3D, VMZ, FlowScale(15.0, [0.5, 0.2], [2.0, 3.0], 3)])
def test_a_flip_on_the_device_is_the_flip_of_the_training_view(scale: FlowScale) -> None:
    coded = encode_flow(draw_flow(fields=6), scale.flow_range)
    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.9], [0.7, 0.0, 1.0, 1.0]])
    keyframe = Keyframe("v", 1.0, boxes, None, torch.ones(2))
    batches = []
    for flip in (False, True):
        view = Augmentation(40, flip=flip)
        seen, pixels = apply_augmentation(ClipPixels(None, coded), boxes, view, torch.Generator())
        assert seen.flow is not None
        rois = torch.cat((torch.zeros(2, 1), pixels), dim=1)
        flow = torch.from_numpy(seen.flow)[None]
        batch = ClipBatch(None, None, rois, None, [keyframe], flow=flow)
        batches.append(normalize_batch(batch, [0.45] * 3, [0.225] * 3, CPU, flow_scale=scale))
    mirrored = flip_batch(batches[0])
    torch.testing.assert_close(mirrored.flow, batches[1].flow, atol=1e-5, rtol=0)
    torch.testing.assert_close(mirrored.rois, batches[1].rois)
    assert batches[0].flow is not None
    again = flip_batch(mirrored).flow
    torch.testing.assert_close(again, batches[0].flow, atol=1e-5, rtol=0)


def make_clips(centered: bool = False) -> ClipReader:
    flow = FlowOfClips(
        compute_flow_ticks(4, 2, 2, 1), 1, ComputedFlow(build_flow("dis"), 20.0), centered
    )
    return ClipReader(4, 2, 30.0, np.arange(4), None, flow=flow)


def test_smaller_fields_are_padded_with_rest() -> None:
    clips = [
        make_clips().make_clip(
            ClipPixels(None, np.full((2, 8, 6, width), 7, np.uint8)), torch.zeros(0, 4), NOBODY
        )
        for width in (8, 12)
    ]
    batch = collate(clips)
    assert batch.slow is None
    assert batch.flow is not None
    assert batch.flow.shape == (2, 2, 8, 6, 12)
    assert (batch.flow[0, ..., :8] == 7).all()
    assert (batch.flow[0, ..., 8:] == REST).all()
    assert (batch.flow[1] == 7).all()


def test_a_blank_clip_does_not_move() -> None:
    blank = make_clips().make_blank(6, 8)
    assert blank.frames is not None
    assert blank.frames.shape == (4, 6, 8, 3)
    assert blank.flow is not None
    assert blank.flow.shape == (2, 8, 6, 8)
    assert (blank.flow == REST).all()


def test_centered_fields_have_no_mean_of_their_own() -> None:
    flow = draw_flow(fields=8) / 3 + np.arange(16, dtype=np.float32).reshape(2, 8, 1, 1) / 3 - 2
    pixels = ClipPixels(None, encode_flow(flow))
    clips = [
        make_clips(centered).make_clip(pixels, torch.zeros(0, 4), NOBODY)
        for centered in (False, True)
    ]
    plain, centered = (decode_flow(clip.flow.numpy()) for clip in clips if clip.flow is not None)
    means = plain.mean(axis=(2, 3), keepdims=True)
    assert np.abs(means).max() > 1
    assert np.abs(centered.mean(axis=(2, 3))).max() <= 0.08  # half a level
    np.testing.assert_allclose(centered, plain - means, atol=0.08)
