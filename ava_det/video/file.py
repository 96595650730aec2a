"""The one place that decodes video.

Moments are seconds as the annotations count them: the first frame of a file is worth
`start_second`, every other one that plus its presentation time. Frame numbers divided by a nominal
rate are never used: they drift.
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

from ava_det.video.containers import (
    choose_video_stream,
    describe_av_error,
    describe_choice,
    open_container,
)
from ava_det.video.pictures import DecodedPicture, FrameConverter
from ava_det.video.reader import TAGGED, DamageError, FrameReader, Picture, VideoError

# Decoding forward this far is cheaper than a seek, which falls back to the last key picture and
# decodes from there.
SEEK_GAP_SECONDS = 4.0

# In a file with damaged packets a frame this far from the moment asked for is not the one that was
# there.
DAMAGE_SECONDS = 0.5
# between two packets of Matroska there is less than that, unless something could not be read
SKIPPED_BYTES = 1024

# Seconds by which a moment computed in floats may miss the frame it means: one frame early is a
# whole group decoded.
ROUNDING = 1e-6

# What data/ava/transcode.py writes into the file: smaller pictures at another rate than published
# weights have seen.
PREPARED_TAG = "ava_det_prepared"


class VideoReader(FrameReader):
    """Frames of one video file. Reading backwards or far ahead seeks.

    stream: which of its video streams, counted from 0; None takes the first that is no picture.
    """

    _container: av.container.InputContainer
    _stream: av.VideoStream
    _decoder: Iterator[av.VideoFrame]

    def __init__(self, path: str | Path, start_second: float = 0.0, stream: int | None = None):
        self.path = Path(path)
        self.start_second = start_second
        self._number = stream
        if not self.path.is_file():
            raise VideoError(f"{self.path}: no such video file")
        self._first_pts: int | None = None
        self._damaged = False
        self._broken = False  # since the last frame
        self._lost: tuple[tuple[float, float], ...] = ()
        self._start = Fraction(start_second)
        self._converter = FrameConverter()
        self._tell: Callable[[Picture], None] | None = None
        self._told = -math.inf
        self._rewind()
        if not self._decode_next():
            self._container.close()
            raise VideoError(f"{self.path}: no frame of it can be decoded")
        self.height, self.width = self._pictures[0].rgb(None).shape[:2]
        self.matrix = self._pictures[0].matrix
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate else 30.0
        self.frame_rate = Fraction(self._stream.guessed_rate or rate or 30)
        audio = self._container.streams.audio
        self.has_audio = bool(audio)
        self.audio_rate = getattr(audio[0], "rate", 0) or 0 if audio else 0
        self.choice = describe_choice(self._container, self._stream) if stream is None else None
        self.is_prepared = PREPARED_TAG in self._container.metadata
        self.delay = self._find_delay()
        self.clock_start = float((self._first_pts or 0) * self._time_base)
        self.duration = self._find_duration()
        self._end: float | None = None

    def close(self) -> None:
        self._pictures.clear()
        self._container.close()
        # it holds this reader, which holds it: the decoder's megabytes would wait for the garbage
        # collector
        self._decoder = iter(())

    def rest(self) -> None:
        self._pictures.clear()

    def read(
        self,
        seconds: Sequence[float] | np.ndarray,
        short_side: int | None = None,
        colour: str = TAGGED,
    ) -> np.ndarray:
        moments = np.asarray(seconds, dtype=np.float64)
        self._fill(float(moments.min()), float(moments.max()))
        times = np.array([picture.seconds for picture in self._pictures])
        after = np.searchsorted(times, moments).clip(1, max(len(times) - 1, 1))
        before_is_nearer = (
            moments - times[after - 1] <= times[np.minimum(after, len(times) - 1)] - moments
        )
        chosen = np.where(before_is_nearer, after - 1, np.minimum(after, len(times) - 1))
        self._refuse_damage(moments, times[chosen])
        return np.stack([self._pictures[index].rgb(short_side, colour) for index in chosen])

    def read_at_or_after(
        self, moments: Sequence[Fraction], short_side: int | None = None, colour: str = TAGGED
    ) -> np.ndarray:
        return np.stack(
            [picture.rgb(short_side, colour) for picture in self._find_at_or_after(moments)]
        )

    def find_at_or_after(self, moment: Fraction) -> Fraction | None:
        found = self._start + self._find_at_or_after([moment])[0].pts * self._time_base
        return found if found >= moment else None

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        self._rewind()
        while self._decode_next():
            while len(self._pictures) > 1:
                self._pictures.popleft()
            yield self._pictures[0].seconds, self._pictures[0].rgb(None)

    def follow(self, moment: float, tell: Callable[[Picture], None]) -> None:
        self._pictures.clear()
        self._fill(moment, moment)
        self._tell, self._told = tell, self._pictures[-1].seconds
        for picture in list(self._pictures):
            tell(picture)

    def advance(self, moment: float) -> bool:
        self._fill(moment, moment)
        return self._pictures[-1].seconds >= moment - ROUNDING

    def frame_seconds(self) -> np.ndarray:
        self._rewind()
        pts: list[int] = []
        for frame in self._decode():
            if self._damaged:
                raise VideoError(
                    f"{self.path}: damaged, so frames cannot be counted beyond {len(pts)}"
                )
            pts.append(frame.pts or 0)
        seconds = self.start_second + (
            np.array(pts, dtype=np.float64) - (self._first_pts or 0)
        ) * float(self._time_base)
        return np.maximum.accumulate(seconds)

    @property
    def lost(self) -> Sequence[tuple[float, float]]:
        return self._lost

    def find_end(self) -> float:
        """As seen, where the end has been read, or as the header says.

        A file whose header does not tell is decoded through once.
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
        # whole pts, not floats: where 24 fps meets a grid of 30, every fourth frame lies on a
        # boundary
        wanted = [math.ceil((moment - self._start) / self._time_base) for moment in moments]
        self._fill(float(min(moments)), float(max(moments)) + 2 * ROUNDING)
        held = list(self._pictures)
        found = [
            held[min(bisect_left(held, pts, key=lambda picture: picture.pts), len(held) - 1)]
            for pts in wanted
        ]
        self._refuse_damage(
            np.array(moments, dtype=np.float64), np.array([picture.seconds for picture in found])
        )
        return found

    def _refuse_damage(self, moments: np.ndarray, found: np.ndarray) -> None:
        """Raises DamageError where frames between the first and the last are missing because
        packets are damaged.

        A long gap alone is no fault: recordings of variable rate have them.
        """
        if self._damaged:
            inside = moments.clip(self.start_second, self._pictures[-1].seconds)
            far = np.abs(found - inside) > DAMAGE_SECONDS
            if far.any():
                raise DamageError(
                    f"{self.path}: damaged around {inside[far][0]:.1f} s, no frame can be decoded there"
                )

    def _fill(self, first: float, last: float) -> None:
        """Makes the ring buffer reach from at or before `first` to at or after `last`, as far as
        the file does.
        """
        first = first + ROUNDING
        last = last - ROUNDING
        held = self._pictures
        behind = not held or (first < held[0].seconds and held[0].seconds > self.start_second)
        if behind or (self._tell is None and first > held[-1].seconds + SEEK_GAP_SECONDS):
            self._seek(first)
        while self._pictures[-1].seconds < last and self._decode_next():
            # the frame before `first` may be the nearest one: keep it, drop those before
            while len(self._pictures) > 1 and self._pictures[1].seconds <= first:
                self._pictures.popleft()

    def _seek(self, moment: float) -> None:
        """Stands so that the ring buffer's first frame is at or before `moment`, or is the first of
        the file.
        """
        time_base = self._stream.time_base
        back_off = 0.0
        while moment - back_off > self.start_second:
            pts = int((moment - back_off - self.start_second) / time_base) + (self._first_pts or 0)
            self._seek_key_picture(pts)
            if self._decode_next() and self._pictures[0].seconds <= moment:
                return
            back_off = 2 * back_off + 1.0  # some containers land after the moment asked for
        self._rewind()
        self._decode_next()

    def _rewind(self) -> None:
        """Opens the file, again where it is open: not every container can seek back to its first
        frame.
        """
        self._pictures: deque[DecodedPicture] = deque()
        if self._first_pts is not None:
            self._container.close()
        self._container = open_container(self.path)
        try:
            self._stream = choose_video_stream(self._container, self.path, self._number)
        except VideoError:
            self._container.close()
            raise
        # loaders run one reader per process; threads cost more CPU
        self._stream.codec_context.thread_count = 1
        self._time_base = Fraction(self._stream.time_base or 1)
        self._decoder = self._decode()

    def _seek_key_picture(self, pts: int) -> None:
        """Empties the ring buffer and puts the decoder before the key picture at or before `pts`."""
        self._pictures.clear()
        try:
            self._container.seek(pts, stream=self._stream, backward=True)
        except av.FFmpegError as error:
            raise VideoError(f"{self.path}: cannot seek ({describe_av_error(error)})") from None
        self._decoder = self._decode()

    def _decode_next(self) -> bool:
        """Appends the next frame to the ring buffer; False at the end of the file."""
        for frame in self._decoder:
            if self._first_pts is None:
                self._first_pts = frame.pts
            pts = frame.pts - self._first_pts
            seconds = self.start_second + float(pts * self._stream.time_base)
            self._note_loss(seconds)
            # a repeated or backward pts is no new moment
            if not self._pictures or seconds > self._pictures[-1].seconds:
                self._pictures.append(DecodedPicture(frame, pts, seconds, self._converter))
                if self._tell is not None and seconds > self._told:
                    self._told = seconds
                    self._tell(self._pictures[-1])
                return True
        self._note_loss(math.inf)
        if self._pictures:  # the file's real end, whatever its header promised
            length = float((self._pictures[-1].duration or 0) * self._stream.time_base)
            self._end = self._pictures[-1].seconds + (length or 1 / self.fps)
        return False

    def _note_loss(self, after: float) -> None:
        """Notes the stretch from the last frame to that `after` it, where packets between them are
        damaged; once.
        """
        if self._broken and self._pictures:
            before = self._pictures[-1].seconds
            apart = [
                stretch for stretch in self._lost if stretch[1] <= before or stretch[0] >= after
            ]
            same = [stretch for stretch in self._lost if stretch not in apart]
            ends = [(before, after), *same]
            merged = (min(end[0] for end in ends), max(end[1] for end in ends))
            self._lost = tuple(sorted([*apart, merged]))
        self._broken = False

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Whole frames with a pts, in presentation order; a damaged packet costs its own frames
        only.
        """
        whole = True  # after damage pictures are patched up from others, until the next key picture
        try:
            for packet, lost in self._packets():
                whole &= not lost
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    whole = False
                    frames = []
                self._damaged |= not whole
                self._broken |= not whole
                for frame in frames:
                    whole = (whole or frame.key_frame) and not frame.is_corrupt
                    self._damaged |= not whole
                    self._broken |= not whole
                    if whole and frame.pts is not None:
                        yield frame
        except av.FFmpegError:
            return  # a truncated file ends here

    def _packets(self) -> Iterator[tuple[av.Packet, bool]]:
        """Packets of the video, each with whether others before it are lost: demuxers pass over
        what they cannot read, and Matroska's says nothing.
        """
        silent = "matroska" in self._container.format.name
        end = math.inf
        last = -math.inf
        skipped = False
        for packet in self._container.demux() if silent else self._container.demux(self._stream):
            if packet.pos is not None:
                skipped |= silent and packet.pos - end > SKIPPED_BYTES
                end = packet.pos + packet.size
            if packet.stream.index == self._stream.index:
                moment = last if packet.pts is None else float(packet.pts * self._time_base)
                yield packet, packet.is_corrupt or (skipped and moment - last > DAMAGE_SECONDS)
                last = moment
                skipped = False

    def _find_delay(self) -> Fraction:
        if self._container.start_time is None or self._first_pts is None:
            return Fraction(0)
        start = round(Fraction(self._container.start_time, av.time_base) / self._time_base)
        return max(self._first_pts - start, 0) * self._time_base

    def _find_duration(self) -> float | None:
        if self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        return self._container.duration / av.time_base if self._container.duration else None
