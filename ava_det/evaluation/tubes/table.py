"""Lays tubes out as flat arrays, so that all pairs of them are compared without a loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ava_det.formats.tubes import Tube


@dataclass(frozen=True, eq=False)
class TubeTable:
    """Holds T tubes of R boxes in all.

    Attributes:
        video: int64 [T], -1 for a video outside the split.
        label: int64 [T].
        score: float64 [T].
        starts: int64 [T + 1], where the rows of each tube begin and the last ends.
        frames: int64 [R].
        boxes: float32 or float64 [R, 4], xyxy in pixels.
    """

    video: np.ndarray
    label: np.ndarray
    score: np.ndarray
    starts: np.ndarray
    frames: np.ndarray
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    @property
    def first(self) -> np.ndarray:
        """Returns int64 [T], the first frame of each tube."""
        return np.asarray(self.frames[self.starts[:-1]])

    @property
    def last(self) -> np.ndarray:
        """Returns int64 [T], the last frame of each tube."""
        return np.asarray(self.frames[self.starts[1:] - 1])

    def choose(self, rows: np.ndarray) -> TubeTable:
        """Returns the tubes of indices [N], in their order."""
        counts = self.starts[rows + 1] - self.starts[rows]
        starts = np.concatenate([[0], np.cumsum(counts)])
        boxes = expand(self.starts[rows], counts)
        return TubeTable(
            self.video[rows],
            self.label[rows],
            self.score[rows],
            starts,
            self.frames[boxes],
            self.boxes[boxes],
        )


def expand(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns the indices start .. start + count - 1 of every span, one after another."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(starts - (ends - counts), counts))


def make_table(tubes: Sequence[Tube], numbers: Mapping[str, int], where: str) -> TubeTable:
    """Lays out tubes in their order.

    Args:
        tubes: The tubes; those of ground truth have no score.
        numbers: Video -> its number in the split.
        where: Names the source, for messages.

    Raises:
        ValueError: A tube has no box, or one whose corners are inverted.
    """
    counts = np.array([len(tube) for tube in tubes], dtype=np.int64)
    if len(counts) and not counts.all():
        tube = tubes[int(np.argmin(counts))]
        raise ValueError(
            f"{where}: expected boxes in every tube, found none in one of {tube.video}"
        )
    frames = [tube.frames for tube in tubes]
    boxes = [tube.boxes for tube in tubes]
    table = TubeTable(
        np.array([numbers.get(tube.video, -1) for tube in tubes], dtype=np.int64),
        np.array([tube.label for tube in tubes], dtype=np.int64),
        np.array([0.0 if tube.score is None else tube.score for tube in tubes], dtype=np.float64),
        np.concatenate([[0], np.cumsum(counts)]),
        np.concatenate(frames) if frames else np.zeros(0, np.int64),
        np.concatenate(boxes) if boxes else np.zeros((0, 4), np.float32),
    )
    row = first_inverted(table.boxes)
    if row is not None:
        tube = tubes[int(np.searchsorted(table.starts, row, side="right")) - 1]
        raise ValueError(
            f"{where}: expected x1 <= x2 and y1 <= y2, found an inverted box of {tube.video} in "
            f"frame {table.frames[row]}"
        )
    return table


def first_inverted(boxes: np.ndarray) -> int | None:
    """Returns the first row of boxes [R, 4] whose corners are inverted, or None."""
    bad = np.flatnonzero((boxes[:, 0] > boxes[:, 2]) | (boxes[:, 1] > boxes[:, 3]))
    return int(bad[0]) if len(bad) else None
