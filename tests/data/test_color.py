"""Colors of a clip: the steps as PySlowFast takes them one by one, in one matrix; boxes and shapes
untouched.
"""

from __future__ import annotations

import colorsys

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from ava_det.data.clip_pixels import ClipPixels
from ava_det.data.color import (
    DEVIATIONS,
    DIRECTIONS,
    GRAY,
    ColorChange,
    change_colors,
    draw_color_change,
)
from ava_det.data.hsv import NO_HSV_JITTER, HsvChange, change_hsv, draw_hsv_change
from ava_det.data.transforms import Augmentation, apply_augmentation, draw_training_augmentation


def draw(jitter: float, lighting: float, seed: int = 0) -> ColorChange | None:
    return draw_color_change(jitter, lighting, torch.Generator().manual_seed(seed))


def noise(seed: int, low: int = 0, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (3, 16, 20, 3), dtype=np.uint8)


def one_by_one(frames: np.ndarray, change: ColorChange, mean_of: np.ndarray) -> np.ndarray:
    """The definition: mix with black, with the mean gray, or with each pixel's gray."""
    pixels = frames.astype(np.float64)
    for name, factor in change.steps:
        others = {
            "brightness": np.zeros_like(pixels),
            "contrast": np.full_like(pixels, (pixels @ GRAY)[:, ::4, ::4].mean()),
            "saturation": np.repeat((pixels @ GRAY)[..., None], 3, axis=-1),
        }[name]
        pixels = factor * pixels + (1 - factor) * others
    return (pixels + change.shift).clip(0, 255)


@given(st.integers(0, 10_000), st.floats(0.05, 1), st.floats(0, 0.3))
def test_one_matrix_is_all_steps(seed: int, jitter: float, lighting: float) -> None:
    change = draw(jitter, lighting, seed)
    frames = noise(seed)
    assert change is not None
    assert sorted(name for name, _ in change.steps) == ["brightness", "contrast", "saturation"]
    assert all(1 - jitter <= factor <= 1 + jitter for _, factor in change.steps)
    changed = change_colors(frames, change)
    assert changed.dtype == np.uint8
    assert changed.shape == frames.shape
    np.testing.assert_allclose(changed, one_by_one(frames, change, frames), atol=1.0)


def test_known_colors() -> None:
    frames = np.full((1, 8, 8, 3), (200, 100, 50), np.uint8)
    gray = (frames[0, 0, 0] @ GRAY).round()
    plain = (0.0, 0.0, 0.0)
    assert change_colors(frames, ColorChange((("brightness", 0.5),), plain))[0, 0, 0].tolist() == [
        100,
        50,
        25,
    ]
    assert (
        change_colors(frames, ColorChange((("saturation", 0.0),), plain))[0, 0, 0].tolist()
        == [gray] * 3
    )
    assert (
        change_colors(frames, ColorChange((("contrast", 0.0),), plain))[0, 0, 0].tolist()
        == [gray] * 3
    )
    assert change_colors(frames, ColorChange((("brightness", 2.0),), plain))[0, 0, 0].tolist() == [
        255,
        200,
        100,
    ]
    assert change_colors(frames, ColorChange((), (5.0, -100.0, -60.0)))[0, 0, 0].tolist() == [
        205,
        0,
        0,
    ]


def test_off_draws_nothing_and_leaves_the_view_as_it_was() -> None:
    assert draw(0, 0) is None
    sides = (32, 40)
    generator = torch.Generator
    settings = (sides, 32, True, (0.1, 0.1, 0.1, 0.1))
    plain = draw_training_augmentation(*settings, generator().manual_seed(3))
    colored = draw_training_augmentation(
        *settings, generator().manual_seed(3), 0.4, 0.1, (20, 0.1, 0.1)
    )
    assert colored.color is not None
    assert colored.hsv is not None
    assert colored.__dict__ | {"color": None, "hsv": None} == plain.__dict__


def test_lighting_follows_the_directions_of_color() -> None:
    shifts = np.array(
        [change.shift for seed in range(2000) if (change := draw(0, 0.1, seed)) is not None]
    )
    expected = (DIRECTIONS * (25.5 * DEVIATIONS) ** 2) @ DIRECTIONS.T
    np.testing.assert_allclose(np.cov(shifts.T), expected, atol=0.12 * expected.max())


@given(st.integers(0, 1000))
def test_a_view_with_colors_repeats_and_moves_no_box(seed: int) -> None:
    frames = noise(seed)
    boxes = torch.rand(3, 4, generator=torch.Generator().manual_seed(seed)).sort(dim=1).values
    views = [Augmentation(16, 12, flip=True, color=draw(0.4, 0.1, seed)) for _ in range(2)]
    (first, moved), (second, _) = (
        apply_augmentation(ClipPixels(frames), boxes, view, torch.Generator()) for view in views
    )
    np.testing.assert_array_equal(first.frames, second.frames)
    uncolored = Augmentation(16, 12, flip=True)
    _, plain = apply_augmentation(ClipPixels(frames), boxes, uncolored, torch.Generator())
    assert torch.equal(moved, plain)


@given(st.integers(0, 10_000), st.floats(-180, 180), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_a_shift_of_hue_saturation_and_value_is_the_standard_librarys(
    seed: int, hue: float, saturation: float, value: float
) -> None:
    frames = noise(seed)[:1, :3, :3]
    shifted = change_hsv(frames, HsvChange(hue, saturation, value))
    for pixel, received in zip(frames.reshape(-1, 3), shifted.reshape(-1, 3), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*(pixel / 255))
        s, v = (min(max(x, 0.0), 1.0) for x in (s + saturation, v + value))
        expected = np.array(colorsys.hsv_to_rgb((h + hue / 360) % 1, s, v)) * 255
        np.testing.assert_allclose(received, expected, atol=1.01)


def test_a_shift_stays_in_its_limits_and_repeats() -> None:
    def draw_shift(seed: int) -> HsvChange:
        change = draw_hsv_change((20, 0.1, 0.05), torch.Generator().manual_seed(seed))
        assert change is not None
        return change

    drawn = np.array([draw_shift(seed) for seed in range(500)])
    assert (np.abs(drawn) <= [20, 0.1, 0.05]).all()
    assert (np.abs(drawn).max(axis=0) > 0.95 * np.array([20, 0.1, 0.05])).all()
    assert (drawn.min(axis=0) < 0).all()
    assert draw_shift(4) == draw_shift(4)
    assert draw_hsv_change(NO_HSV_JITTER, torch.Generator()) is None


def test_a_view_shifts_the_colors_of_its_frames() -> None:
    frames = noise(3)
    view = Augmentation(16, hsv=HsvChange(60, 0.0, 0.0))
    shifted, _ = apply_augmentation(ClipPixels(frames), torch.zeros(0, 4), view, torch.Generator())
    np.testing.assert_array_equal(shifted.frames, change_hsv(frames, HsvChange(60, 0.0, 0.0)))
    red = np.full((1, 16, 20, 3), (200, 0, 0), np.uint8)
    assert change_hsv(red, HsvChange(120, 0, 0))[0, 0, 0].tolist() == [0, 200, 0]
