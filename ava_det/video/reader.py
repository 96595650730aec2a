"""Defines what a video file, a folder of pictures and a live source share: frames by their time.

Times are annotation times in seconds: that of the first frame is `start_second`, that of every
other frame is `start_second` plus its presentation time since the first.
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

EXTRACTED_FPS = 30  # pictures a second cut from AVA's movies to train the published weights

# Converts luma and chroma to RGB as the file's tags say. The other choice is BT601: published
# weights were trained on JPEG pictures, whose readers always assume that matrix.
TAGGED = "tagged"


class VideoError(ValueError):
    """Says in one sentence which video cannot be read, and why."""


class DamageError(VideoError):
    """Says that the frames asked for are damaged, while others of the file are not."""


class Picture(Protocol):
    """Describes one frame of a video, kept as it was decoded.

    Attributes:
        seconds: Its annotation time.
        num_bytes: About what it takes in memory.
        derived: What others computed from it and keep as long as it is kept, by their own keys.
    """

    seconds: float
    num_bytes: int
    derived: dict[Any, np.ndarray]

    def rgb(self, short_side: int | None, color: str = TAGGED, stored: bool = False) -> np.ndarray:
        """Returns the frame upright, converted once for each size and color.

        Args:
            short_side: As for `FrameReader.read`.
            color: As for `FrameReader.read`.
            stored: Whether to keep the pixels of the file, square or not.

        Returns:
            uint8 RGB [H, W, 3].
        """
        ...

    def planes(self, matrix: str) -> np.ndarray:
        """Returns its planes (planes.py) by `matrix`, as an array that the caller may change."""
        ...


class FrameReader(ABC):
    """Reads frames by their annotation time, in seconds.

    Times outside the video give its first or last frame. Reading in increasing order is one pass:
    frames that later clips share wait in a ring buffer, and nothing is decoded twice.

    Attributes:
        path: The file or folder.
        start_second: Annotation time, in seconds, of the video's first frame.
        width: Of the upright picture with square pixels, in pixels.
        height: Likewise.
        stored_size: Width and height in the pixels of the file, upright.
        pixel_aspect: Width of a pixel of the file by its height.
        fps: Average frames a second.
        frame_rate: The constant rate that the file is meant to have, exact.
        matrix: The matrix (planes.py) by which its frames are coded.
        has_audio: Whether it has sound.
        audio_rate: Samples a second of its sound.
        is_prepared: Whether data/ava/transcode.py made it.
        delay: Seconds from the start of the file, its sound included, to its first frame, exact.
        clock_start: The time of the first frame on the file's own clock, seconds.
        duration: Seconds, or None where the file does not say.
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
    def pictures_nearest(self, seconds: Sequence[float] | np.ndarray) -> Sequence[Picture]:
        """Finds for each time the frame nearest to it, the earlier of two equally near.

        A frame that is found again while it waits for later clips is the same object.

        Args:
            seconds: [T], annotation times.

        Raises:
            DamageError: Frames at these times are damaged.
        """

    @abstractmethod
    def pictures_at_or_after(self, moments: Sequence[Fraction]) -> Sequence[Picture]:
        """Finds for each exact time the first frame at or after it, the last one past the end.

        Args:
            moments: [T], exact annotation times.

        Raises:
            DamageError: Frames at these times are damaged.
        """

    def read(
        self,
        seconds: Sequence[float] | np.ndarray,
        short_side: int | None = None,
        color: str = TAGGED,
    ) -> np.ndarray:
        """Reads for each time the frame nearest to it, the earlier of two equally near.

        Args:
            seconds: [T], annotation times.
            short_side: The shorter side of the result in pixels (bilinear, aspect kept); None keeps
                the video's size.
            color: TAGGED converts colors as the file's tags say, BT601 with that matrix whatever
                they say. Pictures in a folder always have BT601.

        Returns:
            uint8 RGB [T, H, W, 3].

        Raises:
            DamageError: Frames at these times are damaged.
        """
        return np.stack(
            [picture.rgb(short_side, color) for picture in self.pictures_nearest(seconds)]
        )

    def read_at_or_after(
        self, moments: Sequence[Fraction], short_side: int | None = None, color: str = TAGGED
    ) -> np.ndarray:
        """Reads for each exact time the first frame at or after it, the last one past the end.

        The result has the pixels of the file, square or not, as the pictures have that published
        weights were trained on.

        Args:
            moments: [T], exact annotation times.
            short_side: As for `read`.
            color: As for `read`.

        Returns:
            uint8 RGB [T, H, W, 3].

        Raises:
            DamageError: Frames at these times are damaged.
        """
        pictures = self.pictures_at_or_after(moments)
        return np.stack([picture.rgb(short_side, color, stored=True) for picture in pictures])

    @abstractmethod
    def find_at_or_after(self, moment: Fraction) -> Fraction | None:
        """Returns the exact time of the first frame at or after `moment`; None past the last."""

    @abstractmethod
    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yields every frame from the first: its time in seconds, and uint8 RGB [H, W, 3]."""

    @abstractmethod
    def subscribe(self, moment: float, on_frame: Callable[[Picture], None]) -> None:
        """Calls `on_frame` once for every frame from the one at or before `moment` on.

        Frames are passed on in order, as they are read. From then on nothing is skipped: reading
        far ahead passes over all frames between.

        Args:
            moment: Annotation time, in seconds.
            on_frame: Called with each frame.
        """

    @abstractmethod
    def advance(self, moment: float) -> bool:
        """Reads on to a frame at or after `moment` and frees those before it.

        Returns:
            False where the video ends first.
        """

    @abstractmethod
    def frame_seconds(self) -> np.ndarray:
        """Returns the time of every frame as decoders count them, repeated ones too.

        A file is decoded through.

        Returns:
            float64 [F], never decreasing.

        Raises:
            VideoError: Damage makes the count uncertain.
        """

    def listed_seconds(self) -> np.ndarray:
        """Returns the times of the frames by what the file says, without decoding it.

        Frames that damage has taken are among them; see `frame_seconds` for those that are there.

        Returns:
            float64 [F], ascending.
        """
        return self.frame_seconds()

    @abstractmethod
    def find_end(self) -> float:
        """Returns the time at which the last frame ends."""

    @abstractmethod
    def release_buffers(self) -> None:
        """Frees the pictures that are held; the reader stays open."""

    @abstractmethod
    def close(self) -> None:
        """Frees everything."""

    @property
    def lost(self) -> Sequence[tuple[float, float]]:
        """Returns the stretches that damage has taken, as far as they were met.

        Returns:
            The times of the frames before and after each; inf where there is none after it.
        """
        return ()

    @property
    def notes(self) -> Sequence[str]:
        """Returns what was assumed or changed to read this video, as far as it was met.

        Returns:
            Ends of sentences that begin with the video's name.
        """
        return ()

    def require(self, timestamp: float) -> None:
        """Raises VideoError unless the video has the time `timestamp`, give or take a second."""
        first = self.start_second
        last = self.find_end()
        if not first - 1 <= timestamp <= last + 1:
            raise VideoError(
                f"{self.path}: expected keyframes within {first:g}..{last:.1f} s, "
                f"received {timestamp:g} "
                "(data.start_second is the annotation time of the first frame)"
            )

    def sample(self, count: int) -> Sequence[np.ndarray]:
        """Returns frames spread evenly over the video, each read when it is asked for.

        Together they would be a gigabyte at 4K, and most detectors ask for none.

        Args:
            count: Number of frames.

        Returns:
            The frames in order, each uint8 RGB [H, W, 3].
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
    """Logs what was assumed or changed to read a video, as warnings."""
    for note in reader.notes:
        logging.getLogger("ava_det").warning(f"{reader.path}: {note}")


class _Samples(Sequence[np.ndarray]):
    """Reads sample frames by index; in place of a damaged one, the sample nearest to it."""

    def __init__(self, reader: FrameReader, moments: np.ndarray):
        self._reader = reader
        self._moments = moments

    def __len__(self) -> int:
        return len(self._moments)

    def __getitem__(self, index: Any) -> Any:
        wanted = self._moments[index]
        for moment in sorted(self._moments, key=lambda other: abs(other - wanted)):
            with suppress(DamageError):
                return self._reader.read([moment])[0]
        raise VideoError(f"{self._reader.path}: so damaged that no sample of it can be decoded")
