"""Watches a live source on a thread, and passes pictures, keyframes and events to the clients."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from threading import Event, Thread

import cv2

from ava_det.demo.event_watch import LiveEvents
from ava_det.formats.keyframe_records import parse_record
from ava_det.inference.streaming import ShownFrame
from ava_det.live_page.happenings import Happenings
from ava_det.live_page.hub import Hub
from ava_det.live_page.worker import ModelWorker
from ava_det.video.live import LiveSource

logger = logging.getLogger("ava_det")

PICTURE_SECONDS = 1 / 15  # between pictures: more would take the processor from the network
MAX_SHORT_SIDE = 720  # pixels
QUALITY = 75


class Camera:
    """Watches until the source ends or it is closed; use it in a `with` block.

    Args:
        name: A webcam's number, a URL or a file, which is read at its own pace.
        worker: Runs the network, and knows the rules of events.
        hub: Passes on what is seen.
        every: Smallest time between keyframes, in seconds.
        smooth: Seconds over which scores are averaged.

    Attributes:
        width: Of the pictures' source, in pixels.
        height: Likewise.

    Raises:
        VideoError: The source does not answer.
    """

    def __init__(
        self, name: str, worker: ModelWorker, hub: Hub, every: float, smooth: float
    ) -> None:
        self._worker = worker
        self._hub = hub
        self._stop = Event()
        predictor = worker.predictor
        self._source = LiveSource(name, predictor.live_seconds, predictor.start_second)
        self.width, self.height = self._source.width, self._source.height
        self._watcher = predictor.watch_live(self._source, every, smooth, self._stop, worker.turn)
        self._thread = Thread(target=self._watch, daemon=True, name="camera")
        self._thread.start()

    def close(self) -> None:
        """Stops watching, and closes the source."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        happenings = Happenings()
        latest = -1.0
        try:
            with self._source, ExitStack() as files:
                events = self._watch_events(files)
                for frame in self._watcher.frames():
                    self._pass_keyframes(frame, happenings)
                    events.add(frame)
                    now = time.monotonic()
                    if self._hub.has_viewers and now - latest >= PICTURE_SECONDS:
                        latest = now
                        self._hub.publish_picture(_encode(frame, self.width, self.height))
        except Exception as error:
            logger.exception(f"the live source has ended: {error}")
        self._hub.publish_end()

    def _watch_events(self, files: ExitStack) -> LiveEvents:
        """Watches for the events of the rules, and tells the clients of them too."""
        worker = self._worker
        reach = worker.predictor.live_seconds
        reader = self._source.make_window()
        return LiveEvents(files, worker.display, reader, reach, self._hub.publish_alarm)

    def _pass_keyframes(self, frame: ShownFrame, happenings: Happenings) -> None:
        for detections in frame.keyframes:
            keyframe = self._worker.describe(detections)
            self._hub.publish_keyframe(keyframe)
            record = parse_record(keyframe, "the live source")
            self._hub.publish_actions(list(happenings.add(record)))


def _encode(frame: ShownFrame, width: int, height: int) -> bytes:
    """Encodes a frame as JPEG, of at most `MAX_SHORT_SIDE`."""
    side = min(width, height, MAX_SHORT_SIDE)
    picture = cv2.cvtColor(frame.picture.rgb(side), cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return bytes(data.tobytes())
