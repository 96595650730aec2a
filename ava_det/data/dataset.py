"""Index -> Clip: the keyframes of one split, read from their videos."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ava_det.boxes import place_as_pyslowfast
from ava_det.data.sampling import (
    EXTRACTED_GRIDS,
    GridOrigin,
    compute_clip_seconds,
    compute_grid_moments,
    compute_grid_origin,
)
from ava_det.data.transforms import MID_GRAY, Augmentation, apply_augmentation
from ava_det.structures import Clip, Keyframe
from ava_det.video.folder import open_video
from ava_det.video.pictures import compute_resized_size
from ava_det.video.reader import TAGGED, FrameReader, VideoError

BLANK_SIZE = (64, 64)  # height, width
NUM_OPEN_VIDEOS = 8  # decoders a process keeps open, each with some megabytes of its own pictures


@dataclass
class ReadClip:
    """What a process of the loader sends: the dataset's clip `index`, its frames uint8 [T, H, W, 3]
    as its view asks, and its boxes, float32 [N, 4], pixels. All else about the clip, the receiver
    has.
    """

    index: int
    frames: Tensor
    boxes: np.ndarray


@dataclass
class LostClip:
    """A clip that could not be read, and the sentence that says why."""

    index: int
    reason: str


class ClipReader:
    """Reads the clip around a keyframe: which moments, and which of its frames go to which pathway.

    num_frames frames `stride` ticks of 1 / clip_fps apart. slow_indices, fast_indices: which of
    them each pathway sees, None where the network lacks it. frame_grid: "seconds" takes for each
    tick the frame nearest to it; "pyslowfast" and "mmaction2" take the frames the weights of those
    projects saw, which cut movies at `grid_start_second` and wrote 30 pictures a second.
    frame_colour: "tagged" or "bt601", as `FrameReader.read` knows it. box_arithmetic: "exact", or
    "pyslowfast" for its rounding of boxes (`place_boxes`).
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
        frame_colour: str = TAGGED,
        box_arithmetic: str = "exact",
    ):
        self.num_frames = num_frames
        self.stride = stride
        self.clip_fps = clip_fps
        self.slow_indices = slow_indices
        self.fast_indices = fast_indices
        self.frame_grid = frame_grid
        self.grid_start_second = grid_start_second
        self.frame_colour = frame_colour
        self.box_arithmetic = box_arithmetic
        self._origins: dict[Path, GridOrigin] = {}

    def read_frames(
        self, reader: FrameReader, timestamp: float, short_side: int | None
    ) -> np.ndarray:
        """uint8 RGB [num_frames, H, W, 3] around `timestamp`.

        Raises VideoError for a keyframe or a video outside the grid.
        """
        if self.frame_grid in EXTRACTED_GRIDS:
            origin = self._grid_origin(reader, timestamp)
            grid = self.frame_grid, origin, self.grid_start_second
            exact = compute_grid_moments(*grid, timestamp, self.num_frames, self.stride)
            return reader.read_at_or_after(exact, short_side, self.frame_colour)
        moments = compute_clip_seconds(timestamp, self.num_frames, self.stride, self.clip_fps)
        return reader.read(moments, short_side, self.frame_colour)

    def find_size(self, reader: FrameReader) -> tuple[int, int]:
        """Width and height of the pictures that clips are resized from, pixels: square ones, but for published weights,
        which saw those of the file."""
        return (
            reader.stored_size
            if self.frame_grid in EXTRACTED_GRIDS
            else (reader.width, reader.height)
        )

    def place_boxes(self, boxes: Tensor, width: int, height: int, short_side: int) -> Tensor:
        """Boxes as the weights saw them: fractions [N, 4] of a `width` x `height` video to
        fractions of it resized to `short_side`.
        """
        if self.box_arithmetic == "exact":
            return boxes
        return place_as_pyslowfast(
            boxes, width, height, *compute_resized_size(width, height, short_side)
        )

    def _grid_origin(self, reader: FrameReader, timestamp: float) -> GridOrigin:
        """Of this video: found once, as readers are opened again and again."""
        advice = f"data.frame_grid {self.frame_grid} counts from data.grid_start_second = {self.grid_start_second:g}"
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
        """A uint8 Clip from frames [num_frames, H, W, 3] and pixel boxes [N, 4]."""
        channels_first = torch.from_numpy(frames).permute(3, 0, 1, 2)
        slow = None if self.slow_indices is None else channels_first[:, self.slow_indices]
        fast = None if self.fast_indices is None else channels_first[:, self.fast_indices]
        return Clip(slow, fast, boxes, keyframe.labels, keyframe)


class ClipDataset(Dataset[Clip]):
    """Clips of `keyframes`; `videos` maps video ids to files.

    augmentation_for: (random generator) -> Augmentation; random in training, the same each time in evaluation.
    cache_side: with a number, clips are decoded once at this short side and kept in memory as
    uint8.
    """

    def __init__(
        self,
        keyframes: Sequence[Keyframe],
        videos: Mapping[str, Path],
        start_second: float,
        clip_reader: ClipReader,
        augmentation_for: Callable[[torch.Generator], Augmentation],
        seed: int,
        cache_side: int | None = None,
    ):
        missing = sorted({keyframe.video_id for keyframe in keyframes} - set(videos))
        if missing:
            count = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise VideoError(
                f"data.video_dir: no video file for video id {missing[0]}{count} of the annotations"
            )
        self.keyframes = list(keyframes)
        self.epoch = 0
        self._videos = videos
        self._start_second = start_second
        self._clip_reader = clip_reader
        self._view_for = augmentation_for
        self._seed = seed
        self._cache_side = cache_side
        self._cached: dict[int, np.ndarray] = {}
        self._sizes: dict[str, tuple[int, int]] = {}  # width, height of the videos opened so far
        self._open: OrderedDict[str, FrameReader] = OrderedDict()
        self._process = os.getpid()
        # a parent's; to free them here could hang
        self._inherited: OrderedDict[str, FrameReader] | None = None

    def __len__(self) -> int:
        return len(self.keyframes)

    def __getitem__(self, index: int) -> Clip:
        """Raises VideoError where the video cannot be read there."""
        return self.make_clip(self.read(index, self.epoch))

    def read(self, index: int, epoch: int) -> ReadClip:
        """Decodes a clip as this epoch looks at it. Raises VideoError where the video cannot be
        read there.
        """
        # seeded by sample, not by worker or rank: the same clip looks the same however the work is
        # shared out
        generator = torch.Generator().manual_seed(
            hash((self._seed, epoch, index)) & 0x7FFF_FFFF_FFFF_FFFF
        )
        view = self._view_for(generator)
        keyframe = self.keyframes[index]
        frames = self._read(index, view.short_side, generator)
        boxes = self._clip_reader.place_boxes(
            keyframe.boxes, *self._sizes[keyframe.video_id], view.short_side
        )
        frames, boxes = apply_augmentation(frames, boxes, view, generator)
        return ReadClip(index, torch.from_numpy(frames), boxes.numpy())

    def make_clip(self, read: ReadClip) -> Clip:
        """What was read, divided between the pathways, with the labels."""
        return self._clip_reader.make_clip(
            read.frames.numpy(), torch.from_numpy(read.boxes), self.keyframes[read.index]
        )

    def make_blank_clip(self) -> Clip:
        """A small gray clip without a person: it takes a lost one's place where a batch may not be
        empty.
        """
        first = self.keyframes[0]
        labels = None if first.labels is None else first.labels[:0]
        nobody = Keyframe(
            first.video_id, first.timestamp, first.boxes[:0], labels, first.person_scores[:0]
        )
        frames = np.full((self._clip_reader.num_frames, *BLANK_SIZE, 3), MID_GRAY, np.uint8)
        return self._clip_reader.make_clip(frames, nobody.boxes, nobody)

    def describe(self, index: int) -> str:
        """Which clip that is, for a person to find it: file and second."""
        keyframe = self.keyframes[index]
        return f"{self._videos[keyframe.video_id]} around {keyframe.timestamp:g} s"

    def require_a_readable_clip(self) -> None:
        """Raises the first video's VideoError if no video can be read at its first keyframe.

        One bad video costs its own clips; when every one is bad, a path or `start_second` is wrong,
        or the grid.
        """
        first_of_each = {
            keyframe.video_id: index
            for index, keyframe in reversed(list(enumerate(self.keyframes)))
        }
        failure: VideoError | None = None
        for index in sorted(first_of_each.values()):
            try:
                self._decode(index, None, torch.Generator())
                return
            except VideoError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def is_prepared(self) -> bool:
        """Whether a video that is open was made by data/ava/transcode.py."""
        return any(reader.is_prepared for reader in self._open.values())

    def fill_cache(self, progress: Callable[[Sequence[int]], Sequence[int]]) -> None:
        """Decodes every clip once, in the order of the videos; `progress` wraps the indices to show
        a bar.
        """
        order = sorted(
            range(len(self)),
            key=lambda i: (self.keyframes[i].video_id, self.keyframes[i].timestamp),
        )
        for index in progress(order):
            with suppress(VideoError):  # whoever asks for the clip will be told
                self._read(index, 0, torch.Generator())

    def _read(self, index: int, short_side: int, generator: torch.Generator) -> np.ndarray:
        if self._cache_side is None:
            return self._decode(index, short_side, generator)
        if index not in self._cached:
            self._cached[index] = self._decode(index, self._cache_side, generator)
        return self._cached[index]

    def _decode(self, index: int, short_side: int | None, generator: torch.Generator) -> np.ndarray:
        reader = self._reader(self.keyframes[index].video_id)
        moment = self._find_moment(index, reader, generator)
        reader.require(moment)
        frames = self._clip_reader.read_frames(reader, moment, short_side)
        reader.require(moment)  # a header may promise more than the file turned out to hold
        return frames

    def _find_moment(self, index: int, reader: FrameReader, generator: torch.Generator) -> float:
        """The second around which a clip is read."""
        return self.keyframes[index].timestamp

    def _reader(self, video_id: str) -> FrameReader:
        """This video's open reader; of the others the last used stay open, without their pictures."""
        # forked: two processes would move one another's place in the same open file
        if self._process != os.getpid():
            self._inherited = self._open
            self._open = OrderedDict()
            self._process = os.getpid()
        if self._open and next(reversed(self._open)) != video_id:
            next(reversed(self._open.values())).release_buffers()
        if video_id not in self._open:
            if len(self._open) == NUM_OPEN_VIDEOS:
                self._open.popitem(last=False)[1].close()
            reader = open_video(self._videos[video_id], self._start_second)
            self._open[video_id] = reader
            self._sizes[video_id] = self._clip_reader.find_size(reader)
        self._open.move_to_end(video_id)
        return self._open[video_id]

    def __getstate__(self) -> dict[str, object]:
        """Decoders do not travel to other processes: each opens its own."""
        return {**self.__dict__, "_open": OrderedDict()}
