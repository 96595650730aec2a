"""The protocols of a person detector.

A detector receives frames of one video and returns person boxes. It decodes no video, reads no
file of this toolkit and knows no actions. Its caller passes RGB arrays, and decides which of the
boxes are good enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

# Boxes float32 [N, 4] and person scores float32 [N] of one frame.
FramePersons = tuple[np.ndarray, np.ndarray]


class FrameDetector(Protocol):
    """Finds persons in frames of the video it was made for."""

    def __call__(self, frames: Sequence[np.ndarray]) -> list[FramePersons]:
        """Finds the persons of each frame.

        Args:
            frames: RGB, uint8 [H, W, 3], all of one size: any frames of the video, in any order.

        Returns:
            One pair per frame: boxes float32 [N, 4], xyxy in pixels of the frame (continuous
            coordinates: the whole frame is 0, 0, W, H), and person_scores float32 [N] in 0..1,
            highest first. N may be 0.
        """
        ...


@runtime_checkable
class PersonDetector(FrameDetector, Protocol):
    """Finds persons in the frames of videos.

    Example::

        detect = detector.begin_video(frames spread over the whole video) or detector
        for boxes, person_scores in detect(keyframes): ...
    """

    @property
    def name(self) -> str:
        """Returns the name used in result files and configurations, such as `motion`."""
        ...

    def begin_video(self, samples: Sequence[np.ndarray]) -> FrameDetector | None:
        """Starts a video; called once per video, before its frames.

        Args:
            samples: Frames spread evenly over the video, RGB uint8 [H, W, 3]. About 32 are enough.

        Returns:
            The object that finds persons in this video. A detector with a memory (a background
            model) returns an object that holds what it learned, so that several videos can be
            processed at once. One that looks at single frames returns itself. None means that the
            detector itself remembers the video, and only the latest one.

        Raises:
            ValueError: There is no sample, and the detector needs some.
        """
        ...
