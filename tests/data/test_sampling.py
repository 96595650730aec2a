from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_det.data.sampling import compute_clip_seconds, compute_clip_ticks, compute_slow_indices


def test_the_paper_s_4x16_clip() -> None:
    fast = compute_clip_ticks(32, 2)
    assert fast.tolist() == list(range(-32, 32, 2))
    slow = fast[compute_slow_indices(32, 8, "stride")]
    assert slow.tolist() == [-32, -16, 0, 16] == compute_clip_ticks(4, 16).tolist()


def test_pyslowfast_s_slow_frames() -> None:
    assert compute_slow_indices(32, 4, "linspace").tolist() == [0, 4, 8, 13, 17, 22, 26, 31]


@given(
    st.integers(1, 16),
    st.sampled_from([1, 2, 4, 8]),
    st.integers(1, 8),
    st.sampled_from(["stride", "linspace"]),
)
def test_slow_frames_are_fast_frames_in_order(
    slow: int, alpha: int, stride: int, policy: str
) -> None:
    indices = compute_slow_indices(slow * alpha, alpha, policy)
    assert len(indices) == slow
    assert bool((np.diff(indices) > 0).all())
    assert 0 <= indices[0] <= indices[-1] < slow * alpha


@given(st.integers(1, 64), st.integers(1, 16))
def test_a_clip_spans_num_frames_times_stride_around_the_keyframe(
    num_frames: int, stride: int
) -> None:
    ticks = compute_clip_ticks(num_frames, stride)
    assert len(ticks) == num_frames
    assert bool((np.diff(ticks) == stride).all())
    assert ticks[0] == -(num_frames * stride // 2)


@pytest.mark.parametrize("clip_fps", [24.0, 30.0])
def test_seconds_do_not_depend_on_the_video(clip_fps: float) -> None:
    seconds = compute_clip_seconds(902.0, compute_clip_ticks(4, 16), clip_fps)
    np.testing.assert_allclose(seconds, 902 + np.array([-32, -16, 0, 16]) / clip_fps)
