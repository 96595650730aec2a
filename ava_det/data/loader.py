"""Clips side by side, and the order they come in: shuffled and cut to the rank in training, by video in evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from ava_det.data.dataset import ClipDataset
from ava_det.data.video import VideoError
from ava_det.structures import Clip, ClipBatch, Keyframe


def collate(clips: Sequence[Clip]) -> ClipBatch:
    """Clips to a batch. Smaller frames are padded at the right and bottom, so that boxes stay where they are."""
    index = torch.cat([torch.full((len(clip.boxes), 1), float(i)) for i, clip in enumerate(clips)])
    rois = torch.cat((index, torch.cat([clip.boxes for clip in clips])), dim=1)
    labelled = [clip.labels for clip in clips if clip.labels is not None]
    labels = torch.cat(labelled) if len(labelled) == len(clips) else None
    slow = _stack([clip.slow for clip in clips if clip.slow is not None])
    fast = _stack([clip.fast for clip in clips if clip.fast is not None])
    return ClipBatch(slow, fast, rois, labels, [clip.keyframe for clip in clips])


def _stack(clips: list[Tensor]) -> Tensor | None:
    """[B, 3, T, H, W], channels last in memory, or None for no clips. Padding is mid-grey: nearly 0 when normalised."""
    if not clips:
        return None
    height, width = max(clip.shape[2] for clip in clips), max(clip.shape[3] for clip in clips)
    frames = torch.full((len(clips), clips[0].shape[1], height, width, 3), 115, dtype=clips[0].dtype)
    for row, clip in zip(frames, clips, strict=True):
        row[:, : clip.shape[2], : clip.shape[3]] = clip.permute(1, 2, 3, 0)
    return frames.permute(0, 4, 1, 2, 3)


class TrainBatchSampler(Sampler[list[int]]):
    """Shuffled batches for one rank: the order depends on (seed, epoch) alone, the last incomplete batch is left out.

    `batch_size` is the global batch; each rank takes every world_size-th clip of it.
    """

    def __init__(self, num_clips: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1):
        if batch_size % world_size:
            raise ValueError(
                f"train.batch_size: expected a multiple of the {world_size} processes, received {batch_size}"
            )
        if num_clips < batch_size:
            raise ValueError(
                f"train.batch_size: expected at most the {num_clips} training keyframes, received {batch_size}"
            )
        self.epoch = 0
        self._num_clips, self._batch_size, self._seed = num_clips, batch_size, seed
        self._rank, self._world_size = rank, world_size

    def __len__(self) -> int:
        return self._num_clips // self._batch_size

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self.epoch)
        order = torch.randperm(self._num_clips, generator=generator).tolist()
        for step in range(len(self)):
            batch = order[step * self._batch_size : (step + 1) * self._batch_size]
            yield batch[self._rank :: self._world_size]


class VideoBatchSampler(Sampler[list[int]]):
    """Every keyframe exactly once over all ranks, in the order of time; a batch stays within one video.

    So each video is decoded in one pass, by one rank, and clips of a batch have one size. (A sampler that repeats clips
    to even out the ranks would add false positives.)
    """

    def __init__(self, keyframes: Sequence[Keyframe], batch_size: int, rank: int = 0, world_size: int = 1):
        order = sorted(range(len(keyframes)), key=lambda i: (keyframes[i].video_id, keyframes[i].timestamp))
        videos = [list(group) for _, group in groupby(order, key=lambda i: keyframes[i].video_id)]
        self._batches = [
            video[start : start + batch_size]
            for video in videos[rank::world_size]
            for start in range(0, len(video), batch_size)
        ]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches)


class ClipLoader:
    """A DataLoader whose `set_epoch` reaches both the sampler's order and the dataset's random views."""

    def __init__(self, dataset: ClipDataset, sampler: TrainBatchSampler | VideoBatchSampler, num_workers: int):
        self.dataset, self.sampler, self._num_workers = dataset, sampler, num_workers

    def __len__(self) -> int:
        return len(self.sampler)

    def set_epoch(self, epoch: int) -> None:
        self.dataset.epoch = epoch
        if isinstance(self.sampler, TrainBatchSampler):
            self.sampler.epoch = epoch

    def __iter__(self) -> Iterator[ClipBatch]:
        # workers start anew each epoch, so that they carry the dataset's epoch
        loader = DataLoader(
            self.dataset,
            batch_sampler=self.sampler,
            collate_fn=collate,
            num_workers=self._num_workers,
            pin_memory=torch.cuda.is_available(),
        )
        try:
            yield from loader
        except VideoError as error:
            # a worker's exception arrives with its whole traceback as text: the last line is the sentence
            raise VideoError(str(error).strip().splitlines()[-1].rpartition("VideoError: ")[2]) from None
