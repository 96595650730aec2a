"""Reads the frames of a video file by annotation time.

Times are annotation times in seconds: that of the first frame is `start_second`, that of every
other frame is `start_second` plus its presentation time since the first. Frame numbers divided by
a nominal rate are never used: they drift.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ava_det.video.containers import describe_choice
from ava_det.video.decoding import DAMAGE_SECONDS, FrameDecoder
from ava_det.video.notes import describe_left_out
from ava_det.video.pictures import DecodedPicture, FrameConverter
from ava_det.video.reader import DamageError, FrameReader, Picture, VideoError

# Decoding forward this far is cheaper than a seek, which falls back to the last key picture and
# decodes from there.
SEEK_GAP_SECONDS = 4.0

# Largest rounding error, in seconds, of a time computed in floats. Without this margin one frame
# too early would be asked for, and a whole group of pictures decoded for it.
ROUNDING = 1e-6

# data/ava/transcode.py writes this tag into its files, whose frame size and rate differ from those
# that published weights were trained on.
PREPARED_TAG = "ava_det_prepared"


class VideoReader(FrameReader):
    """Reads the frames of one video file; reading backwards or far ahead seeks.

    Args:
        path: The video file.
        start_second: Annotation time, in seconds, of the video's first frame.
        stream: Number of the video stream, from 0; None takes the first that is no picture.
        hwaccel: The kind of device that decodes it where it can, see hardware.py; None for none.

    Raises:
        VideoError: There is no such file or stream, or no frame can be decoded.
    """

    def __init__(
        self,
        path: str | Path,
        start_second: float = 0.0,
        stream: int | None = None,
        hwaccel: str | None = None,
    ):
        self.path = Path(path)
        self.start_second = start_second
        if not self.path.is_file():
            raise VideoError(f"{self.path}: no such video file")
        self._first_pts: int | None = None
        self._lost: tuple[tuple[float, float], ...] = ()
        self._start = Fraction(start_second)
        self._converter = FrameConverter()
        self._on_frame: Callable[[Picture], None] | None = None
        self._last_sent = -math.inf
        self._first_left_out: float | None = None
        self._pictures: deque[DecodedPicture] = deque()
        self._source = FrameDecoder(self.path, stream, hwaccel)
        self._decoder = self._source.frames()
        if not self._decode_next():
            self._source.close()
            raise VideoError(f"{self.path}: no frame of it can be decoded")
        self.width, self.height = self._converter.size
        self.stored_size = self._converter.stored_size
        self.pixel_aspect = self._source.aspect
        self.matrix = self._pictures[0].matrix
        self.fps = float(self._source.average_rate)
        self.frame_rate = self._source.rate
        audio = self._source.container.streams.audio
        self.has_audio = bool(audio)
        self.audio_rate = getattr(audio[0], "rate", 0) or 0 if audio else 0
        self._choice = describe_choice(self._source.container, self._source.stream, stream)
        self.is_prepared = PREPARED_TAG in self._source.container.metadata
        self.delay = self._find_delay()
        self.clock_start = float((self._first_pts or 0) * self._source.tick)
        self.duration = self._find_duration()
        self._end: float | None = None

    def close(self) -> None:
        """Closes the file and frees its frames."""
        self._pictures.clear()
        self._source.close()
        self._decoder = iter(())

    def release_buffers(self) -> None:
        """Frees the frames that are held."""
        self._pictures.clear()

    def pictures_nearest(self, seconds: Sequence[float] | np.ndarray) -> Sequence[Picture]:
        """Finds the frame nearest to each time, see `FrameReader.pictures_nearest`."""
        moments = np.asarray(seconds, dtype=np.float64)
        self._fill(float(moments.min()), float(moments.max()))
        times = np.array([picture.seconds for picture in self._pictures])
        after = np.searchsorted(times, moments).clip(1, max(len(times) - 1, 1))
        before_is_nearer = (
            moments - times[after - 1] <= times[np.minimum(after, len(times) - 1)] - moments
        )
        chosen = np.where(before_is_nearer, after - 1, np.minimum(after, len(times) - 1))
        self._refuse_damage(moments, times[chosen])
        return [self._pictures[index] for index in chosen]

    def pictures_at_or_after(self, moments: Sequence[Fraction]) -> Sequence[Picture]:
        """Finds the first frame at or after each time, see `FrameReader.pictures_at_or_after`."""
        return self._find_at_or_after(moments)

    def find_at_or_after(self, moment: Fraction) -> Fraction | None:
        """Returns the exact time of the first frame at or after `moment`, or None."""
        second = self._start + self._find_at_or_after([moment])[0].pts * self._source.tick
        return second if second >= moment else None

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yields the time in seconds and the RGB picture of every frame."""
        self._rewind()
        while self._decode_next():
            while len(self._pictures) > 1:
                self._pictures.popleft()
            yield self._pictures[0].seconds, self._pictures[0].rgb(None)

    def subscribe(self, moment: float, on_frame: Callable[[Picture], None]) -> None:
        """Calls `on_frame` for every frame from `moment` on, see `FrameReader.subscribe`."""
        self._pictures.clear()
        self._fill(moment, moment)
        self._on_frame = on_frame
        self._last_sent = self._pictures[-1].seconds
        for picture in list(self._pictures):
            on_frame(picture)

    def advance(self, moment: float) -> bool:
        """Reads on to a frame at or after `moment`; returns False at the video's end."""
        self._fill(moment, moment)
        return self._pictures[-1].seconds >= moment - ROUNDING

    def frame_seconds(self) -> np.ndarray:
        """Returns the time of every frame, float64 [F]; decodes the whole file."""
        self._rewind()
        ticks: list[int] = []
        for frame in self._decoder:
            if self._source.damaged:
                raise VideoError(
                    f"{self.path}: damaged, so frames cannot be counted beyond {len(ticks)}"
                )
            ticks.append(frame.ticks)
        since_first = np.array(ticks, dtype=np.float64) - (self._first_pts or 0)
        return np.maximum.accumulate(self.start_second + since_first * float(self._source.tick))

    def listed_seconds(self) -> np.ndarray:
        """Returns the times of the frames as the file lists them, see `FrameReader`."""
        source = self._source
        first = source.index.first if source.index is not None else self._first_pts or 0
        ticks = source.list_ticks()
        return self.start_second + (ticks[ticks >= first] - first) * float(source.tick)

    @property
    def lost(self) -> Sequence[tuple[float, float]]:
        """Returns the stretches of time that damage has taken, see `FrameReader.lost`."""
        return self._lost

    @property
    def notes(self) -> Sequence[str]:
        """Returns what was assumed or changed to read this video, see `FrameReader.notes`."""
        return (*self._choice, *self._source.notes, *describe_left_out(self._first_left_out))

    def find_end(self) -> float:
        """Returns the time at which the last frame ends: as read, or as the header declares.

        A file whose header has no duration is decoded through once.
        """
        if self._end is None and self.duration is not None:
            self._end = self.start_second + self.duration
        if self._end is None:
            self._rewind()
            while self._decode_next():
                while len(self._pictures) > 1:
                    self._pictures.popleft()
        assert self._end is not None
        return self._end

    def _find_at_or_after(self, moments: Sequence[Fraction]) -> list[DecodedPicture]:
        """Returns the first picture at or after each time, the last picture past the end."""
        # whole ticks, not floats: of 24 fps on a grid of 30 every fourth frame is on a boundary
        wanted = [math.ceil((moment - self._start) / self._source.tick) for moment in moments]
        self._fill(float(min(moments)), float(max(moments)) + 2 * ROUNDING)
        held = list(self._pictures)
        pictures = [
            held[min(bisect_left(held, pts, key=lambda picture: picture.pts), len(held) - 1)]
            for pts in wanted
        ]
        self._refuse_damage(
            np.array(moments, dtype=np.float64), np.array([picture.seconds for picture in pictures])
        )
        return pictures

    def _refuse_damage(self, moments: np.ndarray, frame_seconds: np.ndarray) -> None:
        """Raises DamageError where frames between the first and the last are lost to damage.

        A long gap alone is no fault: recordings of variable rate have them.
        """
        if self._source.damaged:
            inside = moments.clip(self.start_second, self._pictures[-1].seconds)
            far = np.abs(frame_seconds - inside) > DAMAGE_SECONDS
            if far.any():
                raise DamageError(
                    f"{self.path}: damaged around {inside[far][0]:.1f} s, "
                    "no frame can be decoded there"
                )

    def _fill(self, first: float, last: float) -> None:
        """Makes the ring buffer reach from `first` to `last` seconds, as far as the file does."""
        first = first + ROUNDING
        last = last - ROUNDING
        held = self._pictures
        behind = not held or (first < held[0].seconds and held[0].seconds > self.start_second)
        if behind or (self._on_frame is None and first > held[-1].seconds + SEEK_GAP_SECONDS):
            self._seek(first)
        while self._pictures[-1].seconds < last and self._decode_next():
            # the frame before `first` may be the nearest one: keep it, drop those before
            while len(self._pictures) > 1 and self._pictures[1].seconds <= first:
                self._pictures.popleft()

    def _seek(self, moment: float) -> None:
        """Moves so that the ring buffer begins at or before `moment`, or at the first frame."""
        back_off = 0.0
        while moment - back_off > self.start_second:
            ticks = int((moment - back_off - self.start_second) / self._source.tick)
            self._pictures.clear()
            self._source.seek(ticks + (self._first_pts or 0))
            self._decoder = self._source.frames()
            if self._decode_next() and self._pictures[0].seconds <= moment:
                return
            back_off = 2 * back_off + 1.0  # some containers land after the moment asked for
        self._rewind()
        self._decode_next()

    def _rewind(self) -> None:
        """Moves before the first frame."""
        self._pictures.clear()
        self._source.reopen()
        self._decoder = self._source.frames()

    def _decode_next(self) -> bool:
        """Appends the next frame to the ring buffer; returns False at the end."""
        for decoded in self._decoder:
            if self._first_pts is None:
                self._first_pts = decoded.ticks
            ticks = decoded.ticks - (self._first_pts or 0)
            tick = (
                self._source.tick
            )  # whole numbers divided are exact, in a tenth of Fraction's time
            seconds = self.start_second + ticks * tick.numerator / tick.denominator
            self._note_loss(seconds)
            if self._pictures and seconds <= self._pictures[-1].seconds:
                if self._first_left_out is None:
                    self._first_left_out = self._pictures[-1].seconds - self.start_second
            else:
                picture = DecodedPicture(
                    decoded.frame, ticks, seconds, self._converter, decoded.aspect
                )
                self._pictures.append(picture)
                if self._on_frame is not None and seconds > self._last_sent:
                    self._last_sent = seconds
                    self._on_frame(picture)
                return True
        self._note_loss(math.inf)
        if self._pictures:  # the file's real end, whatever its header promised
            length = float((self._pictures[-1].duration or 0) * self._source.tick)
            self._end = self._pictures[-1].seconds + (length or 1 / self.fps)
        return False

    def _note_loss(self, after: float) -> None:
        """Notes, once, the stretch from the last frame to the one at `after` as damaged."""
        if self._source.broken and self._pictures:
            before = self._pictures[-1].seconds
            apart = [
                stretch for stretch in self._lost if stretch[1] <= before or stretch[0] >= after
            ]
            same = [stretch for stretch in self._lost if stretch not in apart]
            ends = [(before, after), *same]
            merged = (min(end[0] for end in ends), max(end[1] for end in ends))
            self._lost = tuple(sorted([*apart, merged]))
        self._source.broken = False

    def _find_delay(self) -> Fraction:
        """Computes the seconds from the start of the file, or of its sound, to the first frame."""
        start = self._source.container.start_time
        if start is None or self._first_pts is None:
            return Fraction(0)
        begin = round(Fraction(start, av.time_base) / self._source.tick)
        return max(self._first_pts - begin, 0) * self._source.tick

    def _find_duration(self) -> float | None:
        """Returns the duration in seconds; None where the file does not say."""
        source = self._source
        if source.index is not None:
            first = self._first_pts if source.index.shifts is not None else source.index.first
            return float((source.index.end - (first or 0)) * source.tick)
        if source.stream.duration is not None:
            return float(source.stream.duration * source.tick)
        return source.container.duration / av.time_base if source.container.duration else None
