"""Writes frames to an H.264 mp4 that any browser plays: yuv420p, with the index in front.

The file appears under its final name only when it is complete.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from ava_det.files.atomic import name_temporary, remove_begun
from ava_det.video.clock import find_rate
from ava_det.video.containers import to_url
from ava_det.video.planes import BT601, BT709, rgb_to_planes
from ava_det.video.sound import SoundTrack

# a frame of 24, 25, 30, 50 or 60 fps, or of their NTSC variants, lasts a whole number of ticks
TICKS_PER_SECOND = 120_000
# Below one frame a second: MP4 has 32 bits for a frame's ticks, and these frames may last weeks.
SLOW_TICKS_PER_SECOND = 1000
# As similar to the source as veryfast at 20 (SSIM), in three quarters of its time and 1.3 to 1.6
# times its bytes.
QUALITY = {"crf": "23", "preset": "superfast"}
BT709_CURVES = 1
LIMITED_RANGE = 1  # H.273
MATRIX_TAGS = {BT601: 6, BT709: 1}


def count_threads() -> int:
    """Returns the number of threads that encode: half of the cores that this process may use.

    x264's own choice, three threads on two cores, takes a third more processor time than one
    thread; the other half decodes, looks and draws.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return max(1, (len(allowed) or os.cpu_count() or 1) // 2)


class VideoWriter:
    """Writes an .mp4 file; use it in a `with` block.

    An error inside the block leaves no file behind. Every frame keeps its own time, so a variable
    rate stays what it was.

    Args:
        path: The file to write.
        width: Of the frames, pixels. An odd side gets one repeated column or row, since 4:2:0 color
            needs pairs.
        height: Likewise.
        fps: The nominal rate.
        sound: A file whose sound is copied, and the time on its clock, in seconds, at which this
            video begins.
        matrix: The matrix from RGB to what is encoded (planes.py); the file is tagged with it.

    Raises:
        OSError: The file cannot be written; the error names it.
        ValueError: No frame was, or the name does not end in .mp4.
    """

    def __init__(
        self,
        path: str | Path,
        width: int,
        height: int,
        fps: float,
        sound: tuple[Path, float] | None = None,
        matrix: str = BT601,
    ) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise ValueError(f"{self.path}: expected a file name that ends in .mp4")
        self._temporary = name_temporary(self.path)
        self._size = (height, width)
        self._matrix = matrix
        rate = find_rate(fps)
        self._ticks = TICKS_PER_SECOND if rate >= 1 else SLOW_TICKS_PER_SECOND
        self._frame_ticks = self._ticks / rate
        self._last_tick = -1
        self._sound: SoundTrack | None = None
        self._sound_fault: str | None = None
        with self._errors_named():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            remove_begun(self.path)
            try:
                self._begin(rate, sound)
            except av.FFmpegError as error:
                if sound is None:
                    raise
                self._close()
                self._sound_fault = f"mp4 does not hold it: {error.strerror}"
                self._begin(rate, None)

    def _begin(self, rate: Fraction, sound: tuple[Path, float] | None) -> None:
        """Opens the file and writes its header, which names the streams."""
        options = {"movflags": "+faststart", "video_track_timescale": str(self._ticks)}
        self._container = av.open(to_url(self._temporary), "w", format="mp4", options=options)
        self._stream = self._container.add_stream("libx264", rate=rate, options=QUALITY)
        height, width = self._size
        self._stream.width = width + width % 2
        self._stream.height = height + height % 2
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.thread_count = count_threads()
        context.time_base = Fraction(1, self._ticks)
        context.color_primaries = BT709_CURVES
        context.color_trc = BT709_CURVES
        context.colorspace = MATRIX_TAGS[self._matrix]
        context.color_range = LIMITED_RANGE
        if sound is not None:
            self._sound = SoundTrack(*sound, self._container)
        self._container.start_encoding()

    def _close(self) -> None:
        """Closes the file and the source of its sound."""
        try:
            self._container.close()
        finally:
            if self._sound is not None:
                self._sound.close()
                self._sound = None

    @property
    def sound_fault(self) -> str | None:
        """Returns why the sound is missing from some time on; None where it is whole."""
        return self._sound_fault if self._sound is None else self._sound.fault

    def write(self, frame: np.ndarray, seconds: float) -> None:
        """Adds a frame.

        Args:
            frame: RGB uint8 [H, W, 3].
            seconds: When it is shown, counted from the first frame of the file.

        Raises:
            OSError: The file cannot be written.
            ValueError: The frame has another shape.
        """
        if frame.shape != (*self._size, 3):
            raise ValueError(
                f"{self.path}: expected frames {(*self._size, 3)}, received {frame.shape}"
            )
        self.write_planes(rgb_to_planes(frame, self._matrix), seconds)

    def write_planes(self, planes: np.ndarray, seconds: float) -> None:
        """Adds a frame as planes (planes.py) by the file's matrix; else as `write`.

        They are mostly not copied, so the caller must not change them afterwards.
        """
        if planes.shape != (self._stream.height * 3 // 2, self._stream.width):
            raise ValueError(
                f"{self.path}: expected planes of {self._stream.width}x{self._stream.height}, "
                f"received {planes.shape}"
            )
        # PyAV rounds the height of planes that it does not copy down to a multiple of four.
        wrap = av.VideoFrame.from_ndarray
        if self._stream.height % 4 == 0:
            wrap = av.VideoFrame.from_numpy_buffer
        picture = wrap(planes, format="yuv420p")
        picture.colorspace = MATRIX_TAGS[self._matrix]
        picture.color_range = LIMITED_RANGE
        self._last_tick = max(self._nearest_tick(seconds), self._last_tick + 1)
        picture.pts = self._last_tick
        picture.time_base = Fraction(1, self._ticks)
        self._mux(picture)
        self._add_sound(0)

    def _add_sound(self, frames_ahead: int) -> None:
        """Writes the sound up to `frames_ahead` frames after the beginning of the last frame."""
        if self._sound is not None:
            self._sound.write_until(
                (self._last_tick + frames_ahead * float(self._frame_ticks)) / self._ticks
            )

    def _nearest_tick(self, seconds: float) -> int:
        """Returns the tick of a time: the frame grid's if within a millisecond, else its own.

        Matroska rounds times to milliseconds.
        """
        on_grid = round(round(seconds * self._ticks / self._frame_ticks) * self._frame_ticks)
        tick = round(seconds * self._ticks)
        return on_grid if abs(on_grid - tick) <= self._ticks / 1000 else tick

    def _mux(self, picture: av.VideoFrame | None) -> None:
        """Encodes and writes a frame; None flushes the encoder."""
        with self._errors_named():
            self._container.mux(self._stream.encode(picture))

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        """Names the file in an error, in place of the hidden one beside it."""
        try:
            yield
        except OSError as error:
            reason = f"cannot be written ({error.strerror})"
            raise OSError(error.errno, reason, str(self.path)) from None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        complete = kind is None and self._last_tick >= 0
        try:
            if complete:
                self._mux(None)
                self._add_sound(1)
                if self._sound is not None:
                    self._sound.finish()
                    self._sound_fault = self._sound.fault
            with self._errors_named():
                self._close()
                if complete:
                    self._temporary.replace(self.path)
        finally:
            self._temporary.unlink(missing_ok=True)
        if kind is None and not complete:
            raise ValueError(f"{self.path}: there was no frame to write")
