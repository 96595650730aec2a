"""What everything that gives frames by their moment has in common: a video file, a folder of
pictures.

Moments are seconds as the annotations count them: the first frame is worth `start_second`, every
other one that plus its presentation time.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

EXTRACTED_FPS = 30  # of pictures that were taken from AVA's movies, as published weights saw them

# From luma and chroma to RGB: what a frame looked like, or BT601, which published weights saw.
# Their frames went through JPEG, whose readers assume that matrix whatever the movie was made with.
TAGGED = "tagged"


class VideoError(ValueError):
    """A sentence naming the file that cannot be read, and why."""


class DamageError(VideoError):
    """The frames asked for are lost, while others of the file are not."""


class Picture(Protocol):
    """One frame of a video, kept as it was decoded. seconds: its moment. num_bytes: about what it
    holds in memory.
    """

    seconds: float
    num_bytes: int

    def rgb(self, short_side: int | None, color: str = TAGGED) -> np.ndarray:
        """uint8 RGB [H, W, 3], upright; short_side, color: as for `FrameReader.read`."""
        ...

    def planes(self, matrix: str) -> np.ndarray:
        """The same as planes (yuv.py) of `matrix`, in memory of the caller's own."""
        ...


class FrameReader(ABC):
    """Frames by their moment, clamped at both ends.

    Reading in increasing order is one pass: frames that later clips share wait in a ring buffer,
    and nothing is decoded twice.

    path: the file or folder. start_second: what the first frame is worth. width, height: of the
    upright picture, in square pixels. stored_size: width and height with the pixels of the file,
    upright too. pixel_aspect: width of those by their height. fps: average frames a second.
    duration: seconds, or None where the file does not say. frame_rate: the constant rate the file
    is meant to have, exact. matrix: in which its planes need no conversion (yuv.py). has_audio:
    whether it has sound, of audio_rate samples a second. is_prepared: whether data/ava/transcode.py
    made it. delay: seconds from the start of the file, its sound included, to its first frame,
    exact. clock_start: what the file's own clock says at its first frame, seconds.
    """

    path: Path
    start_second: float
    width: int
    height: int
    stored_size: tuple[int, int]
    pixel_aspect: Fraction = Fraction(1)
    fps: float
    frame_rate: Fraction
    matrix: str
    has_audio: bool
    audio_rate: int
    is_prepared: bool
    delay: Fraction
    clock_start: float
    duration: float | None

    @abstractmethod
    def read(
        self,
        seconds: Sequence[float] | np.ndarray,
        short_side: int | None = None,
        color: str = TAGGED,
    ) -> np.ndarray:
        """uint8 RGB [T, H, W, 3]: for each moment the frame nearest to it (the earlier of two
        equally near).

        short_side: the shorter side of the result in pixels (bilinear, aspect kept); None keeps the
        video's size. color: TAGGED as the file's tags ask, BT601 with that matrix whatever they
        say; pictures in a folder have one. Raises DamageError where the file is damaged.
        """

    @abstractmethod
    def read_at_or_after(
        self, moments: Sequence[Fraction], short_side: int | None = None, color: str = TAGGED
    ) -> np.ndarray:
        """uint8 RGB [T, H, W, 3]: for each exact moment the first frame at or after it, the last one past the end.

        With the pixels of the file, square or not: the pictures that published weights saw were cut so.
        """

    @abstractmethod
    def find_at_or_after(self, moment: Fraction) -> Fraction | None:
        """The exact moment of the first frame at or after `moment`; None past the last frame."""

    @abstractmethod
    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """Every frame from the first: (moment in seconds, uint8 RGB [H, W, 3])."""

    @abstractmethod
    def subscribe(self, moment: float, on_frame: Callable[[Picture], None]) -> None:
        """From the frame at or before `moment` on, tells of every frame once, in order, as it comes
        to be read.

        Nothing is skipped any more: reading far ahead passes over all frames between.
        """

    @abstractmethod
    def advance(self, moment: float) -> bool:
        """Reads on to a frame at or after `moment`, forgetting those before it; False where the
        video ends first.
        """

    @abstractmethod
    def frame_seconds(self) -> np.ndarray:
        """The moment of every frame as decoders count them, repeated ones too: float64 [F], never
        decreasing.

        A file is decoded through. Raises VideoError where damage makes the count uncertain.
        """

    @abstractmethod
    def find_end(self) -> float:
        """The moment at which the last frame ends."""

    @abstractmethod
    def release_buffers(self) -> None:
        """Frees the pictures that are held; the reader stays open."""

    @abstractmethod
    def close(self) -> None:
        """Frees everything."""

    @property
    def lost(self) -> Sequence[tuple[float, float]]:
        """Stretches that damage has taken, as far as they were met: the moments of the frames
        before and after each, inf where there is none after it.
        """
        return ()

    @property
    def notes(self) -> Sequence[str]:
        """What was made up or changed to read this video, as far as it was met: ends of sentences that begin with its
        name."""
        return ()

    def require(self, timestamp: float) -> None:
        """Raises VideoError unless the video has that moment, give or take a second."""
        first = self.start_second
        last = self.find_end()
        if not first - 1 <= timestamp <= last + 1:
            raise VideoError(
                f"{self.path}: expected keyframes within {first:g}..{last:.1f} s, received {timestamp:g} "
                "(data.start_second is what the first frame is worth)"
            )

    def sample(self, count: int) -> Sequence[np.ndarray]:
        """`count` frames (uint8 RGB [H, W, 3]) spread evenly over the video, in order, each read
        when it is asked for: together they would be a gigabyte at 4K, and most detectors ask for
        none.
        """
        moments = (
            self.start_second
            + (np.arange(count) + 0.5) * (self.find_end() - self.start_second) / count
        )
        return _Samples(self, moments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def warn_of_notes(reader: FrameReader) -> None:
    """Warns of what was made up or changed to read a video."""
    for note in reader.notes:
        logging.getLogger("ava_det").warning(f"{reader.path}: {note}")


class _Samples(Sequence[np.ndarray]):
    def __init__(self, reader: FrameReader, moments: np.ndarray):
        self._reader = reader
        self._moments = moments

    def __len__(self) -> int:
        return len(self._moments)

    def __getitem__(self, index: Any) -> Any:
        wanted = self._moments[index]
        for moment in sorted(self._moments, key=lambda other: abs(other - wanted)):
            with suppress(DamageError):  # then a sample beside it
                return self._reader.read([moment])[0]
        raise VideoError(f"{self._reader.path}: so damaged that no sample of it can be decoded")
