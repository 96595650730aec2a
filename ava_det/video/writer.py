"""Frames to an H.264 mp4 that any browser plays: yuv420p, index in front, under its final name only
when complete.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from ava_det.video.clock import find_rate
from ava_det.video.containers import to_url
from ava_det.video.planes import BT601, BT709, rgb_to_planes
from ava_det.video.sound import SoundTrack

# frames of 24, 25, 30, 50, 60 fps and their NTSC siblings last whole ticks
TICKS_PER_SECOND = 120_000
# Below a frame a second: MP4 has 32 bits for the ticks of one, which then may last weeks.
SLOW_TICKS_PER_SECOND = 1000
# As like the source as veryfast at 20 (SSIM), in three quarters of its time and 1.3 to 1.6 times
# its bytes.
QUALITY = {"crf": "23", "preset": "superfast"}
BT709_CURVES = 1
LIMITED_RANGE = 1  # H.273
MATRIX_TAGS = {BT601: 6, BT709: 1}


class VideoWriter:
    """Writes `path` (.mp4); use it in a `with` block. An error inside the block leaves nothing
    behind.

    width, height: of the frames, pixels; an odd side gets one repeated row or column, since 4:2:0
    color needs pairs. fps: the nominal rate; every frame keeps its own moment, so a variable rate
    stays what it was. sound: a file whose sound is taken over, and the seconds of that file's clock
    at which this one begins. matrix: from RGB to what is encoded (yuv.py); the file says which.
    Raises ValueError where the file cannot be written, or where no frame was.
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
        self._temporary = self.path.with_name(f".{self.path.name}.incomplete")
        self._size = (height, width)
        self._matrix = matrix
        rate = find_rate(fps)
        self._ticks = TICKS_PER_SECOND if rate >= 1 else SLOW_TICKS_PER_SECOND
        self._frame_ticks = self._ticks / rate
        self._last_tick = -1
        self._sound: SoundTrack | None = None
        self._sound_fault: str | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._begin(rate, sound)
            except av.FFmpegError as error:
                if sound is None:
                    raise
                self._close()
                self._sound_fault = f"mp4 does not hold it: {error.strerror}"
                self._begin(rate, None)
        except OSError as error:
            raise ValueError(f"{self.path}: cannot be written ({error.strerror})") from None

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
        context.time_base = Fraction(1, self._ticks)
        context.color_primaries = context.color_trc = BT709_CURVES
        context.colorspace = MATRIX_TAGS[self._matrix]
        context.color_range = LIMITED_RANGE
        if sound is not None:
            self._sound = SoundTrack(*sound, self._container)
        self._container.start_encoding()

    def _close(self) -> None:
        """Frees the file and the source of its sound."""
        try:
            self._container.close()
        finally:
            if self._sound is not None:
                self._sound.close()
                self._sound = None

    @property
    def sound_fault(self) -> str | None:
        """Why the sound is missing from some moment on; None where it is whole."""
        return self._sound_fault if self._sound is None else self._sound.fault

    def write(self, frame: np.ndarray, seconds: float) -> None:
        """Adds an RGB uint8 [H, W, 3] frame shown from `seconds` on, counted from the first frame
        of the file.
        """
        if frame.shape != (*self._size, 3):
            raise ValueError(
                f"{self.path}: expected frames {(*self._size, 3)}, received {frame.shape}"
            )
        self.write_planes(rgb_to_planes(frame, self._matrix), seconds)

    def write_planes(self, planes: np.ndarray, seconds: float) -> None:
        """The same for the planes of a frame, by the file's matrix."""
        if planes.shape != (self._stream.height * 3 // 2, self._stream.width):
            raise ValueError(
                f"{self.path}: expected planes of {self._stream.width}x{self._stream.height}, received {planes.shape}"
            )
        picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        picture.colorspace = MATRIX_TAGS[self._matrix]
        picture.color_range = LIMITED_RANGE
        self._last_tick = max(self._nearest_tick(seconds), self._last_tick + 1)
        picture.pts = self._last_tick
        picture.time_base = Fraction(1, self._ticks)
        self._mux(picture)
        self._add_sound(0)

    def _add_sound(self, frames_ahead: int) -> None:
        """The sound up to now, or to the end of the last frame."""
        if self._sound is not None:
            self._sound.write_until(
                (self._last_tick + frames_ahead * float(self._frame_ticks)) / self._ticks
            )

    def _nearest_tick(self, seconds: float) -> int:
        """The frame grid's tick where `seconds` is within a millisecond of it (mkv rounds to
        those), else its own.
        """
        on_grid = round(round(seconds * self._ticks / self._frame_ticks) * self._frame_ticks)
        tick = round(seconds * self._ticks)
        return on_grid if abs(on_grid - tick) <= self._ticks / 1000 else tick

    def _mux(self, picture: av.VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(picture))
        except OSError as error:
            raise ValueError(f"{self.path}: cannot be written ({error.strerror})") from None

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
            self._close()
            if complete:
                self._temporary.replace(self.path)
        finally:
            self._temporary.unlink(missing_ok=True)
        if kind is None and not complete:
            raise ValueError(f"{self.path}: there was no frame to write")
