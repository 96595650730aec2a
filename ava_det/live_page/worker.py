"""Runs the network for all clients, one piece of work at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from typing import Any

from ava_det.demo.options import DisplayOptions
from ava_det.formats.result_files import describe_detections
from ava_det.inference.predictor import Predictor
from ava_det.video.sources import video_id_of

MAX_WAITING = 4  # videos
YIELD_SECONDS = 0.002  # between keyframes: a lock alone gives nobody else a turn

Keyframes = list[dict[str, Any]]


class BusyError(RuntimeError):
    """Says that too many videos wait already."""


class ModelWorker:
    """Looks at videos one after the other, on one thread.

    Between two keyframes it gives up its turn, so that a live source goes on meanwhile.

    Args:
        predictor: Runs the network.
        display: Which actions are told, and from which scores.

    Attributes:
        turn: Whoever holds it may run the network.
    """

    def __init__(self, predictor: Predictor, display: DisplayOptions) -> None:
        self.predictor = predictor
        self.display = display
        self.turn = Lock()
        self._stop = Event()
        self._lock = Lock()
        self._num_waiting = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="model")

    def submit(
        self, video: Path, every: float, on_keyframe: Callable[[float], None] | None = None
    ) -> Future[Keyframes]:
        """Looks at a video as soon as those before it are done.

        Args:
            video: The file.
            every: Seconds between keyframes.
            on_keyframe: Is told the time of each keyframe, seconds since the first frame.

        Returns:
            The keyframes, as in the demo's JSON lines; a ValueError where the video cannot be read.

        Raises:
            BusyError: Too many videos wait.
        """
        with self._lock:
            if self._num_waiting >= MAX_WAITING:
                raise BusyError("too many videos wait already, try again later")
            self._num_waiting += 1
        future = self._pool.submit(self._look_at, video, every, on_keyframe)
        future.add_done_callback(lambda _: self._finish())
        return future

    def _finish(self) -> None:
        with self._lock:
            self._num_waiting -= 1

    def _look_at(
        self, video: Path, every: float, on_keyframe: Callable[[float], None] | None
    ) -> Keyframes:
        keyframes = []
        found = iter(self.predictor(video, every))
        while not self._stop.is_set():
            with self.turn:
                detections = next(found, None)
            time.sleep(YIELD_SECONDS)
            if detections is None:
                break
            one = self.describe(detections)
            keyframes.append({**one, "video": video_id_of(video)})
            if on_keyframe is not None:
                on_keyframe(one["time"])
        return keyframes

    def describe(self, detections: Any) -> dict[str, Any]:
        """Converts the detections of a keyframe to plain values."""
        return describe_detections(
            detections,
            self.display.label_map,
            self.display.thresholds,
            self.predictor.start_second,
        )

    def close(self) -> None:
        """Gives up what is not done, and waits for the thread."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
