"""Watches a live source: shows its newest frames with the latest detections.

Meanwhile the next keyframe is processed. No queue builds up: frames that arrive while one is drawn
are never shown, and a network slower than `every` processes fewer keyframes. A keyframe needs the
frames after it too, so detections are at least half a clip old (a second for AVA's).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from threading import Event, Thread

import numpy as np

from ava_det.inference.streaming import ShownFrame
from ava_det.structures import Detections
from ava_det.video.live import LiveSource

SAMPLE_SECONDS = 2.0  # between the frames from which a detector learns the scene
NUM_SAMPLES = 32

# Finds the persons of a keyframe in: the source, the keyframe's annotation seconds, and frames of
# the last minute, RGB uint8 [H, W, 3].
DetectKeyframe = Callable[[LiveSource, float, list[np.ndarray]], Detections]


class LiveWatcher:
    """Yields the frames of a live source with detections; can be used once.

    Args:
        source: The camera or stream.
        detect: Computes the detections of a keyframe.
        reach: Seconds of frames that a keyframe needs after it.
        every: Smallest time between keyframes, in seconds.
        stop: Ends the watch when it is set.
    """

    def __init__(
        self, source: LiveSource, detect: DetectKeyframe, reach: float, every: float, stop: Event
    ) -> None:
        self._source = source
        self._detect = detect
        self._reach = reach
        self._every = every
        self._stop = stop
        self._finished: deque[Detections] = deque()  # of keyframes, not yielded yet
        self._error: BaseException | None = None
        self._num_shown = 0

    @property
    def num_dropped(self) -> int:
        """Returns the number of frames that were never shown."""
        return self._source.num_frames - self._num_shown

    def frames(self) -> Iterator[ShownFrame]:
        """Yields the newest frame, again and again, until the source ends or `stop` is set."""
        left = Event()
        worker = Thread(target=self._detect_keyframes, args=(left,), daemon=True)
        worker.start()
        latest: Detections | None = None
        seconds = -np.inf
        try:
            while (picture := self._source.wait(seconds, self._stop.is_set)) is not None:
                if self._error is not None:
                    raise self._error
                seconds = picture.seconds
                keyframes = [self._finished.popleft() for _ in range(len(self._finished))]
                latest = keyframes[-1] if keyframes else latest
                self._num_shown += 1
                yield ShownFrame(seconds, picture, latest, keyframes)
        finally:
            left.set()
            worker.join()
        if self._error is not None:
            raise self._error

    def _detect_keyframes(self, left: Event) -> None:
        """Processes one keyframe after the other, in a thread of its own."""
        # Arrays, not pictures: a picture keeps the decoded frame and every size it was shown in.
        samples: deque[np.ndarray] = deque(maxlen=NUM_SAMPLES)
        sampled = -np.inf
        keyframe = -np.inf
        try:
            while not left.is_set():
                due = max(keyframe + self._every, self._source.start_second)
                newest = self._source.wait(
                    due + self._reach - 1e-6, lambda: left.is_set() or self._stop.is_set()
                )
                if newest is None:
                    return
                if newest.seconds - sampled >= SAMPLE_SECONDS:
                    sampled = newest.seconds
                    samples.append(newest.rgb(None))
                keyframe = newest.seconds - self._reach
                self._finished.append(self._detect(self._source, keyframe, list(samples)))
        except BaseException as error:
            self._error = error
