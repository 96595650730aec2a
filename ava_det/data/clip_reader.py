"""Reads the frames of a clip around a keyframe, and divides them between the pathways."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ava_det.boxes import place_as_pyslowfast, place_as_videomae_ad
from ava_det.data.sampling import (
    EXTRACTED_GRIDS,
    GridOrigin,
    compute_clip_seconds,
    compute_grid_moments,
    compute_grid_origin,
)
from ava_det.structures import Clip, Keyframe
from ava_det.video.pictures import compute_resized_size
from ava_det.video.reader import TAGGED, FrameReader, VideoError


class ClipReader:
    """Reads the frames of a clip around a keyframe and divides them between the pathways.

    Args:
        num_frames: Frames of a clip.
        stride: Ticks between two frames.
        clip_fps: Ticks a second.
        slow_indices: Which of the frames the Slow pathway gets, None where the network lacks it.
        fast_indices: Which of the frames the Fast pathway gets, None where the network lacks it.
        frame_grid: "seconds" takes for each tick the frame nearest to it. "pyslowfast" and
            "mmaction2" take the frames on which the weights of those projects were trained: both
            cut movies at `grid_start_second` and wrote 30 pictures a second.
        grid_start_second: Annotation time, in seconds, at which movies were cut.
        frame_color: "tagged" or "bt601", as for `FrameReader.read`.
        box_arithmetic: "exact", "pyslowfast" for its rounding of boxes, or "videomae_ad" for its
            margin around them (`place_boxes`).
        clip_shift: Ticks by which the frames come later.
    """

    def __init__(
        self,
        num_frames: int,
        stride: int,
        clip_fps: float,
        slow_indices: np.ndarray | None,
        fast_indices: np.ndarray | None,
        frame_grid: str = "seconds",
        grid_start_second: float = 900.0,
        frame_color: str = TAGGED,
        box_arithmetic: str = "exact",
        clip_shift: int = 0,
    ):
        self.num_frames = num_frames
        self.stride = stride
        self.clip_fps = clip_fps
        self.slow_indices = slow_indices
        self.fast_indices = fast_indices
        self.frame_grid = frame_grid
        self.grid_start_second = grid_start_second
        self.frame_color = frame_color
        self.box_arithmetic = box_arithmetic
        self.clip_shift = clip_shift
        self._origins: dict[Path, GridOrigin] = {}

    def read_frames(
        self, reader: FrameReader, timestamp: float, short_side: int | None
    ) -> np.ndarray:
        """Reads the frames of the clip around an annotation time.

        Args:
            reader: The video.
            timestamp: Annotation time of the keyframe, in seconds.
            short_side: The shorter side of the frames in pixels; None keeps the video's size.

        Returns:
            uint8 RGB [num_frames, H, W, 3].

        Raises:
            VideoError: The keyframe or the video is outside the grid, or the frames cannot be read.
        """
        center = timestamp + self.clip_shift / self.clip_fps
        if self.frame_grid in EXTRACTED_GRIDS:
            origin = self._grid_origin(reader, timestamp)
            grid = self.frame_grid, origin, self.grid_start_second
            exact = compute_grid_moments(*grid, center, self.num_frames, self.stride)
            return reader.read_at_or_after(exact, short_side, self.frame_color)
        moments = compute_clip_seconds(center, self.num_frames, self.stride, self.clip_fps)
        return reader.read(moments, short_side, self.frame_color)

    def find_size(self, reader: FrameReader) -> tuple[int, int]:
        """Returns width and height, in pixels, of the pictures that clips are resized from.

        Pixels are square, except for published weights, which were trained with the pixels of the
        file.
        """
        return (
            reader.stored_size
            if self.frame_grid in EXTRACTED_GRIDS
            else (reader.width, reader.height)
        )

    def place_boxes(
        self, boxes: Tensor, width: int, height: int, short_side: int, margin: bool = True
    ) -> Tensor:
        """Moves boxes to where the weights were trained to find them.

        Args:
            boxes: float32 [N, 4], xyxy in fractions of the frame.
            width: Of the video, in pixels.
            height: Of the video, in pixels.
            short_side: The shorter side of the resized frames, in pixels.
            margin: Whether boxes get the margin of their arithmetic, if it has one. Training
                that jitters boxes leaves it out: it is the mean of that jitter.

        Returns:
            [N, 4], fractions of the resized frame.
        """
        if self.box_arithmetic == "exact":
            return boxes
        size = compute_resized_size(width, height, short_side)
        if self.box_arithmetic == "videomae_ad":
            return place_as_videomae_ad(boxes, *size, margin)
        return place_as_pyslowfast(boxes, width, height, *size)

    def _grid_origin(self, reader: FrameReader, timestamp: float) -> GridOrigin:
        """Returns the grid's origin in this video, which is kept for later readers of it."""
        advice = (
            f"data.frame_grid {self.frame_grid} counts from "
            f"data.grid_start_second = {self.grid_start_second:g}"
        )
        if timestamp < self.grid_start_second:
            raise VideoError(
                f"{reader.path}: {advice}, expected no keyframe before it, received {timestamp:g}"
            )
        if reader.path not in self._origins:
            # the file's clock starts with its sound
            cut = Fraction(self.grid_start_second) - reader.delay
            first = reader.find_at_or_after(cut)
            if first is None:
                raise VideoError(f"{reader.path}: {advice}, expected a video that reaches it")
            self._origins[reader.path] = compute_grid_origin(
                self.frame_grid,
                first,
                cut,
                reader.frame_rate,
                reader.has_audio,
                reader.path.suffix.lower(),
                reader.audio_rate or 44_100,
            )
        return self._origins[reader.path]

    def make_clip(self, frames: np.ndarray, boxes: Tensor, keyframe: Keyframe) -> Clip:
        """Divides frames between the pathways.

        Args:
            frames: uint8 RGB [num_frames, H, W, 3].
            boxes: float32 [N, 4], xyxy in pixels of the frames.
            keyframe: The keyframe, which has the labels.

        Returns:
            A clip of uint8 frames, [3, T, H, W] for each pathway.
        """
        channels_first = torch.from_numpy(frames).permute(3, 0, 1, 2)
        slow = None if self.slow_indices is None else channels_first[:, self.slow_indices]
        fast = None if self.fast_indices is None else channels_first[:, self.fast_indices]
        return Clip(slow, fast, boxes, keyframe.labels, keyframe)
