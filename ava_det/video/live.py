"""Cameras and streams: frames that come at their own pace, whether anybody is ready for them or
not.

A thread reads them all, since later frames need earlier ones, and keeps the last seconds. Who looks
takes the newest.
"""

from __future__ import annotations

import sys
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np

from ava_det.video.clock import RunningClock, find_rate
from ava_det.video.containers import choose_video_stream, describe_av_error
from ava_det.video.pictures import DecodedPicture, FrameConverter
from ava_det.video.reader import TAGGED, FrameReader, Picture, VideoError

OPEN_SECONDS = 10.0  # for a camera to answer, and then for each packet
CAMERA_FORMATS = {
    "linux": ("v4l2", "/dev/video{}"),
    "darwin": ("avfoundation", "{}"),
    "win32": ("dshow", "video={}"),
}


class LiveSource:
    """A webcam (its number) or a URL; use it in a `with` block.

    keep: seconds of frames to hold. start_second: what its first frame is worth. A source faster
    than its own clock, such as a file on a web server, is read at its own pace. width, height:
    pixels; fps: the rate it says it has. num_frames: read so far. stream: as for `VideoReader`.
    Raises VideoError where nothing comes.
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
        """The newest frame, as soon as there is one later than `seconds`; None when the source has
        ended or `stop`.
        """
        with self._changed:
            while not (self._held and self._held[-1].seconds > seconds):
                if self._ended or stop():
                    return None
                self._changed.wait(0.1)
            return self._held[-1]

    def hold(self) -> LiveWindow:
        """The frames that are held now."""
        with self._changed:
            return LiveWindow(self, list(self._held))

    def _read(self) -> None:
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
        began = time.monotonic()
        first = None
        time_base = Fraction(self._stream.time_base or 1)
        clock = RunningClock(time_base, Fraction(self._stream.guessed_rate or 30), ahead=True)
        aspect = Fraction(self._stream.sample_aspect_ratio or 1)
        last = self.start_second - 1.0
        try:
            for packet in self._container.demux(self._stream):
                if packet.pts is not None:
                    packet.pts += clock.find_shift(packet)
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    continue  # a lost packet costs its own frames
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
                    early = seconds - self.start_second - (time.monotonic() - began)
                    if early > 0:
                        time.sleep(min(early, OPEN_SECONDS))
                    yield DecodedPicture(frame, frame.pts - first, seconds, self._converter, aspect)
        except (av.FFmpegError, OSError):
            return  # a connection that is gone is the end


class LiveWindow(FrameReader):
    """The last seconds of a live source as a video: moments outside give its first or last frame."""

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

    def read(
        self,
        seconds: Sequence[float] | np.ndarray,
        short_side: int | None = None,
        color: str = TAGGED,
    ) -> np.ndarray:
        times = np.array(self._seconds)
        chosen = [int(np.abs(times - moment).argmin()) for moment in seconds]
        return np.stack([self._pictures[index].rgb(short_side, color) for index in chosen])

    def read_at_or_after(
        self, moments: Sequence[Fraction], short_side: int | None = None, color: str = TAGGED
    ) -> np.ndarray:
        last = len(self._pictures) - 1
        chosen = [min(bisect_left(self._seconds, float(moment) - 1e-6), last) for moment in moments]
        return np.stack(
            [self._pictures[index].rgb(short_side, color, stored=True) for index in chosen]
        )

    def find_at_or_after(self, moment: Fraction) -> Fraction | None:
        return max(moment, Fraction(self.start_second))  # frame grids begin with the source

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        return ((picture.seconds, picture.rgb(None)) for picture in self._pictures)

    def subscribe(self, moment: float, on_frame: Callable[[Picture], None]) -> None:
        raise VideoError(f"{self.path}: a live source cannot be followed from a moment")

    def advance(self, moment: float) -> bool:
        return self._seconds[-1] >= moment

    def frame_seconds(self) -> np.ndarray:
        return np.array(self._seconds)

    def find_end(self) -> float:
        return self._seconds[-1]

    def release_buffers(self) -> None:
        pass

    def close(self) -> None:
        pass


def _open(name: str) -> av.container.InputContainer:
    try:
        if name.isdecimal():
            kind, device = CAMERA_FORMATS.get(sys.platform, CAMERA_FORMATS["linux"])
            return av.open(device.format(name), format=kind, timeout=OPEN_SECONDS)
        options = {"rtsp_transport": "tcp"} if name.lower().startswith("rtsp") else {}
        return av.open(name, options=options, timeout=OPEN_SECONDS)
    except (av.FFmpegError, OSError, ValueError) as error:
        what = f"webcam {name}" if name.isdecimal() else name
        raise VideoError(f"{what}: cannot be opened ({describe_av_error(error)})") from None
