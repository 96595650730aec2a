"""Looks at the videos of a folder when somebody asks for them, and keeps the pages of the last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

from ava_det.formats.keyframe_records import parse_record
from ava_det.live_page.worker import Keyframes, ModelWorker
from ava_det.segments import find_segments
from ava_det.video.folder import open_video
from ava_det.viewer import describe_video, format_view, make_content, read_thumbnails

MAX_KEPT = 8  # pages


def address_of(video_id: str) -> str:
    """Returns the address of the page of a video."""
    return f"/videos/{quote(video_id, safe='')}"


class Library:
    """Provides the videos of a folder by their ids; no other file can be asked for.

    Args:
        videos: Video id to file.
        worker: Runs the network.
        every: Seconds between keyframes.
    """

    def __init__(self, videos: Mapping[str, Path], worker: ModelWorker, every: float) -> None:
        self.videos = dict(videos)
        self._worker = worker
        self._every = every
        self._lock = Lock()
        self._work: OrderedDict[str, Future[Keyframes]] = OrderedDict()
        self._seconds: dict[str, float] = {}

    def ask(self, video_id: str) -> Future[Keyframes]:
        """Begins to look at a video, or returns the work on it that has begun.

        Raises:
            BusyError: Too many videos wait.
        """
        with self._lock:
            work = self._work.get(video_id)
            if work is None or work.cancelled():
                self._seconds[video_id] = 0.0

                def tell(seconds: float) -> None:
                    self._seconds[video_id] = seconds

                work = self._worker.submit(self.videos[video_id], self._every, tell)
                self._work[video_id] = work
            self._work.move_to_end(video_id)
            done = [name for name, one in self._work.items() if one.done() and name != video_id]
            for name in done[: max(len(self._work) - MAX_KEPT, 0)]:
                del self._work[name]
            return work

    def seconds_done(self, video_id: str) -> float:
        """Returns up to which second a video has been looked at."""
        return self._seconds.get(video_id, 0.0)

    def make_page(self, video_id: str, keyframes: Keyframes) -> str:
        """Makes the page of a video; takes as long as its pictures take to read."""
        video = self.videos[video_id]
        records = [parse_record(one, str(video)) for one in keyframes]
        segments = find_segments(records, self._worker.display.segment_rules())
        with open_video(video) as reader:
            address = f"{address_of(video_id)}/file" if video.is_file() else None
            facts = describe_video(reader, address)
            pictures = read_thumbnails(reader, facts.duration)
        content: dict[str, Any] = make_content(records, segments, facts, pictures)
        return format_view(video_id, content)
