"""The 8-bit coding of optical flow, its flip and its resizing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ava_det.flow import build_flow, decode_flow, encode_flow, flip_flow, resize_flow

FIELDS = arrays(np.float32, (2, 3, 4), elements=st.floats(-100, 100, width=32))
RANGES = st.sampled_from([1.0, 8.0, 20.0, 32.0])


@pytest.mark.parametrize(
    ("speed", "level"),
    # dense_flow rounds 255 (v + 20) / 40 as C does: to the even one of two equally near
    [(-20, 0), (-50, 0), (20, 255), (99, 255), (0, 128), (10, 191), (-10, 64), (0.1, 128)],
)
def test_the_levels_are_those_of_dense_flow(speed: float, level: int) -> None:
    assert encode_flow(np.array([speed], dtype=np.float32)).tolist() == [level]


def test_decoding_is_i3ds_in_units_of_the_range() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert decode_flow(levels, 20) / 20 == pytest.approx(levels / 127.5 - 1, abs=1e-6)
    np.testing.assert_array_equal(encode_flow(decode_flow(levels, 20), 20), levels)


@given(FIELDS, RANGES)
def test_what_is_within_the_range_comes_back_within_half_a_level(
    flow: np.ndarray, flow_range: float
) -> None:
    decoded = decode_flow(encode_flow(flow, flow_range), flow_range)
    assert decoded.dtype == np.float32
    error = np.abs(decoded - flow.clip(-flow_range, flow_range))
    assert error.max() <= flow_range / 255 + 1e-4 * flow_range / 20


@given(FIELDS)
def test_a_flip_negates_u_and_twice_is_none(flow: np.ndarray) -> None:
    flipped = flip_flow(flow)
    np.testing.assert_array_equal(flipped[0], -flow[0, :, ::-1])
    np.testing.assert_array_equal(flipped[1], flow[1, :, ::-1])
    np.testing.assert_array_equal(flip_flow(flipped), flow)


def draw_turning() -> tuple[np.ndarray, np.ndarray]:
    """Two frames of smooth noise that turns and grows, uint8 RGB."""
    noise = np.random.default_rng(1).normal(size=(96, 128)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    gray = np.asarray(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)).astype(np.uint8)
    frame = np.repeat(gray[..., None], 3, axis=2)
    turn = cv2.getRotationMatrix2D((50, 40), 2.0, 1.02)
    return frame, cv2.warpAffine(frame, turn, (128, 96), borderMode=cv2.BORDER_REFLECT)


def test_flow_of_mirrored_frames_is_the_mirrored_flow() -> None:
    frames = draw_turning()
    algorithm = build_flow("farneback")
    mirrored = algorithm.compute(*(np.ascontiguousarray(frame[:, ::-1]) for frame in frames))
    expected = flip_flow(algorithm.compute(*frames))
    inner = np.s_[:, 12:-12, 12:-12]
    assert np.abs(expected[inner]).max() > 2
    assert np.abs(mirrored[inner] - expected[inner]).mean() < 0.02


def test_flow_of_resized_frames_is_nearly_the_resized_flow() -> None:
    frames = draw_turning()
    algorithm = build_flow("farneback")
    small = algorithm.compute(*(cv2.resize(frame, (96, 48)) for frame in frames))
    expected = resize_flow(algorithm.compute(*frames), 96, 48)
    inner = np.s_[:, 8:-8, 8:-8]
    assert np.abs(small[inner] - expected[inner]).mean() < 0.1


def test_resizing_scales_each_component_by_its_own_axis() -> None:
    flow = np.stack([np.full((10, 20), 4.0), np.full((10, 20), -6.0)]).astype(np.float32)
    resized = resize_flow(flow, 10, 15)
    assert resized.shape == (2, 15, 10)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized[0], 2.0)
    np.testing.assert_allclose(resized[1], -9.0)
