"""What a person detector is: the one protocol all members of this room follow.

A detector sees frames of one video and returns person boxes. It decodes no video, reads no file of
ours and knows no action: whoever calls it hands it RGB arrays and decides which of the boxes are
good enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class PersonDetector(Protocol):
    """Finds persons in the frames of one video at a time.

    Frames are RGB, uint8 [H, W, 3], all of one video of one size. Use::

        detector.begin_video(frames spread over the whole video)
        for boxes, person_scores in detector(keyframes): ...
    """

    @property
    def name(self) -> str:
        """What result files and configurations call this detector, such as ``motion``."""
        ...

    def begin_video(self, samples: Sequence[np.ndarray]) -> None:
        """Starts a video. Called once per video, before its frames, with frames spread evenly over
        it.

        A detector with a memory (a background model) forgets the previous video and learns from
        ``samples``; one that looks at single frames ignores them. About 32 samples are enough;
        fewer than one is a ValueError for a detector that needs them.
        """
        ...

    def __call__(self, frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Finds the persons of each frame; the frames may be any of the video, in any order.

        Returns:
            One pair per frame: boxes float32 [N, 4], xyxy in pixels of the frame (continuous
            coordinates: the whole frame is 0, 0, W, H), and person_scores float32 [N] in 0..1,
            highest first. N may be 0.
        """
        ...
