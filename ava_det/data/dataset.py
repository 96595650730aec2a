"""Index -> Clip: the keyframes of one split, read from their videos."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ava_det.data.sampling import (
    EXTRACTED_GRIDS,
    GridOrigin,
    compute_clip_seconds,
    compute_grid_moments,
    compute_grid_origin,
)
from ava_det.data.transforms import View, apply_view
from ava_det.data.video import VideoError, VideoReader
from ava_det.structures import Clip, Keyframe

NUM_OPEN_VIDEOS = 4  # decoders a process keeps: their buffers are the memory of a loader


class ClipReader:
    """Reads the clip around a keyframe: which moments, and which of its frames go to which pathway.

    num_frames frames `stride` ticks of 1 / clip_fps apart. slow_indices, fast_indices: which of them each pathway sees,
    None where the network lacks it. frame_grid: "seconds" takes for each tick the frame nearest to it; "pyslowfast" and
    "mmaction2" take the frames the weights of those projects saw, which cut movies at `grid_start_second` and wrote 30
    pictures a second.
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
    ):
        self.num_frames = num_frames
        self.stride = stride
        self.clip_fps = clip_fps
        self.slow_indices = slow_indices
        self.fast_indices = fast_indices
        self.frame_grid = frame_grid
        self.grid_start_second = grid_start_second
        self._origins: dict[Path, GridOrigin] = {}

    def read_frames(self, reader: VideoReader, timestamp: float, short_side: int | None) -> np.ndarray:
        """uint8 RGB [num_frames, H, W, 3] around `timestamp`.

        Raises VideoError for a keyframe or a video outside the grid.
        """
        if self.frame_grid in EXTRACTED_GRIDS:
            origin = self._grid_origin(reader, timestamp)
            grid = self.frame_grid, origin, self.grid_start_second
            return reader.read_at_or_after(
                compute_grid_moments(*grid, timestamp, self.num_frames, self.stride), short_side
            )
        moments = compute_clip_seconds(timestamp, self.num_frames, self.stride, self.clip_fps)
        return reader.read(moments, short_side)

    def _grid_origin(self, reader: VideoReader, timestamp: float) -> GridOrigin:
        """Of this video: found once, as readers are opened again and again."""
        advice = f"data.frame_grid {self.frame_grid} counts from data.grid_start_second = {self.grid_start_second:g}"
        if timestamp < self.grid_start_second:
            raise VideoError(f"{reader.path}: {advice}, expected no keyframe before it, received {timestamp:g}")
        if reader.path not in self._origins:
            cut = Fraction(self.grid_start_second) - reader.delay  # the file's clock starts with its sound
            first = reader.find_at_or_after(cut)
            if first is None:
                raise VideoError(f"{reader.path}: {advice}, expected a video that reaches it")
            self._origins[reader.path] = compute_grid_origin(
                self.frame_grid, first, cut, reader.frame_rate, reader.has_audio, reader.path.suffix.lower()
            )
        return self._origins[reader.path]

    def make_clip(self, frames: np.ndarray, boxes: Tensor, keyframe: Keyframe) -> Clip:
        """A uint8 Clip from frames [num_frames, H, W, 3] and pixel boxes [N, 4]."""
        channels_first = torch.from_numpy(frames).permute(3, 0, 1, 2)
        slow = None if self.slow_indices is None else channels_first[:, self.slow_indices]
        fast = None if self.fast_indices is None else channels_first[:, self.fast_indices]
        return Clip(slow, fast, boxes, keyframe.labels, keyframe)


class ClipDataset(Dataset[Clip]):
    """Clips of `keyframes`; `videos` maps video ids to files.

    view_for: (random generator) -> View; random in training, the same View each time in evaluation.
    cache_side: with a number, clips are decoded once at this short side and kept in memory as uint8.
    """

    def __init__(
        self,
        keyframes: Sequence[Keyframe],
        videos: Mapping[str, Path],
        start_second: float,
        clip_reader: ClipReader,
        view_for: Callable[[torch.Generator], View],
        seed: int,
        cache_side: int | None = None,
    ):
        missing = sorted({keyframe.video_id for keyframe in keyframes} - set(videos))
        if missing:
            count = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise VideoError(f"data.video_dir: no video file for video id {missing[0]}{count} of the annotations")
        self.keyframes = list(keyframes)
        self.epoch = 0
        self._videos = videos
        self._start_second = start_second
        self._clip_reader = clip_reader
        self._view_for = view_for
        self._seed = seed
        self._cache_side = cache_side
        self._cached: dict[int, np.ndarray] = {}
        self._open: OrderedDict[str, VideoReader] = OrderedDict()

    def __len__(self) -> int:
        return len(self.keyframes)

    def __getitem__(self, index: int) -> Clip:
        keyframe = self.keyframes[index]
        # seeded by sample, not by worker or rank: the same clip looks the same however the work is shared out
        generator = torch.Generator().manual_seed(hash((self._seed, self.epoch, index)) & 0x7FFF_FFFF_FFFF_FFFF)
        view = self._view_for(generator)
        frames, boxes = apply_view(self._read(index, view.short_side), keyframe.boxes, view, generator)
        return self._clip_reader.make_clip(frames, boxes, keyframe)

    def fill_cache(self, progress: Callable[[Sequence[int]], Sequence[int]]) -> None:
        """Decodes every clip once, in the order of the videos; `progress` wraps the indices to show a bar."""
        order = sorted(range(len(self)), key=lambda i: (self.keyframes[i].video_id, self.keyframes[i].timestamp))
        for index in progress(order):
            self._read(index, 0)

    def _read(self, index: int, short_side: int) -> np.ndarray:
        if self._cache_side is None:
            return self._decode(index, short_side)
        if index not in self._cached:
            self._cached[index] = self._decode(index, self._cache_side)
        return self._cached[index]

    def _decode(self, index: int, short_side: int) -> np.ndarray:
        keyframe = self.keyframes[index]
        reader = self._reader(keyframe.video_id)
        reader.require(keyframe.timestamp)
        return self._clip_reader.read_frames(reader, keyframe.timestamp, short_side)

    def _reader(self, video_id: str) -> VideoReader:
        if video_id not in self._open:
            if len(self._open) == NUM_OPEN_VIDEOS:
                self._open.popitem(last=False)[1].close()
            self._open[video_id] = VideoReader(self._videos[video_id], self._start_second)
        self._open.move_to_end(video_id)
        return self._open[video_id]

    def __getstate__(self) -> dict[str, object]:
        """Decoders do not travel to other processes: each opens its own."""
        return {**self.__dict__, "_open": OrderedDict()}
