"""Chooses the order in which clips are read: shuffled in training, by video and time in evaluation.

Both samplers take stretches of the list of keyframes in the order of videos and time, so that each
rank, and each worker process of its loader, reads few videos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest
from typing import TypeVar

import torch
from torch.utils.data import Sampler

from ava_det.structures import Keyframe

Item = TypeVar("Item")


def cut(items: Sequence[Item], count: int) -> list[Sequence[Item]]:
    """Cuts `items` into `count` stretches of lengths as equal as possible; some may be empty."""
    return [
        items[len(items) * part // count : len(items) * (part + 1) // count]
        for part in range(count)
    ]


class TrainBatchSampler(Sampler[list[int]]):
    """Draws shuffled batches for one rank, as indices of clips in the order of videos and time.

    The clips are cut into as many stretches as a batch has places; each place draws from its own
    stretch, in random order. So a batch is spread over all videos, and each place, with the process
    that reads it, stays with one video or a few. Clips that do not fill a batch are left out,
    others each epoch. The order depends on (seed, epoch) alone.

    Args:
        num_clips: Clips of the dataset.
        batch_size: Clips of the global batch; each rank takes its stretch of the places.
        seed: Seed of the order, together with the epoch.
        rank: This process, from 0.
        world_size: Number of processes.

    Attributes:
        epoch: To be set before each epoch.
        first_batch: To be set; the batches before it are left out.
        max_parts: The largest number of parts that a batch of one rank can be divided into.

    Raises:
        ValueError: The batch size does not fit the processes or the clips.
    """

    def __init__(
        self, num_clips: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ):
        if batch_size % world_size:
            raise ValueError(
                f"train.batch_size: expected a multiple of the {world_size} processes, "
                f"received {batch_size}"
            )
        if num_clips < batch_size:
            raise ValueError(
                f"train.batch_size: expected at most the {num_clips} training keyframes, "
                f"received {batch_size}"
            )
        self.epoch = 0
        self.first_batch = 0
        self.max_parts = batch_size // world_size
        self._num_clips = num_clips
        self._batch_size = batch_size
        self._seed = seed
        self._rank = rank
        self._world_size = world_size

    def __len__(self) -> int:
        return self._num_clips // self._batch_size

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self.epoch)
        kept = torch.randperm(self._num_clips, generator=generator)[: len(self) * self._batch_size]
        stretches = kept.sort().values.view(self._batch_size, len(self))
        order = torch.rand(stretches.shape, generator=generator).argsort(dim=1)
        batches = stretches.gather(1, order).T.tolist()
        for batch in batches[self.first_batch :]:
            yield list(cut(batch, self._world_size)[self._rank])

    def rounds(self, num_parts: int) -> Iterator[list[Sequence[int]]]:
        """Yields every batch, divided among `num_parts` processes."""
        for batch in self:
            yield cut(batch, num_parts)


class VideoBatchSampler(Sampler[list[int]]):
    """Yields every keyframe exactly once over all ranks, in the order of time, one video a batch.

    So each video is decoded in one pass, and the clips of a batch have one size. (A sampler that
    repeats clips to even out the ranks would add false positives.)

    Args:
        keyframes: The keyframes of the dataset.
        batch_size: Largest number of clips in a batch of one rank.
        rank: This process, from 0.
        world_size: Number of processes.

    Attributes:
        max_parts: The largest number of processes that can share the batches.
    """

    def __init__(
        self, keyframes: Sequence[Keyframe], batch_size: int, rank: int = 0, world_size: int = 1
    ):
        order = sorted(
            range(len(keyframes)), key=lambda i: (keyframes[i].video_id, keyframes[i].timestamp)
        )
        self._indices = cut(order, world_size)[rank]
        self._video_of = [keyframe.video_id for keyframe in keyframes]
        self._batch_size = batch_size
        self.max_parts = len(self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[list[int]]:
        return self._batches(self._indices)

    def rounds(self, num_parts: int) -> Iterator[list[Sequence[int]]]:
        """Yields the next batch of each of `num_parts` processes.

        They share the keyframes in stretches. The batch of a process that has no more is empty.
        """
        yield from map(
            list, zip_longest(*map(self._batches, cut(self._indices, num_parts)), fillvalue=[])
        )

    def _batches(self, indices: Sequence[int]) -> Iterator[list[int]]:
        """Yields batches of the given keyframes, each within one video."""
        for _, group in groupby(indices, key=lambda index: self._video_of[index]):
            video = list(group)
            yield from (
                video[start : start + self._batch_size]
                for start in range(0, len(video), self._batch_size)
            )
