"""Orders the videos that a run has to do: the longest first, failed ones again at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

from ava_det.archive.manifest import Entry, ManifestIndex


class Agenda:
    """Hands out videos; keeps a few bytes for each.

    Args:
        index: The videos.
        done: Ids of those that need nothing.

    Attributes:
        num_done: Videos of the index that were done before.
        root: Of their paths, see `Manifest`.
        num_bytes: Of the videos that were not done before.
    """

    def __init__(self, index: ManifestIndex, done: Iterable[str]) -> None:
        is_open = ~index.among(done)
        sizes = index.sizes[is_open]
        order = np.argsort(-sizes, kind="stable")
        self._manifest = index.manifest
        self._offsets = index.offsets[is_open][order]
        self._next = 0
        self._again: deque[Entry] = deque()
        self._first: deque[Entry] = deque()
        self.num_done = len(index) - len(sizes)
        self.num_bytes = int(sizes.sum())
        self.root = index.manifest.root

    def __len__(self) -> int:
        """Returns the number of videos that are not handed out."""
        return len(self._offsets) - self._next + len(self._again) + len(self._first)

    def take(self) -> Entry | None:
        """Hands out the next video; None where there is none."""
        if self._first:
            entry = self._first.popleft()
        elif self._next < len(self._offsets):
            entry = self._manifest.read_at(int(self._offsets[self._next]))
            self._next += 1
        elif self._again:
            entry = self._again.popleft()
        else:
            return None
        return entry

    def put_first(self, entry: Entry) -> None:
        """Takes a video back, to be handed out next."""
        self._first.append(entry)

    def put_last(self, entry: Entry) -> None:
        """Takes a video back, to be handed out after all others."""
        self._again.append(entry)
