"""Gives every keyframe that several files name one number, in order of first appearance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ava_det.formats.ava_csv import AvaRows
from ava_det.structures import KeyframeKey, timestamp_key


@dataclass
class KeyframeNumbers:
    """Holds the numbers of K keyframes.

    Attributes:
        numbers: For each file int32 [R], the keyframe of each row, 0..K-1.
        video_names: Distinct video ids.
        videos: int64 [K], indices into `video_names`.
        timestamps: float64 [K].
    """

    numbers: list[np.ndarray]
    video_names: list[str]
    videos: np.ndarray
    timestamps: np.ndarray

    def __len__(self) -> int:
        return len(self.videos)

    def key(self, number: int) -> KeyframeKey:
        """Returns the key of a keyframe, as `load_excluded` gives it."""
        return KeyframeKey.at(self.video_names[self.videos[number]], self.timestamps[number])

    def mark(self, keys: Iterable[KeyframeKey]) -> np.ndarray:
        """Finds which keyframes are among `keys`: bool [K]."""
        wanted = set(keys)
        return np.array(
            [self.key(number) in wanted for number in range(len(self))]
            if wanted
            else [False] * len(self)
        )

    def occurring(self, file: int) -> np.ndarray:
        """Finds which keyframes a file names: bool [K]."""
        present = np.zeros(len(self), dtype=bool)
        present[self.numbers[file]] = True
        return present


def number_keyframes(files: Sequence[tuple[AvaRows, np.ndarray | None]]) -> KeyframeNumbers:
    """Numbers the keyframes of several files, those of the first file first.

    Timestamps are equal if their `timestamp_key`s are. Rows of a keyframe mostly follow each other,
    so the work is done on runs of equal rows.

    Args:
        files: Rows of each file, and which of them count: int64, or None for all.
    """
    names: dict[str, int] = {}
    heads = []
    lengths = []
    videos = []
    times = []
    for rows, chosen in files:
        index = rows.video_index if chosen is None else rows.video_index[chosen]
        timestamps = rows.timestamps if chosen is None else rows.timestamps[chosen]
        start = np.ones(len(index), dtype=bool)
        start[1:] = (index[1:] != index[:-1]) | (timestamps[1:] != timestamps[:-1])
        head = np.flatnonzero(start)
        common = np.array(
            [names.setdefault(name, len(names)) for name in rows.video_names], dtype=np.int64
        )
        heads.append(head)
        lengths.append(np.diff(head, append=len(index)))
        videos.append(common[index[head]])
        times.append(timestamps[head])
    run_videos = np.concatenate(videos)
    run_times = np.concatenate(times)
    seconds, second = _distinct_timestamps(run_times)
    _, first, number = np.unique(
        run_videos * max(len(seconds), 1) + second, return_index=True, return_inverse=True
    )
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    per_file = np.split(rank[number], np.cumsum([len(head) for head in heads])[:-1])
    numbers = [np.repeat(runs, length) for runs, length in zip(per_file, lengths, strict=True)]
    return KeyframeNumbers(numbers, list(names), run_videos[first[order]], run_times[first[order]])


def _distinct_timestamps(timestamps: np.ndarray) -> tuple[list[str], np.ndarray]:
    values, inverse = np.unique(timestamps, return_inverse=True)
    keys: dict[str, int] = {}
    codes = np.array(
        [keys.setdefault(timestamp_key(value), len(keys)) for value in values.tolist()],
        dtype=np.int64,
    )
    return list(keys), codes[inverse]
