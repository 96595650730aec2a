"""Reads cameras and streams, whose frames come at their own pace.

A thread reads all frames, since later frames need earlier ones, and keeps those of the last
seconds. A caller takes the newest.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np

from ava_det.video.clock import RunningClock, find_rate
from ava_det.video.containers import choose_video_stream, describe_av_error, describe_choice
from ava_det.video.notes import describe_jump
from ava_det.video.pictures import ChangeFinder, DecodedPicture, FrameConverter
from ava_det.video.reader import FrameReader, Picture, VideoError

logger = logging.getLogger("ava_det")

OPEN_SECONDS = 10.0  # for a camera to answer, and then for each packet
CAMERA_FORMATS = {
    "linux": ("v4l2", "/dev/video{}"),
    "darwin": ("avfoundation", "{}"),
    "win32": ("dshow", "video={}"),
}


class LiveSource:
    """Reads a webcam or a URL on a thread; use it in a `with` block.

    A source faster than its own clock, such as a file on a web server, is read at its own pace.

    Args:
        name: The webcam's number, or the URL.
        keep: Seconds of frames to hold.
        start_second: Annotation time, in seconds, of the first frame.
        stream: Number of the video stream, as for `VideoReader`.

    Attributes:
        path: The name as a path.
        start_second: As given.
        width: Of the upright frames with square pixels, in pixels.
        height: Likewise.
        stored_size: Width and height in the pixels of the source, upright.
        fps: The rate that the source declares.
        matrix: The matrix (planes.py) by which its frames are coded.
        num_frames: Frames read so far.

    Raises:
        VideoError: The source cannot be opened, or no frame of it can be decoded.
    """

    def __init__(
        self, name: str, keep: float, start_second: float = 0.0, stream: int | None = None
    ) -> None:
        self.path = Path(name)
        self.start_second = start_second
        self.num_frames = 0
        self._keep = keep
        self._name = name
        self._held: deque[DecodedPicture] = deque()
        self._changed = threading.Condition()
        self._left = False
        self._ended = False
        self._converter = FrameConverter()
        self._container = _open(name)
        try:
            self._stream = choose_video_stream(self._container, name, stream)
        except VideoError:
            self._container.close()
            raise
        self._log_notes(describe_choice(self._container, self._stream, stream))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._held or self._ended, timeout=2 * OPEN_SECONDS)
            if not self._held:
                self._left = True
                raise VideoError(f"{name}: no frame of it can be decoded")
            self.width, self.height = self._converter.size
            self.stored_size = self._converter.stored_size
            self.matrix = self._held[0].matrix
        self.fps = float(self._stream.average_rate or self._stream.guessed_rate or 30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._left = True
        self._thread.join(2 * OPEN_SECONDS)
        if not self._thread.is_alive():
            self._container.close()

    def wait(self, seconds: float, stop: Callable[[], bool]) -> Picture | None:
        """Waits for a frame later than `seconds` and returns the newest.

        Args:
            seconds: Annotation time of the last frame that the caller has seen.
            stop: Returns whether to give up; asked ten times a second.

        Returns:
            The frame; None when the source has ended or `stop` returned True.
        """
        with self._changed:
            while not (self._held and self._held[-1].seconds > seconds):
                if self._ended or stop():
                    return None
                self._changed.wait(0.1)
            return self._held[-1]

    def make_window(self) -> LiveWindow:
        """Returns the frames that are held now."""
        with self._changed:
            return LiveWindow(self, list(self._held))

    def _log_notes(self, notes: Iterable[str]) -> None:
        """Logs what is changed to read the source, as warnings."""
        for note in notes:
            logger.warning(f"{self._name}: {note}")

    def _read(self) -> None:
        """Reads pictures until the source ends, and drops those older than the seconds to keep."""
        try:
            for picture in self._pictures():
                with self._changed:
                    self._held.append(picture)
                    self.num_frames += 1
                    while self._held[-1].seconds - self._held[0].seconds > self._keep:
                        self._held.popleft()
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _pictures(self) -> Iterator[DecodedPicture]:
        """Yields decoded pictures with increasing times, not faster than their own clock."""
        began = time.monotonic()
        first = None
        time_base = Fraction(self._stream.time_base or 1)
        clock = RunningClock(time_base, Fraction(self._stream.guessed_rate or 30), ahead=True)
        aspect = Fraction(self._stream.sample_aspect_ratio or 1)
        last = self.start_second - 1.0
        changes = ChangeFinder()
        jumped = False
        try:
            for packet in self._container.demux(self._stream):
                if packet.pts is not None:
                    packet.pts += clock.find_shift(packet)
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    continue  # a damaged packet costs its own frames only
                for frame in frames:
                    if self._left:
                        return
                    if frame.pts is None:
                        continue
                    first = frame.pts if first is None else first
                    seconds = self.start_second + float((frame.pts - first) * time_base)
                    if seconds <= last:
                        continue
                    last = seconds
                    self._log_notes(changes.inspect(frame, aspect, frame.pts - first, time_base))
                    if clock.num_jumps and not jumped:
                        jumped = True
                        self._log_notes([describe_jump(seconds - self.start_second)])
                    early = seconds - self.start_second - (time.monotonic() - began)
                    if early > 0:
                        time.sleep(min(early, OPEN_SECONDS))
                    yield DecodedPicture(frame, frame.pts - first, seconds, self._converter, aspect)
        except (av.FFmpegError, OSError):
            return  # a lost connection ends the source


class LiveWindow(FrameReader):
    """Gives the last seconds of a live source as a video.

    Times outside give the first or last frame.

    Args:
        source: The live source.
        pictures: The frames it held, at least one, in the order of time.
    """

    has_audio = False
    audio_rate = 0
    is_prepared = False
    delay = Fraction(0)
    clock_start = 0.0

    def __init__(self, source: LiveSource, pictures: Sequence[DecodedPicture]) -> None:
        self.path = source.path
        self.start_second = source.start_second
        self.width = source.width
        self.height = source.height
        self.fps = source.fps
        self.stored_size = source.stored_size
        self.frame_rate = find_rate(source.fps)
        self.matrix = source.matrix
        self._pictures = pictures
        self._seconds = [picture.seconds for picture in pictures]
        self.duration = self._seconds[-1] - self.start_second

    def pictures_nearest(self, seconds: Sequence[float] | np.ndarray) -> Sequence[Picture]:
        """Returns the frame nearest to each time, see `FrameReader.pictures_nearest`."""
        times = np.array(self._seconds)
        chosen = [int(np.abs(times - moment).argmin()) for moment in seconds]
        return [self._pictures[index] for index in chosen]

    def pictures_at_or_after(self, moments: Sequence[Fraction]) -> Sequence[Picture]:
        """Returns the first frame at or after each time, see `FrameReader.pictures_at_or_after`."""
        last = len(self._pictures) - 1
        chosen = [min(bisect_left(self._seconds, float(moment) - 1e-6), last) for moment in moments]
        return [self._pictures[index] for index in chosen]

    def find_at_or_after(self, moment: Fraction) -> Fraction | None:
        """Returns `moment`, or the beginning of the source, where frame grids begin."""
        return max(moment, Fraction(self.start_second))

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yields the time in seconds and the RGB picture of every frame."""
        return ((picture.seconds, picture.rgb(None)) for picture in self._pictures)

    def subscribe(self, moment: float, on_frame: Callable[[Picture], None]) -> None:
        """Refuses, with VideoError: earlier frames of a live source are gone."""
        raise VideoError(f"{self.path}: a live source cannot be followed from a moment")

    def advance(self, moment: float) -> bool:
        """Returns whether the newest frame is at or after `moment`."""
        return self._seconds[-1] >= moment

    def frame_seconds(self) -> np.ndarray:
        """Returns the time of every frame, float64 [F]."""
        return np.array(self._seconds)

    def find_end(self) -> float:
        """Returns the time of the newest frame."""
        return self._seconds[-1]

    def release_buffers(self) -> None:
        """Does nothing: the live source holds the frames."""

    def close(self) -> None:
        """Does nothing: the live source stays open."""


def _open(name: str) -> av.container.InputContainer:
    """Opens a webcam or a URL; raises VideoError where it does not answer."""
    try:
        if name.isdecimal():
            kind, device = CAMERA_FORMATS.get(sys.platform, CAMERA_FORMATS["linux"])
            return av.open(device.format(name), format=kind, timeout=OPEN_SECONDS)
        options = {"rtsp_transport": "tcp"} if name.lower().startswith("rtsp") else {}
        return av.open(name, options=options, timeout=OPEN_SECONDS)
    except (av.FFmpegError, OSError, ValueError) as error:
        what = f"webcam {name}" if name.isdecimal() else name
        raise VideoError(f"{what}: cannot be opened ({describe_av_error(error)})") from None
