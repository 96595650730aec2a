"""Defines what tube files hold: tubes, the ground truth of a data set, boxes of single frames.

A tube is one action of one person: a box in every frame of its extent. Frames count from 1 and
labels from 0, as in the files of UCF101-24, JHMDB and MultiSports. Boxes are xyxy in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Tube:
    """Holds one tube of n frames, labeled or detected.

    Attributes:
        video: Name of the video, as the data set writes it.
        label: Index of the action, from 0.
        frames: int64 [n], from 1, rising. A labeled tube has no gaps.
        boxes: float32 or float64 [n, 4], xyxy in pixels.
        score: Of the whole tube; None for a labeled one.
        box_scores: float [n], of the boxes; None where there are none.
    """

    video: str
    label: int
    frames: np.ndarray
    boxes: np.ndarray
    score: float | None = None
    box_scores: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.frames.ndim != 1 or self.boxes.shape != (len(self.frames), 4):
            raise ValueError(
                f"Tube: expected frames [n] and boxes [n, 4], found {self.frames.shape} and "
                f"{self.boxes.shape}"
            )
        if self.box_scores is not None and self.box_scores.shape != self.frames.shape:
            raise ValueError(
                f"Tube: expected box scores {self.frames.shape}, found {self.box_scores.shape}"
            )

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def has_gaps(self) -> bool:
        """Returns whether a frame between the first and the last has no box."""
        return len(self) > 0 and int(self.frames[-1] - self.frames[0]) + 1 != len(self)


@dataclass(frozen=True, eq=False)
class TubeTruth:
    """Holds the ground truth of a data set of tubes.

    Attributes:
        labels: Names of the actions by label.
        train_videos: Per split, the videos to train on.
        test_videos: Per split, the videos to score; MultiSports' first split is its val set.
        num_frames: Video -> its number of frames.
        resolution: Video -> height and width in pixels, in this order.
        tubes: Video -> its tubes, by rising label; a video without tubes may be missing.
        path: The file, for messages.
    """

    labels: tuple[str, ...]
    train_videos: tuple[tuple[str, ...], ...]
    test_videos: tuple[tuple[str, ...], ...]
    num_frames: Mapping[str, int]
    resolution: Mapping[str, tuple[int, int]]
    tubes: Mapping[str, Sequence[Tube]]
    path: str = field(default="ground truth")

    def split(self, number: int) -> tuple[str, ...]:
        """Returns the test videos of a split that counts from 1.

        Raises:
            ValueError: The file has no such split.
        """
        if not 1 <= number <= len(self.test_videos):
            raise ValueError(
                f"{self.path}: expected a split from 1 to {len(self.test_videos)}, found {number}"
            )
        return self.test_videos[number - 1]


@dataclass(frozen=True, eq=False)
class FrameBoxes:
    """Holds detected boxes of single frames; R rows.

    Attributes:
        videos: Names of the videos.
        video: int64 [R], index into `videos`.
        frames: int64 [R], from 1.
        labels: int64 [R], from 0.
        scores: float [R].
        boxes: float [R, 4], xyxy in pixels.
        path: The file, for messages.
    """

    videos: tuple[str, ...]
    video: np.ndarray
    frames: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    path: str = field(default="detections")

    def __len__(self) -> int:
        return len(self.labels)
