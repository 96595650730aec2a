"""Reads the coded flow of clips from the folders of `ava-det flow` or of other tools."""

from __future__ import annotations

import logging
from collections import OrderedDict
from functools import cache
from pathlib import Path

import numpy as np

from ava_det.flow.coding import REST, resize_coded
from ava_det.flow.folder import FACTS, FlowFolder
from ava_det.video.reader import VideoError

logger = logging.getLogger("ava_det")

NUM_OPEN_FOLDERS = 8  # whose file names and times a process keeps: some megabytes for an hour
SAME_STEP = 0.01  # largest difference between two steps that count as one, as a share
ROUNDING = 1e-5  # seconds; the times of a folder have six decimals


class StoredFlow:
    """Reads fields by their time from one folder for each video.

    Folders of dense_flow, TSN or MMAction2 have no times: their pairs are taken to be one step
    apart from the first frame on, and to be of this algorithm and range, which is said once.

    Args:
        root: The folder of these folders, named by their video ids.
        algorithm: The name of the algorithm that the network reads the flow of.
        flow_range: Of the coding, pixels a step.
        step: Seconds between the two frames of a pair.
        short_side: Of the frames that the flow was computed on, in pixels; None takes any.
    """

    is_slow = False

    def __init__(
        self,
        root: str | Path,
        algorithm: str,
        flow_range: float,
        step: float,
        short_side: int | None = None,
    ) -> None:
        self._root = Path(root)
        self._algorithm = algorithm
        self._range = flow_range
        self._step = step
        self._short_side = short_side
        self._open: OrderedDict[str, tuple[FlowFolder, np.ndarray]] = OrderedDict()

    def read(self, video_id: str, seconds: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Reads the fields of a clip.

        Args:
            video_id: The video.
            seconds: float64 [F], of the first frame of each pair since the first frame of the
                video. The pair that begins nearest to it is read; before the first and after the
                last nothing moves.
            size: Width and height of the result, pixels.

        Returns:
            uint8 [2, F, height, width], values scaled with their axes.

        Raises:
            VideoError: There is no such flow, or it was computed otherwise.
        """
        try:
            folder, begins = self._find(video_id)
            after = np.searchsorted(begins, seconds).clip(1, max(len(begins) - 1, 1))
            nearest = np.minimum(after, len(begins) - 1)
            is_before = seconds - begins[after - 1] <= begins[nearest] - seconds
            nearest = np.where(is_before, after - 1, nearest)
            moves = np.abs(seconds - begins[nearest]) <= self._step / 2 + ROUNDING
            known = {
                int(index): resize_coded(folder.read_coded([index])[:, 0], *size)
                for index in np.unique(nearest[moves])
            }
        except ValueError as error:
            raise VideoError(str(error)) from error
        rest = np.full((2, *size[::-1]), REST, np.uint8)
        chosen = zip(nearest.tolist(), moves, strict=True)
        return np.stack([known[index] if moving else rest for index, moving in chosen], axis=1)

    def _find(self, video_id: str) -> tuple[FlowFolder, np.ndarray]:
        """Returns the folder of a video and the times at which its pairs begin."""
        if video_id not in self._open:
            folder = FlowFolder(self._root / video_id, self._range)
            found = folder, self._examine(folder)
            while len(self._open) >= NUM_OPEN_FOLDERS:
                self._open.popitem(last=False)
            self._open[video_id] = found
        self._open.move_to_end(video_id)
        return self._open[video_id]

    def _examine(self, folder: FlowFolder) -> np.ndarray:
        """Returns the times at which pairs begin; raises ValueError for another flow."""
        path = folder.path / FACTS
        if not folder.facts:
            _say_what_is_taken(self._root, self._algorithm, self._range, self._step)
            return np.arange(len(folder)) * self._step
        begins = np.asarray(folder.facts.get("seconds", ()), dtype=np.float64)
        if begins.shape != (len(folder),):
            raise ValueError(f"{path}: expected the times of {len(folder)} pairs")
        if folder.facts.get("algorithm") != self._algorithm:
            raise ValueError(
                f"{path}: its flow was computed by {folder.facts.get('algorithm')}, expected "
                f"data.flow_algorithm {self._algorithm}"
            )
        side = min(folder.facts.get("width", 0), folder.facts.get("height", 0))
        if self._short_side is not None and side != self._short_side:
            raise ValueError(
                f"{path}: its flow has a short side of {side} pixels, expected "
                f"data.flow_short_side {self._short_side}"
            )
        step = float(np.median(np.diff(begins))) if len(begins) > 1 else self._step
        if abs(step - self._step) > SAME_STEP * self._step:
            raise ValueError(
                f"{path}: its flow is between frames {step:.4g} s apart, expected {self._step:.4g} "
                f"(data.flow_gap ticks of data.clip_fps): `ava-det flow --fps {1 / self._step:g}`"
            )
        return begins


@cache
def _say_what_is_taken(root: Path, algorithm: str, flow_range: float, step: float) -> None:
    """Says what is not known of folders without flow.json, once in a process.

    Worker processes that are forked after the parent has read its first clip do not say it again.
    """
    logger.warning(
        "%s: folders without %s, as other tools write them: taken for flow by %s with a range of "
        "%g pixels, of pairs %.4g s apart (data.flow_gap ticks of data.clip_fps) from the first "
        "frame of each video on",
        *(root, FACTS, algorithm, flow_range, step),
    )
