"""Computes the optical flow of a whole video, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ava_det.flow.algorithm import FlowAlgorithm
from ava_det.video.file import ROUNDING
from ava_det.video.pictures import resize_short_side
from ava_det.video.reader import FrameReader, VideoError

MISSING_SECONDS = 2.0  # headers round, and sound may end later: what ends this early is cut off

TimedFrame = tuple[float, np.ndarray]  # its time in seconds, and RGB uint8 [H, W, 3]
TimedField = tuple[float, np.ndarray]  # the time of the first frame, and float32 [2, H, W]


def video_flow(
    reader: FrameReader,
    algorithm: FlowAlgorithm,
    short_side: int | None = None,
    fps: float | None = None,
) -> Iterator[TimedField]:
    """Computes the flow of every pair of neighboring frames of a video.

    Args:
        reader: The video.
        algorithm: Computes each pair.
        short_side: The shorter side of the frames in pixels, resized before (bilinear, aspect
            kept); None keeps the video's size.
        fps: Frames a second of a grid from the first frame on, of which each place takes the frame
            nearest to it, the earlier of two equally near; None takes every frame of the video.

    Yields:
        The time of the first frame of a pair, in seconds, and float32 [2, H, W].

    Raises:
        VideoError: The video is damaged or cut off, raised where it is met, the end at last; or its
            frames are too small for the algorithm.
    """
    frames = _whole(reader)
    previous: TimedFrame | None = None
    for seconds, picture in frames if fps is None else _on_grid(frames, reader.start_second, fps):
        small = resize_short_side(picture, short_side)
        if previous is not None:
            try:
                flow = algorithm.compute(previous[1], small)
            except ValueError as error:
                raise VideoError(f"{reader.path}: {error}") from error
            yield previous[0], flow
        previous = seconds, small


def count_pairs(reader: FrameReader, fps: float | None = None) -> int:
    """Counts the pairs that `video_flow` will compute, by what the file says of its frames.

    Args:
        reader: The video.
        fps: As for `video_flow`.
    """
    seconds = reader.listed_seconds()
    if fps is None:
        return max(len(seconds) - 1, 0)
    return int((seconds[-1] - seconds[0]) * fps) if len(seconds) else 0


def _whole(reader: FrameReader) -> Iterator[TimedFrame]:
    """Yields the frames of a video; raises VideoError where some are lost."""
    declared = None if reader.duration is None else reader.start_second + reader.duration
    last = reader.start_second
    for seconds, picture in reader.frames():
        if reader.lost:
            break
        last = seconds
        yield seconds, picture
    # having read all, the reader knows where the last frame really ends
    is_cut = declared is not None and reader.find_end() < declared - MISSING_SECONDS
    if reader.lost or is_cut:
        raise VideoError(f"{reader.path}: is cut off or damaged after {last:.1f} s")


def _on_grid(frames: Iterable[TimedFrame], start: float, fps: float) -> Iterator[TimedFrame]:
    """Yields for each place of the grid its time and the picture nearest to it."""
    number = 0
    previous: TimedFrame | None = None
    for frame in frames:
        middle = (0 if previous is None else previous[0] + frame[0]) / 2 + ROUNDING
        while previous is not None and start + number / fps <= middle:
            yield start + number / fps, previous[1]
            number += 1
        previous = frame
    while previous is not None and start + number / fps < previous[0] + 0.5 / fps:
        yield start + number / fps, previous[1]
        number += 1
