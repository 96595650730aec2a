"""Keeps the last seconds of a live source as JPEGs, for the pictures and clips of events."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

import cv2
import numpy as np

from ava_det.video.writer import VideoWriter

QUALITY = 90  # of JPEG, 0..100


class LiveRecorder:
    """Holds the frames of the last seconds; frames come from one thread, clips from others.

    Args:
        keep: Seconds to hold.
        fps: The rate that the source declares.
        matrix: The matrix (planes.py) by which clips are coded.
    """

    def __init__(self, keep: float, fps: float, matrix: str) -> None:
        self._keep = keep
        self._fps = fps
        self._matrix = matrix
        self._frames: deque[tuple[float, bytes]] = deque()
        self._changed = threading.Condition()
        self._is_closed = False

    def add(self, seconds: float, picture: np.ndarray) -> None:
        """Adds a frame: its time in seconds, and uint8 RGB [H, W, 3]."""
        jpeg = cv2.imencode(
            ".jpg",
            cv2.cvtColor(picture, cv2.COLOR_RGB2BGR),
            [cv2.IMWRITE_JPEG_QUALITY, QUALITY],
        )[1].tobytes()
        with self._changed:
            self._frames.append((seconds, jpeg))
            while self._frames[0][0] < seconds - self._keep:
                self._frames.popleft()
            self._changed.notify_all()

    def find(self, seconds: float) -> np.ndarray:
        """Returns the held frame nearest to a time, uint8 RGB [H, W, 3].

        Raises:
            ValueError: No frame has come yet.
        """
        with self._changed:
            if not self._frames:
                raise ValueError("the source has no frame yet")
            jpeg = min(self._frames, key=lambda frame: abs(frame[0] - seconds))[1]
        return _decode(jpeg)

    def write_clip(self, target: Path, begin: float, end: float) -> None:
        """Waits for the frames up to `end`, or the end of the source, and writes them as .mp4.

        Raises:
            OSError: The file cannot be written.
            ValueError: There is no frame in this time.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closed or bool(self._frames and self._frames[-1][0] >= end)
            )
            frames = [frame for frame in self._frames if begin <= frame[0] < end]
        if not frames:
            raise ValueError(f"{target}: no frame is left of {begin:.1f} to {end:.1f} s")
        height, width = _decode(frames[0][1]).shape[:2]
        with VideoWriter(target, width, height, self._fps, matrix=self._matrix) as writer:
            for seconds, jpeg in frames:
                writer.write(_decode(jpeg), seconds - frames[0][0])

    def close(self) -> None:
        """Says that no more frames come."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


def _decode(jpeg: bytes) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    rgb: np.ndarray = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return rgb
