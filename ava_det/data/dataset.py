"""Reads the keyframes of one split as clips from their videos."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ava_det.data.clip_pixels import ClipPixels
from ava_det.data.clip_reader import ClipReader
from ava_det.data.transforms import Augmentation, apply_augmentation
from ava_det.structures import Clip, Keyframe
from ava_det.video.folder import open_video
from ava_det.video.reader import FrameReader, VideoError

logger = logging.getLogger("ava_det")

BLANK_SIZE = (64, 64)  # height, width
NUM_OPEN_VIDEOS = 8  # decoders a process keeps open, each with some megabytes of its own pictures


@dataclass
class ReadClip:
    """Holds what a worker process of the loader sends; the receiver knows the rest of the clip.

    Attributes:
        index: The clip's index in the dataset.
        frames: uint8 RGB [T, H, W, 3], after augmentation, or None as in `ClipPixels`.
        boxes: float32 [N, 4], xyxy in pixels of `frames`.
        flow: uint8 [2, F, H, W], likewise.
        notes: What was changed to read its video so far, as `FrameReader.notes`.
    """

    index: int
    frames: Tensor | None
    boxes: np.ndarray
    flow: Tensor | None = None
    notes: tuple[str, ...] = ()


@dataclass
class LostClip:
    """Describes a clip that could not be read.

    Attributes:
        index: The clip's index in the dataset.
        reason: A sentence that says why.
    """

    index: int
    reason: str


class ClipDataset(Dataset[Clip]):
    """Reads the clips of keyframes from their videos.

    Args:
        keyframes: The keyframes, one for each clip.
        videos: Files by video id.
        start_second: Annotation time, in seconds, of each video's first frame.
        clip_reader: Reads the frames of a clip.
        augmentation_for: Gives the augmentation for a random generator: random in training, the
            same each time in evaluation.
        seed: Seed of the random augmentations, together with epoch and index.
        cache_side: Short side in pixels at which clips are decoded once and kept in memory as
            uint8; None decodes them anew each epoch.

    Attributes:
        keyframes: As given.
        epoch: To be set before each epoch.

    Raises:
        VideoError: A video is missing.
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
        self._cached: dict[int, ClipPixels] = {}
        self._sizes: dict[str, tuple[int, int]] = {}  # width, height of the videos opened so far
        self._notes: dict[str, tuple[str, ...]] = {}  # of the videos opened so far
        self._reported: set[tuple[Path, str]] = set()
        self._open: OrderedDict[str, FrameReader] = OrderedDict()
        self._process = os.getpid()
        # readers of the parent process; closing them in this one could hang
        self._inherited: OrderedDict[str, FrameReader] | None = None

    def __len__(self) -> int:
        return len(self.keyframes)

    def __getitem__(self, index: int) -> Clip:
        """Raises VideoError where the video cannot be read there."""
        return self.make_clip(self.read(index, self.epoch))

    def read(self, index: int, epoch: int) -> ReadClip:
        """Decodes and augments a clip for an epoch.

        Args:
            index: The clip's index.
            epoch: The epoch, from which its augmentation follows.

        Raises:
            VideoError: The video cannot be read there.
        """
        # seeded by sample, not by worker or rank: the same clip looks the same however the work is
        # shared out
        generator = torch.Generator().manual_seed(
            hash((self._seed, epoch, index)) & 0x7FFF_FFFF_FFFF_FFFF
        )
        view = self._view_for(generator)
        keyframe = self.keyframes[index]
        pixels = self._read(index, view.short_side, generator)
        boxes = self._clip_reader.place_boxes(
            keyframe.boxes,
            *self._sizes[keyframe.video_id],
            view.short_side,
            margin=not any(view.box_jitter),
        )
        pixels, boxes = apply_augmentation(pixels, boxes, view, generator)
        frames, flow = (
            None if array is None else torch.from_numpy(array)
            for array in (pixels.frames, pixels.flow)
        )
        notes = self._notes.get(keyframe.video_id, ())
        return ReadClip(index, frames, boxes.numpy(), flow, notes)

    def make_clip(self, read: ReadClip) -> Clip:
        """Divides what was read between the pathways, and adds the labels.

        What was changed to read the video is said once, by the process that makes the clips.
        """
        video = self._videos[self.keyframes[read.index].video_id]
        for note in read.notes:
            if (video, note) not in self._reported:
                self._reported.add((video, note))
                logger.warning(f"{video}: {note}")
        pixels = ClipPixels(
            *(None if values is None else values.numpy() for values in (read.frames, read.flow))
        )
        boxes = torch.from_numpy(read.boxes)
        return self._clip_reader.make_clip(pixels, boxes, self.keyframes[read.index])

    def make_blank_clip(self) -> Clip:
        """Makes a small gray clip without persons, for a batch that would be empty without it."""
        first = self.keyframes[0]
        labels = None if first.labels is None else first.labels[:0]
        nobody = Keyframe(
            first.video_id, first.timestamp, first.boxes[:0], labels, first.person_scores[:0]
        )
        blank = self._clip_reader.make_blank(*BLANK_SIZE)
        return self._clip_reader.make_clip(blank, nobody.boxes, nobody)

    def describe(self, index: int) -> str:
        """Returns the file and the second of a clip as text."""
        keyframe = self.keyframes[index]
        return f"{self._videos[keyframe.video_id]} around {keyframe.timestamp:g} s"

    def require_a_readable_clip(self) -> None:
        """Raises the first video's VideoError if no video can be read at its first keyframe.

        One bad video costs its own clips. When every one is bad, a path, `start_second` or the grid
        is wrong.
        """
        first_of_each = {
            keyframe.video_id: index
            for index, keyframe in reversed(list(enumerate(self.keyframes)))
        }
        failure: VideoError | None = None
        generator = torch.Generator()
        for index in sorted(first_of_each.values()):
            try:
                self._decode(index, self._view_for(generator).short_side, generator)
                return
            except VideoError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def is_prepared(self) -> bool:
        """Returns whether a video that is open was made by data/ava/transcode.py."""
        return any(reader.is_prepared for reader in self._open.values())

    def fill_cache(self, progress: Callable[[Sequence[int]], Sequence[int]]) -> None:
        """Decodes every clip once, in the order of the videos.

        Args:
            progress: Wraps the indices to show a progress bar.
        """
        order = sorted(
            range(len(self)),
            key=lambda i: (self.keyframes[i].video_id, self.keyframes[i].timestamp),
        )
        for index in progress(order):
            with suppress(VideoError):  # raised again when the clip is read
                self._read(index, 0, torch.Generator())

    def _read(self, index: int, short_side: int, generator: torch.Generator) -> ClipPixels:
        """Returns the pixels of a clip, from the cache where there is one."""
        if self._cache_side is None:
            return self._decode(index, short_side, generator)
        if index not in self._cached:
            self._cached[index] = self._decode(index, self._cache_side, generator)
        return self._cached[index]

    def _decode(self, index: int, short_side: int, generator: torch.Generator) -> ClipPixels:
        """Decodes the pixels of a clip; raises VideoError where the video does not have it."""
        reader = self._reader(self.keyframes[index].video_id)
        moment = self._find_moment(index, reader, generator)
        reader.require(moment)
        pixels = self._clip_reader.read(reader, moment, short_side)
        notes = (*reader.notes, *self._clip_reader.describe_pace(reader.fps))
        self._notes[self.keyframes[index].video_id] = notes
        reader.require(moment)  # a header may promise more than the file turned out to hold
        return pixels

    def _find_moment(self, index: int, reader: FrameReader, generator: torch.Generator) -> float:
        """Returns the time, in seconds, around which a clip is read."""
        return self.keyframes[index].timestamp

    def _reader(self, video_id: str) -> FrameReader:
        """Returns the open reader of a video; a few others stay open without their pictures."""
        # after a fork both processes would share, and move, the position in the same open file
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
        """Leaves out the open readers: each process opens its own."""
        return {**self.__dict__, "_open": OrderedDict()}
