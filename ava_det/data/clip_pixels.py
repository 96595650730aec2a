"""Holds what is read of a video for one clip: frames and their optical flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MID_GRAY = 115  # nearly 0 when normalized


@dataclass(frozen=True)
class ClipPixels:
    """Holds what is read of a video for one clip, of one size.

    Attributes:
        frames: uint8 RGB [T, H, W, 3]; None for a network of optical flow alone.
        flow: uint8 [2, F, H, W], coded optical flow; None for a network that reads none.
    """

    frames: np.ndarray | None
    flow: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Returns width and height in pixels."""
        if self.frames is not None:
            return self.frames.shape[2], self.frames.shape[1]
        assert self.flow is not None
        return self.flow.shape[3], self.flow.shape[2]
