"""Computes the coded flow of the clips of videos: each pair of frames once, for all clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ava_det.flow.algorithm import FlowAlgorithm
from ava_det.flow.coding import REST, encode_flow, resize_coded
from ava_det.video.reader import TAGGED, Picture


class ComputedFlow:
    """Computes coded flow between frames of videos.

    What it computes is kept with the first frame of the pair (`Picture.derived`), for later clips
    that share the pair: as long as the reader of the video keeps that frame for them.

    Args:
        algorithm: Computes each pair.
        flow_range: Of the coding, pixels a step.
        short_side: Of the frames it is computed on, in pixels; the fields are then resized to the
            clip's size. None computes it on frames of the clip's size.
    """

    def __init__(
        self, algorithm: FlowAlgorithm, flow_range: float, short_side: int | None = None
    ) -> None:
        self._algorithm = algorithm
        self._range = flow_range
        self._short_side = short_side

    @property
    def is_slow(self) -> bool:
        """Returns whether a pair takes seconds: raft on a CPU."""
        device = getattr(self._algorithm, "device", None)
        return device is not None and device.type == "cpu"

    def read(
        self,
        pairs: Sequence[tuple[Picture, Picture]],
        short_side: int | None,
        size: tuple[int, int],
        color: str = TAGGED,
        stored: bool = False,
    ) -> np.ndarray:
        """Computes the fields of a clip that are not known yet.

        Args:
            pairs: [F], frames of one video. One frame twice has no motion.
            short_side: Of the clip, pixels.
            size: Width and height of the clip, pixels.
            color: As for `Picture.rgb`.
            stored: As for `Picture.rgb`.

        Returns:
            uint8 [2, F, H, W], as `encode_flow`.

        Raises:
            ValueError: The frames are too small for the algorithm.
        """
        seen = self._short_side or short_side, color, stored
        fields = []
        for previous, following in pairs:
            key = self._algorithm.name, self._range, following.seconds, size, *seen
            if key not in previous.derived:
                previous.derived[key] = self._compute(previous, following, size, seen)
            fields.append(previous.derived[key])
        return np.stack(fields, axis=1)

    def _compute(
        self,
        previous: Picture,
        following: Picture,
        size: tuple[int, int],
        seen: tuple[int | None, str, bool],
    ) -> np.ndarray:
        """Returns the coded field of one pair, uint8 [2, H, W]."""
        if following is previous:
            return np.full((2, *size[::-1]), REST, np.uint8)
        flow = self._algorithm.compute(previous.rgb(*seen), following.rgb(*seen))
        return resize_coded(encode_flow(flow, self._range), *size)
