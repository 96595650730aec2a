"""Reads the frames of a video that is to be transcoded, with their exact times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from ava_det.video.containers import describe_choice
from ava_det.video.decoding import DecodedFrame, FrameDecoder
from ava_det.video.pictures import find_square_size, fit_picture, have_same_shape
from ava_det.video.tone import ToneMapper, is_hdr


class TranscodeError(ValueError):
    """Reports, in one sentence with the video's name, why it cannot be prepared."""


class SourceVideo:
    """Reads the frames of a video with their exact seconds since the first one.

    Seconds are counted as by `ava_det.video.file.VideoReader`. Damaged frames are an error: in a
    copy, nothing would distinguish them from good ones.

    Args:
        path: The video file.
        stream: Which of its video streams, from 0; None takes the first that is no picture.

    Attributes:
        path: The video file.
        head: The first frame.
        first: The same, in the standard range of colors.
        size: Width and height of the first frame in square pixels.
        duration: In seconds; None where the file does not say.
        end: Seconds of the last frame that was read.

    Raises:
        TranscodeError: No frame can be decoded.
        VideoError: The file cannot be opened, or has no such stream.
    """

    def __init__(self, path: Path, stream: int | None = None):
        self.path = path
        self.duration: float | None = None
        self.end = Fraction(-1)
        self._stream = stream
        self._decoder = FrameDecoder(path, stream)
        first = next(self._decoder.frames(), None)
        if first is None:
            raise TranscodeError(f"{path}: no frame of it can be decoded")
        self.head = first
        self.size = find_square_size(*first.shape)
        self._map_tones = ToneMapper()
        self.first = self._make_standard(first)
        self.duration = self._find_duration()

    def __enter__(self) -> SourceVideo:
        return self

    def __exit__(self, *_: object) -> None:
        self._decoder.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """Returns what is guessed, chosen or changed to read it, a sentence each."""
        chosen = describe_choice(self._decoder.container, self._decoder.stream, self._stream)
        return (*chosen, *self._decoder.notes)

    def frames_from(self, second: Fraction) -> Iterator[tuple[Fraction, DecodedFrame]]:
        """Yields frames with their seconds, from the last frame at or before `second` on."""
        if second > 0:
            self._decoder.seek(self.head.ticks + math.floor(second / self._decoder.tick))
            frames = self._timed(second)
            head = next(frames, None)
            if head is not None and head[0] <= second:
                yield head
                yield from frames
                return
            # Seeking in some containers ends after the requested time.
        self._decoder.reopen()
        yield from self._timed(second)

    def make_picture(self, decoded: DecodedFrame, width: int, height: int) -> av.VideoFrame:
        """Converts a frame to yuv420p of that size, with square pixels and the standard range."""
        if have_same_shape(find_square_size(*decoded.shape), self.size):
            frame = self._make_standard(decoded)
            return frame.reformat(width, height, "yuv420p", interpolation="BICUBIC")
        picture = self._make_standard(decoded).to_ndarray(format="rgb24")
        fitted = fit_picture(picture, find_square_size(*decoded.shape), (width, height))
        frame = av.VideoFrame.from_ndarray(fitted, format="rgb24")
        return frame.reformat(format="yuv420p", dst_colorspace=self.first.colorspace)

    def damage(self) -> TranscodeError:
        """Makes the error that says where the video is cut off or damaged."""
        where = f"after {float(self.end):.1f} s" + (
            f" of {self.duration:.1f} s" if self.duration else ""
        )
        return TranscodeError(f"{self.path}: is cut off or damaged {where}")

    def _make_standard(self, decoded: DecodedFrame) -> av.VideoFrame:
        return self._map_tones(decoded.frame) if is_hdr(decoded.frame) else decoded.frame

    def _timed(self, begin: Fraction) -> Iterator[tuple[Fraction, DecodedFrame]]:
        """Yields frames after a seek to `begin`; damage is an error only from `begin` on."""
        self.end = Fraction(-1)
        begun = False
        for decoded in self._decoder.frames():
            seconds = (decoded.ticks - self.head.ticks) * self._decoder.tick
            if self._decoder.broken and begun:
                raise self.damage()
            self._decoder.broken = False
            begun |= seconds <= begin
            if seconds > self.end and seconds >= 0:  # a repeated or earlier time is no new frame
                self.end = seconds
                yield seconds, decoded
        if self._decoder.broken:
            raise self.damage()

    def _find_duration(self) -> float | None:
        index = self._decoder.index
        if index is not None:
            return float((index.end - index.first) * self._decoder.tick)
        stream = self._decoder.stream
        tagged = stream.metadata.get("DURATION", "")
        if stream.duration is not None:
            return float(stream.duration * self._decoder.tick)
        if tagged.count(":") == 2:  # Matroska has it as a tag of each stream
            hours, minutes, seconds = tagged.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        length = self._decoder.container.duration
        return length / av.time_base if length else None
