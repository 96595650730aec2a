"""Optical flow: the same as OpenCV's own calls, and right where the motion is known."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torchvision.models.optical_flow import raft_small

from ava_det.choices import FLOW_ALGORITHMS
from ava_det.flow import build_flow, compute_clip_flow
from ava_det.flow.raft import Raft

HAS_CONTRIB = hasattr(cv2, "optflow")
CLASSICAL = [
    "dis",
    "farneback",
    pytest.param(
        "tvl1", marks=pytest.mark.skipif(not HAS_CONTRIB, reason="this OpenCV has no contrib")
    ),
]


def draw_pattern(width: int = 96, height: int = 64) -> np.ndarray:
    """Smooth noise, uint8 RGB [H, W, 3], whose three channels differ."""
    noise = np.random.default_rng(0).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.asarray(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)).astype(np.uint8)


def move(frame: np.ndarray, u: int, v: int) -> np.ndarray:
    """The frame, its content moved u pixels to the right and v down."""
    return np.roll(frame, (v, u), axis=(0, 1))


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize(("u", "v"), [(3, 0), (0, 2), (-2, 3)])
def test_u_points_to_the_right_and_v_down(name: str, u: int, v: int) -> None:
    frame = draw_pattern()
    flow = build_flow(name).compute(frame, move(frame, u, v))
    assert flow.shape == (2, 64, 96)
    assert flow.dtype == np.float32
    inner = flow[:, 12:-12, 12:-12]  # what comes in at an edge has no motion
    assert np.median(inner, axis=(1, 2)) == pytest.approx([u, v], abs=0.05)


@pytest.mark.parametrize("name", CLASSICAL)
def test_nothing_moves_between_equal_frames(name: str) -> None:
    frame = draw_pattern()
    inner = build_flow(name).compute(frame, frame)[:, 12:-12, 12:-12]  # Farneback errs at edges
    assert np.abs(inner).max() < 0.01


def test_dis_is_opencvs_medium_preset_on_gray_frames() -> None:
    frames = draw_pattern(), move(draw_pattern(), 2, -1)
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    expected = search.calc(*gray, None)
    np.testing.assert_array_equal(
        build_flow("dis").compute(*frames), expected.transpose(2, 0, 1), strict=True
    )


def test_farneback_has_the_parameters_of_opencvs_class() -> None:
    frames = draw_pattern(), move(draw_pattern(), 2, -1)
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    search: Any = cv2.FarnebackOpticalFlow.create()
    expected = search.calc(*gray, None)
    np.testing.assert_array_equal(
        build_flow("farneback").compute(*frames), expected.transpose(2, 0, 1), strict=True
    )


@pytest.mark.skipif(not HAS_CONTRIB, reason="this OpenCV has no contrib")
def test_tvl1_is_opencvs_with_its_defaults() -> None:
    frames = draw_pattern(), move(draw_pattern(), 2, -1)
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    optflow: Any = getattr(cv2, "optflow")  # noqa: B009  (stubs lack it)
    expected = optflow.DualTVL1OpticalFlow_create().calc(*gray, None)
    np.testing.assert_array_equal(
        build_flow("tvl1").compute(*frames), expected.transpose(2, 0, 1), strict=True
    )


@pytest.mark.parametrize("name", ["dis", "farneback"])
def test_a_pair_does_not_depend_on_the_pairs_before(name: str) -> None:
    frame = draw_pattern()
    algorithm = build_flow(name)
    first = algorithm.compute(frame, move(frame, 2, 1))
    algorithm.compute(frame, move(frame, -3, 2))
    np.testing.assert_array_equal(algorithm.compute(frame, move(frame, 2, 1)), first)


def test_without_contrib_one_sentence_says_how_to_get_tvl1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(cv2, "optflow", raising=False)
    with pytest.raises(ValueError, match=r"pip uninstall opencv-python-headless.*contrib"):
        build_flow("tvl1")


def test_small_frames_and_wrong_names_are_refused() -> None:
    small = draw_pattern(100, 12)  # OpenCV 5 ends the process at these
    with pytest.raises(ValueError, match="at least 32x32 pixels, received 100x12"):
        build_flow("dis").compute(small, small)
    with pytest.raises(ValueError, match="expected one of dis, farneback, tvl1, raft, received"):
        build_flow("brox")
    assert FLOW_ALGORITHMS == ("dis", "farneback", "tvl1", "raft")


def test_a_clip_has_a_field_less_than_frames() -> None:
    frame = draw_pattern()
    frames = np.stack([frame, move(frame, 3, 0), move(frame, 3, 2)])
    algorithm = build_flow("farneback")
    flow = compute_clip_flow(algorithm, frames)
    assert flow.shape == (2, 2, 64, 96)
    assert flow.dtype == np.float32
    np.testing.assert_array_equal(flow[:, 1], algorithm.compute(frames[1], frames[2]))
    assert np.median(flow[:, :, 12:-12, 12:-12], axis=(2, 3)) == pytest.approx(
        np.array([[3, 0], [0, 2]]), abs=0.05
    )
    with pytest.raises(ValueError, match="expected two frames or more, received 1"):
        compute_clip_flow(algorithm, frames[:1])


def test_raft_takes_frames_of_any_size_and_returns_the_last_field() -> None:
    torch.manual_seed(0)
    network = raft_small(weights=None)
    frame = draw_pattern(137, 90)
    flow = Raft(network).compute(frame, move(frame, 1, 0))
    assert flow.shape == (2, 90, 137)
    assert flow.dtype == np.float32
    assert np.isfinite(flow).all()


def test_raft_sees_padded_frames_from_minus_one_to_one() -> None:
    class Difference(torch.nn.Module):
        """Answers a worse field, then what it was given."""

        def forward(self, previous: torch.Tensor, following: torch.Tensor) -> list[torch.Tensor]:
            assert previous.shape == following.shape == (1, 3, 128, 144)
            assert previous[0, 0, 0, 0] == -1
            assert following[0, 2, 127, 143] == 1
            return [torch.zeros(1, 2, 128, 144), following[:, :2] - previous[:, 1:]]

    black = np.zeros((90, 137, 3), dtype=np.uint8)
    flow = Raft(Difference()).compute(black, black + np.uint8(255))
    np.testing.assert_array_equal(flow, np.full((2, 90, 137), 2, dtype=np.float32))
