"""The pairs of a video: every frame, or a grid of its own; damage is found."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ava_det.flow import count_pairs, video_flow
from ava_det.video.folder import open_video
from ava_det.video.reader import VideoError
from tests.support.damaged_video import write_damaged
from tests.support.numbered_video import read_number, write_numbered_video


class Numbers:
    """Answers which frames it was given: u is the number of the first, v that of the second."""

    name = "numbers"

    def compute(self, previous: np.ndarray, following: np.ndarray) -> np.ndarray:
        height, width = previous.shape[:2]
        numbers = np.array([read_number(previous), read_number(following)], dtype=np.float32)
        return np.broadcast_to(numbers[:, None, None], (2, height, width)).copy()


def list_pairs(
    path: Path, fps: float | None = None, short_side: int | None = None
) -> tuple[list[float], list[tuple[int, int]], int]:
    """Times, numbers of the two frames, and how many pairs were announced."""
    with open_video(path) as reader:
        count = count_pairs(reader, fps)
        found = list(video_flow(reader, Numbers(), short_side, fps))
    pairs = [(int(flow[0, 0, 0]), int(flow[1, 0, 0])) for _, flow in found]
    return [seconds for seconds, _ in found], pairs, count


def test_every_frame_begins_a_pair_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(k, 25) for k in range(20)], rate=25)
    seconds, pairs, count = list_pairs(path)
    assert pairs == [(k, k + 1) for k in range(19)]
    assert seconds == pytest.approx([k / 25 for k in range(19)])
    assert count == 19


def test_on_a_grid_each_place_takes_the_frame_nearest_in_time(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(k, 30) for k in range(31)], rate=30)
    seconds, pairs, count = list_pairs(path, fps=12)
    # places at 0, 2.5, 5, 7.5, ... frames; the earlier of two that are equally near
    numbers = [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 30]
    assert pairs == list(pairwise(numbers))
    assert seconds == pytest.approx([k / 12 for k in range(12)])
    assert count == 12


def test_frames_are_resized_before(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_numbered_video(path, [Fraction(k, 25) for k in range(3)], rate=25)
    with open_video(path) as reader:
        shapes = {flow.shape for _, flow in video_flow(reader, Numbers(), short_side=24)}
    assert shapes == {(2, 24, 32)}


def test_a_damaged_or_cut_video_is_refused(tmp_path: Path) -> None:
    damaged = write_damaged(tmp_path / "damaged.mp4")
    with pytest.raises(VideoError, match=r"damaged.mp4: is cut off or damaged after"):
        list_pairs(damaged)
    whole = tmp_path / "whole.mkv"
    write_numbered_video(whole, [Fraction(k, 25) for k in range(250)], rate=25)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(VideoError, match=r"cut.mkv: is cut off or damaged after"):
        list_pairs(cut)
