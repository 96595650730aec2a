"""Reads a video as one stream, and joins its frames with the detections of its keyframes.

Every frame is decoded once. The clip of a keyframe reaches a second ahead of it, and a batch of
keyframes further, so frames wait, as they were decoded (1.5 bytes a pixel), until everything that
is to be drawn on them is known. How many wait depends on the size of the frames, not on the length
of the video.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ava_det.data.clip_pixels import ClipPixels
from ava_det.data.clip_reader import ClipReader
from ava_det.structures import Detections
from ava_det.tracking.linker import MAX_GAP_SECONDS, interpolate
from ava_det.video.reader import DamageError, FrameReader, Picture, warn_of_notes

logger = logging.getLogger("ava_det")

STEP_SECONDS = 1.0  # of video that is read before its frames are yielded
MARGIN_SECONDS = 0.1  # largest shift of a clip by frame grids
MAX_NAMED = 5  # damaged stretches that a warning names


@dataclass(frozen=True)
class KeyframeInput:
    """Describes what the network and the detector need of a keyframe.

    Attributes:
        timestamp: Annotation seconds.
        pixels: The frames around it, and their optical flow where the network reads it.
        picture: uint8 RGB [H, W, 3], the keyframe itself, for a detector; None where boxes are
            known.
        following: Timestamp of the next keyframe, inf after the last.
    """

    timestamp: float
    pixels: ClipPixels
    picture: np.ndarray | None
    following: float


@dataclass(frozen=True)
class LostKeyframe:
    """Describes a keyframe whose frames are damaged.

    Attributes:
        timestamp: Annotation seconds.
        following: Timestamp of the next keyframe, inf after the last.
    """

    timestamp: float
    following: float


@dataclass(frozen=True)
class ShownFrame:
    """Describes a frame and the persons on it.

    Attributes:
        seconds: Annotation seconds.
        picture: The frame.
        detections: Those of the keyframes around it, boxes interpolated to this time; None where no
            keyframe is near.
        keyframes: The keyframes at this frame, mostly none.
    """

    seconds: float
    picture: Picture
    detections: Detections | None
    keyframes: list[Detections]


def read_keyframes(
    reader: FrameReader,
    timestamps: Iterable[float],
    clip_reader: ClipReader,
    short_side: int,
    with_picture: bool,
) -> Iterator[KeyframeInput | LostKeyframe]:
    """Reads keyframes in one pass; ends where the video does, whatever its header says.

    Args:
        reader: The video.
        timestamps: Annotation seconds, ascending.
        clip_reader: Decides which frames around a keyframe are read.
        short_side: Of these frames, in pixels.
        with_picture: Whether the keyframe itself is read too.
    """
    for timestamp, following in pairwise([*timestamps, np.inf]):
        # The clip comes first: it begins before the keyframe, and a reader that has passed it would
        # have to seek back.
        try:
            pixels = clip_reader.read(reader, timestamp, short_side)
            picture = reader.read([timestamp])[0] if with_picture else None
        except DamageError:
            yield LostKeyframe(timestamp, following)
            continue
        if timestamp > reader.find_end():
            return
        yield KeyframeInput(timestamp, pixels, picture, following)


def read_all(
    reader: FrameReader,
    keyframes: Iterable[float],
    clip_reader: ClipReader,
    short_side: int,
    with_picture: bool,
    start: float,
    end: float,
) -> Iterator[Picture | KeyframeInput | LostKeyframe]:
    """Reads every frame from `start` up to `end` once, and yields keyframes as soon as possible.

    Args:
        reader: The video.
        keyframes: Timestamps in annotation seconds, ascending.
        clip_reader: See `read_keyframes`.
        short_side: See `read_keyframes`.
        with_picture: See `read_keyframes`.
        start: Annotation seconds.
        end: Annotation seconds.
    """
    decoded: deque[Picture] = deque()
    reach = clip_reader.seconds / 2 + MARGIN_SECONDS
    timestamps = list(keyframes)

    def take_decoded() -> Iterator[Picture]:
        while decoded:
            picture = decoded.popleft()
            if start - 1e-6 <= picture.seconds < end:
                yield picture

    first = max(start - reach, reader.start_second)
    reader.subscribe(first, decoded.append)
    position = first
    stepped = read_keyframes(reader, timestamps, clip_reader, short_side, with_picture)
    for timestamp in timestamps:
        while position + STEP_SECONDS < timestamp - reach and reader.advance(
            position + STEP_SECONDS
        ):
            position += STEP_SECONDS
            yield from take_decoded()
        keyframe = next(stepped, None)
        yield from take_decoded()
        if keyframe is None:
            break
        position = max(position, timestamp - reach)
        yield keyframe
    while reader.advance(min(position, end)) and position < end:
        yield from take_decoded()
        position += STEP_SECONDS
    yield from take_decoded()


def warn_of_faults(reader: FrameReader, num_keyframes: int) -> None:
    """Warns of what was changed to read a video, and which stretches and keyframes of it are lost.

    There is no warning for a video without faults.

    Args:
        reader: Has read the video.
        num_keyframes: Keyframes that were lost.
    """
    warn_of_notes(reader)
    if not reader.lost:
        return
    moments = [[moment - reader.start_second for moment in stretch] for stretch in reader.lost]
    places = [
        f"{start:.1f} s to " + ("its end" if end == np.inf else f"{end:.1f} s")
        for start, end in moments
    ]
    named = ", ".join(places[:MAX_NAMED])
    if len(places) > MAX_NAMED:
        named += f" and in {len(places) - MAX_NAMED} more places"
    logger.warning(
        f"{reader.path}: damaged from {named}; {num_keyframes} keyframes there are left out"
    )


class FrameQueue:
    """Holds frames that wait for the keyframes around them, in the order of time.

    Args:
        first_keyframe: Timestamp of the first keyframe, inf where there is none.
        tolerance: Seconds by which a keyframe may be before the frame that shows it.

    Attributes:
        num_bytes: About the memory of the waiting frames.
    """

    def __init__(self, first_keyframe: float, tolerance: float) -> None:
        self._waiting: deque[Picture] = deque()
        self._known: deque[Detections] = deque()  # keyframes later than all frames released
        self._before: Detections | None = None
        self._next_keyframe = first_keyframe
        self._tolerance = tolerance
        self.num_bytes = 0

    def add_frame(self, picture: Picture) -> None:
        """Adds the next frame."""
        self._waiting.append(picture)
        self.num_bytes += picture.num_bytes

    def add_keyframes(self, detections: Iterable[Detections], next_keyframe: float) -> None:
        """Adds the detections of the next keyframes.

        Args:
            detections: In order of time.
            next_keyframe: Timestamp of the keyframe after them, inf where there is none.
        """
        self._known.extend(detections)
        self._next_keyframe = next_keyframe

    def release(self, ended: bool = False) -> Iterator[ShownFrame]:
        """Yields frames whose detections are known.

        Args:
            ended: Whether the video has ended. Until then its last frame waits, because keyframes
                may follow it.
        """
        while len(self._waiting) > (0 if ended else 1):
            picture = self._waiting[0]
            latest = (
                np.inf if ended and len(self._waiting) == 1 else picture.seconds + self._tolerance
            )
            is_known = self._known and self._known[-1].keyframe.timestamp > latest
            is_near = self._next_keyframe <= picture.seconds + MAX_GAP_SECONDS
            if not ended and not is_known and is_near:
                return
            self._waiting.popleft()
            self.num_bytes -= picture.num_bytes
            passed = []
            while self._known and self._known[0].keyframe.timestamp <= latest:
                passed.append(self._known.popleft())
            self._before = passed[-1] if passed else self._before
            after = self._known[0] if self._known else None
            moment = picture.seconds
            if self._before is not None:
                moment = max(moment, self._before.keyframe.timestamp)
            yield ShownFrame(
                picture.seconds, picture, interpolate(self._before, after, moment), passed
            )
