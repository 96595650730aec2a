"""Reads the frames of a clip around a keyframe and their optical flow, as a network takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ava_det.boxes import place_as_pyslowfast, place_as_videomae_ad
from ava_det.data.clip_pixels import MID_GRAY, ClipPixels
from ava_det.data.sampling import (
    EXTRACTED_GRIDS,
    GridOrigin,
    compute_clip_seconds,
    compute_clip_ticks,
    compute_grid_moments,
    compute_grid_origin,
)
from ava_det.flow import ComputedFlow, StoredFlow
from ava_det.flow.coding import REST, center_coded
from ava_det.structures import Clip, Keyframe
from ava_det.video.pictures import compute_resized_size
from ava_det.video.reader import TAGGED, FrameReader, Picture, VideoError
from ava_det.video.sources import video_id_of

SAME_PACE = 0.99  # a video of 29.97 frames a second has the pace of 30 ticks


@dataclass(frozen=True)
class FlowOfClips:
    """Describes the optical flow that belongs to a clip.

    Attributes:
        ticks: int64 [F], at which the pairs of frames begin, see `compute_flow_ticks`.
        gap: Ticks between the two frames of a pair.
        source: Computes the fields, or reads them from folders.
        is_centered: Whether its own mean is taken from each field, after it is cropped.
    """

    ticks: np.ndarray
    gap: int
    source: ComputedFlow | StoredFlow
    is_centered: bool = False


class ClipReader:
    """Reads the frames of a clip around a keyframe and divides them between the pathways.

    Args:
        num_frames: Frames of a clip; 0 for a network of optical flow alone.
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
        flow: The optical flow of the clip; None for a network that reads none.
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
        flow: FlowOfClips | None = None,
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
        self.flow = flow
        self.ticks = compute_clip_ticks(num_frames, stride)
        self._origins: dict[Path, GridOrigin] = {}

    @property
    def num_ticks(self) -> int:
        """Returns the length of a clip with its flow in ticks, half of them before the keyframe."""
        of_frames = self.num_frames * self.stride
        if self.flow is None:
            return of_frames
        first, last = self.flow.ticks.min(), self.flow.ticks.max() + self.flow.gap
        return max(of_frames, 2 * int(max(-first, last + 1)))

    @property
    def seconds(self) -> float:
        """Returns the length of a clip with its flow in seconds."""
        return self.num_ticks / self.clip_fps

    def read(self, reader: FrameReader, timestamp: float, short_side: int | None) -> ClipPixels:
        """Reads the clip around an annotation time.

        Args:
            reader: The video.
            timestamp: Annotation time of the keyframe, in seconds.
            short_side: The shorter side of the frames in pixels; None keeps the video's size.

        Raises:
            VideoError: The keyframe or the video is outside the grid, or the frames or their flow
                cannot be read.
        """
        ticks = self.picture_ticks
        pictures = self._find(reader, timestamp, ticks) if len(ticks) else ()
        found = dict(zip(ticks.tolist(), pictures, strict=True))
        try:
            pixels = self.convert(found, short_side, self.find_size(reader))
        except VideoError:
            raise
        except ValueError as error:
            raise VideoError(f"{reader.path}: {error}") from error
        if self.flow is None or isinstance(self.flow.source, ComputedFlow):
            return pixels
        size = compute_resized_size(*self.find_size(reader), short_side)
        moments = self._compute_seconds(timestamp, self.flow.ticks) - reader.start_second
        fields = self.flow.source.read(video_id_of(reader.path), moments, size)
        return ClipPixels(pixels.frames, fields)

    @property
    def picture_ticks(self) -> np.ndarray:
        """Returns the ticks of all frames that a clip and the flow computed for it need, sorted."""
        if self.flow is None or isinstance(self.flow.source, StoredFlow):
            return self.ticks
        begins = self.flow.ticks
        return np.unique(np.concatenate((self.ticks, begins, begins + self.flow.gap)))

    def require_live_pace(self) -> None:
        """Raises ValueError where optical flow cannot follow a live source: raft on a CPU."""
        if self.flow is not None and self.flow.source.is_slow:
            raise ValueError(
                "optical flow by raft takes seconds a pair on a CPU and cannot follow a live "
                "source: expected a GPU, or a network trained on data.flow_algorithm dis"
            )

    def describe_pace(self, fps: float) -> tuple[str, ...]:
        """Says that the frames of a video are farther apart than those of its optical flow.

        Args:
            fps: Frames a second of the video.

        Returns:
            None or one end of a sentence that begins with the video's name.
        """
        if self.flow is None:
            return ()
        pairs = self.clip_fps / self.flow.gap
        if fps > pairs * SAME_PACE:
            return ()
        return (
            f"it has {fps:.4g} frames a second, and pairs of optical flow last 1/{pairs:.4g} s: "
            "pairs of one frame twice have no motion (data.flow_gap)",
        )

    def convert(
        self, found: Mapping[int, Picture], short_side: int | None, size: tuple[int, int]
    ) -> ClipPixels:
        """Converts the frames of a clip, and computes their flow where it is computed.

        Args:
            found: Frames by their ticks, at least `picture_ticks`.
            short_side: As for `read`.
            size: Width and height of the video, pixels.

        Raises:
            ValueError: The frames are too small for the algorithm of flow.
        """
        seen = self.frame_color, self._is_extracted
        frames = [found[tick].rgb(short_side, *seen) for tick in self.ticks.tolist()]
        fields: np.ndarray | None = None
        if self.flow is not None and isinstance(self.flow.source, ComputedFlow):
            begins = self.flow.ticks.tolist()
            pairs = [(found[tick], found[tick + self.flow.gap]) for tick in begins]
            resized = compute_resized_size(*size, short_side)
            fields = self.flow.source.read(pairs, short_side, resized, *seen)
        return ClipPixels(np.stack(frames) if frames else None, fields)

    def _find(self, reader: FrameReader, timestamp: float, ticks: np.ndarray) -> Sequence[Picture]:
        """Finds the frames at ticks relative to the keyframe, by the frame grid."""
        if not self._is_extracted:
            return reader.pictures_nearest(self._compute_seconds(timestamp, ticks))
        center = timestamp + self.clip_shift / self.clip_fps
        grid = self.frame_grid, self._grid_origin(reader, timestamp), self.grid_start_second
        return reader.pictures_at_or_after(compute_grid_moments(*grid, center, ticks))

    def _compute_seconds(self, timestamp: float, ticks: np.ndarray) -> np.ndarray:
        """Computes the annotation times of ticks."""
        center = timestamp + self.clip_shift / self.clip_fps
        return compute_clip_seconds(center, ticks, self.clip_fps)

    @property
    def _is_extracted(self) -> bool:
        """Returns whether frames are those of published weights, with the pixels of the file."""
        return self.frame_grid in EXTRACTED_GRIDS

    def find_size(self, reader: FrameReader) -> tuple[int, int]:
        """Returns width and height, in pixels, of the pictures that clips are resized from.

        Pixels are square, except for published weights, which were trained with the pixels of the
        file.
        """
        return reader.stored_size if self._is_extracted else (reader.width, reader.height)

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

    def make_blank(self, height: int, width: int) -> ClipPixels:
        """Makes gray frames in which nothing moves, of the size given in pixels."""
        frames = flow = None
        if self.num_frames:
            frames = np.full((self.num_frames, height, width, 3), MID_GRAY, np.uint8)
        if self.flow is not None:
            flow = np.full((2, len(self.flow.ticks), height, width), REST, np.uint8)
        return ClipPixels(frames, flow)

    def make_clip(self, pixels: ClipPixels, boxes: Tensor, keyframe: Keyframe) -> Clip:
        """Divides frames between the pathways.

        Args:
            pixels: The frames, and their flow for a network that reads it.
            boxes: float32 [N, 4], xyxy in pixels of the frames.
            keyframe: The keyframe, which has the labels.

        Returns:
            A clip of uint8: frames [3, T, H, W] for each pathway, flow [2, F, H, W].
        """
        slow = fast = flow = None
        if pixels.frames is not None:
            channels_first = torch.from_numpy(pixels.frames).permute(3, 0, 1, 2)
            slow = None if self.slow_indices is None else channels_first[:, self.slow_indices]
            fast = None if self.fast_indices is None else channels_first[:, self.fast_indices]
        if self.flow is not None and pixels.flow is not None:
            fields = center_coded(pixels.flow) if self.flow.is_centered else pixels.flow
            flow = torch.from_numpy(fields)
        return Clip(slow, fast, boxes, keyframe.labels, keyframe, flow)
