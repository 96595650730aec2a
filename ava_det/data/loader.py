"""Loads batches of clips with worker processes.

Each process reads its own stretch of the videos, batch after batch, so that its few decoders stay
open. What a batch holds, and how each clip is augmented, depends on (seed, epoch) alone, not on
the number of processes.
"""

from __future__ import annotations

import logging
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ava_det.data.clip_pixels import MID_GRAY
from ava_det.data.dataset import ClipDataset, LostClip, ReadClip
from ava_det.data.samplers import TrainBatchSampler, VideoBatchSampler
from ava_det.data.watch import LoadingError, WatchedDataset
from ava_det.flow.coding import REST
from ava_det.structures import Clip, ClipBatch

logger = logging.getLogger("ava_det")

PREFETCH = 3  # parts of a batch that each process reads ahead
WAIT_SECONDS = 300.0  # longest wait for one part; a clip takes 0.1 s, and no disk is this slow


def collate(clips: Sequence[Clip]) -> ClipBatch:
    """Makes a batch of clips.

    Smaller frames are padded at the right and bottom, so that boxes stay where they are.
    """
    index = torch.cat([torch.full((len(clip.boxes), 1), float(i)) for i, clip in enumerate(clips)])
    rois = torch.cat((index, torch.cat([clip.boxes for clip in clips])), dim=1)
    labeled = [clip.labels for clip in clips if clip.labels is not None]
    labels = torch.cat(labeled) if len(labeled) == len(clips) else None
    slow = _stack([clip.slow for clip in clips if clip.slow is not None], MID_GRAY)
    fast = _stack([clip.fast for clip in clips if clip.fast is not None], MID_GRAY)
    flow = _stack([clip.flow for clip in clips if clip.flow is not None], REST)
    keyframes = [clip.keyframe for clip in clips]
    return ClipBatch(slow, fast, rois, labels, keyframes, flow=flow)


def _stack(clips: list[Tensor], padding: int) -> Tensor | None:
    """Stacks clips to [B, C, T, H, W], padded with a level, or returns None for no clips.

    The result has its channels last in memory, and is pinned where there is CUDA.
    """
    if not clips:
        return None
    height = max(clip.shape[2] for clip in clips)
    width = max(clip.shape[3] for clip in clips)
    size = (len(clips), clips[0].shape[1], height, width, clips[0].shape[0])
    frames = torch.full(size, padding, dtype=clips[0].dtype, pin_memory=torch.cuda.is_available())
    for row, clip in zip(frames, clips, strict=True):
        row[:, : clip.shape[2], : clip.shape[3]] = clip.permute(1, 2, 3, 0)
    return frames.permute(0, 4, 1, 2, 3)


class ClipLoader:
    """Loads the batches of a dataset's clips.

    A clip that cannot be read is left out of its batch. A training batch that lost all its clips is
    one gray clip without persons: under torchrun this process must still take its step with the
    others. In evaluation such a batch is skipped. A worker that delivers nothing for WAIT_SECONDS,
    or dies, ends the loading with a LoadingError.

    Args:
        dataset: The clips.
        sampler: Chooses the clips of each batch.
        num_workers: Worker processes; 0 reads in this one.
        warn: Called with one sentence for each video that has lost clips.

    Attributes:
        dataset: As given.
        sampler: As given.
        warn: As given.
    """

    def __init__(
        self,
        dataset: ClipDataset,
        sampler: TrainBatchSampler | VideoBatchSampler,
        num_workers: int,
        warn: Callable[[str], object] = logger.warning,
    ):
        self.dataset = dataset
        self.sampler = sampler
        self.warn = warn
        self._training = isinstance(sampler, TrainBatchSampler)
        self._num_parts = max(min(num_workers, sampler.max_parts), 1)
        self._num_workers = self._num_parts if num_workers else 0
        self._watched = WatchedDataset(dataset, self._num_parts)
        self._loader: DataLoader[ReadClip | LostClip] | None = None
        self._lost: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.sampler)

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Sets the next epoch.

        Args:
            epoch: The epoch.
            first_batch: Batches before it are left out, as a resumed run needs.
        """
        self.dataset.epoch = epoch
        if isinstance(self.sampler, TrainBatchSampler):
            self.sampler.epoch = epoch
            self.sampler.first_batch = first_batch

    def __iter__(self) -> Iterator[ClipBatch]:
        if self._loader is None:
            self._loader = self._start()
        with self.failures_named():
            parts = iter(self._loader)
            together = self._num_parts if self._training else 1
            while batch := list(islice(parts, together)):
                read = [clip for part in batch for clip in part]
                clips = [
                    self.dataset.make_clip(clip) for clip in read if isinstance(clip, ReadClip)
                ]
                for clip in read:
                    if isinstance(clip, LostClip):
                        self._note(clip)
                if clips:
                    yield collate(clips)
                elif self._training:
                    yield replace(collate([self.dataset.make_blank_clip()]), is_blank=True)
        if not self._training:
            self._loader = None  # its processes end; those of training wait for the next epoch

    def count_lost(self) -> dict[str, tuple[int, str]]:
        """Counts the keyframes that could not be read so far.

        Returns:
            By video id, their number and the reason for the first of them.
        """
        video_ids = {index: self.dataset.keyframes[index].video_id for index in self._lost}
        reasons = {video_ids[index]: reason for index, reason in reversed(self._lost.items())}
        return {
            video_id: (count, reasons[video_id])
            for video_id, count in sorted(Counter(video_ids.values()).items())
        }

    @contextmanager
    def failures_named(self) -> Iterator[None]:
        """Turns the failure of a worker process into a LoadingError with one sentence.

        Such a failure may be raised in any code that runs while batches are read.

        Raises:
            LoadingError: A worker process hung or died in the block.
        """
        try:
            yield
        except RuntimeError as error:
            sentence = self._watched.describe_failure(str(error), WAIT_SECONDS)
            if sentence is None:
                raise
            self._loader = None  # ends the processes that are left
            raise LoadingError(sentence) from None

    def _start(self) -> DataLoader[ReadClip | LostClip]:
        """Starts the worker processes."""
        workers = self._num_workers
        return DataLoader(
            self._watched,
            batch_sampler=_Requests(self.dataset, self.sampler, self._num_parts),
            collate_fn=list,
            num_workers=workers,
            persistent_workers=workers > 0 and self._training,
            prefetch_factor=PREFETCH if workers else None,
            timeout=WAIT_SECONDS if workers else 0,
            worker_init_fn=_leave_stopping_to_parent,
            # without it each epoch would draw a number from the model's random state
            generator=torch.Generator().manual_seed(0),
        )

    def _note(self, lost: LostClip) -> None:
        """Remembers a lost clip, and warns of the first of its video."""
        video_id = self.dataset.keyframes[lost.index].video_id
        if video_id not in {self.dataset.keyframes[index].video_id for index in self._lost}:
            self.warn(f"{lost.reason}; clips of it that cannot be read are left out")
        self._lost.setdefault(lost.index, lost.reason)


class _Requests:
    """Yields (epoch, index) of every clip in parts.

    Processes take turns, so part k of each round goes to process k. It does not hold the
    `ClipLoader`: in a cycle of references the queues of the processes would be gone before these
    are told to end, and torch would wait five seconds for each.
    """

    def __init__(
        self, dataset: ClipDataset, sampler: TrainBatchSampler | VideoBatchSampler, num_parts: int
    ):
        self._dataset = dataset
        self._sampler = sampler
        self._num_parts = num_parts

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch = self._dataset.epoch
        for parts in self._sampler.rounds(self._num_parts):
            for part in parts:
                yield [(epoch, index) for index in part]


def _leave_stopping_to_parent(worker: int) -> None:
    """Makes a worker ignore the signals by which schedulers stop a whole process group.

    The parent still needs its workers for the step it is in.
    """
    os.setpgrp()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
