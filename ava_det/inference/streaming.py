"""A video as one stream: read on, keyframe after keyframe, and frames joined with what was found
around them.

Every frame is decoded once. The clip of a keyframe reaches a second ahead of it, and a batch of
keyframes further, so frames wait, as they were decoded (1.5 bytes a pixel), until everything that
is to be drawn on them is known. How long depends on the size of the frames, not on the length of
the video.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ava_det.data.dataset import ClipReader
from ava_det.structures import Detections
from ava_det.tracking.linker import MAX_GAP_SECONDS, interpolate
from ava_det.video.reader import DamageError, FrameReader, Picture, warn_of_notes

logger = logging.getLogger("ava_det")

STEP_SECONDS = 1.0  # of video that is read before its frames are handed on
MARGIN_SECONDS = 0.1  # by which frame grids shift a clip, at most
MAX_NAMED = 5  # damaged stretches


@dataclass(frozen=True)
class KeyframeInput:
    """What a keyframe is judged by.

    timestamp: annotation seconds. frames: uint8 RGB [T, h, w, 3] around it. picture: uint8 RGB [H,
    W, 3], the keyframe itself, for a detector; None where boxes are known. following: timestamp of
    the next keyframe, inf after the last.
    """

    timestamp: float
    frames: np.ndarray
    picture: np.ndarray | None
    following: float


@dataclass(frozen=True)
class LostKeyframe:
    """A keyframe whose frames are damaged. timestamp, following: as for KeyframeInput."""

    timestamp: float
    following: float


@dataclass(frozen=True)
class ShownFrame:
    """A frame and who is where on it.

    seconds: annotation seconds. detections: those of the keyframes around it, boxes moved to this
    moment; None where no keyframe is near. keyframes: the keyframes this frame stands for, mostly
    none.
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
    """The keyframes at `timestamps` (ascending), in one pass. Ends where the video does, whatever
    its header says.
    """
    for timestamp, following in pairwise([*timestamps, np.inf]):
        # the clip first: it begins before the keyframe, and a reader that has gone past it would
        # have to seek back
        try:
            frames = clip_reader.read_frames(reader, timestamp, short_side)
            picture = reader.read([timestamp])[0] if with_picture else None
        except DamageError:
            yield LostKeyframe(timestamp, following)
            continue
        if timestamp > reader.find_end():
            return
        yield KeyframeInput(timestamp, frames, picture, following)


def read_all(
    reader: FrameReader,
    keyframes: Iterable[float],
    clip_reader: ClipReader,
    short_side: int,
    with_picture: bool,
    start: float,
    end: float,
) -> Iterator[Picture | KeyframeInput | LostKeyframe]:
    """Every frame from `start` up to `end` (annotation seconds), once, and every keyframe as soon
    as it is read.
    """
    told: deque[Picture] = deque()
    reach = clip_reader.num_frames * clip_reader.stride / clip_reader.clip_fps / 2 + MARGIN_SECONDS
    timestamps = list(keyframes)

    def pass_on() -> Iterator[Picture]:
        while told:
            picture = told.popleft()
            if start - 1e-6 <= picture.seconds < end:
                yield picture

    first = max(start - reach, reader.start_second)
    reader.subscribe(first, told.append)
    position = first
    stepped = read_keyframes(reader, timestamps, clip_reader, short_side, with_picture)
    for timestamp in timestamps:
        while position + STEP_SECONDS < timestamp - reach and reader.advance(
            position + STEP_SECONDS
        ):
            position += STEP_SECONDS
            yield from pass_on()
        keyframe = next(stepped, None)
        yield from pass_on()
        if keyframe is None:
            break
        position = max(position, timestamp - reach)
        yield keyframe
    while reader.advance(min(position, end)) and position < end:
        yield from pass_on()
        position += STEP_SECONDS
    yield from pass_on()


def warn_of_faults(reader: FrameReader, num_keyframes: int) -> None:
    """Warns of what was made up or changed to read a video, and which stretches of it are lost, and
    with them how many keyframes; nothing for a sound one.
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
    """Frames that wait for the keyframes around them, in the order of time.

    first_keyframe: the timestamp of the first one to come, inf where none will. tolerance: seconds
    by which a keyframe may precede the frame that stands for it. num_bytes: about what the waiting
    frames hold in memory.
    """

    def __init__(self, first_keyframe: float, tolerance: float) -> None:
        self._waiting: deque[Picture] = deque()
        self._known: deque[Detections] = deque()  # keyframes later than all frames handed out
        self._before: Detections | None = None
        self._coming = first_keyframe
        self._tolerance = tolerance
        self.num_bytes = 0

    def add_frame(self, picture: Picture) -> None:
        self._waiting.append(picture)
        self.num_bytes += picture.num_bytes

    def add_keyframes(self, detections: Iterable[Detections], coming: float) -> None:
        """What was found at the next keyframes, and the timestamp of the one after them (inf: there
        is none).
        """
        self._known.extend(detections)
        self._coming = coming

    def release(self, ended: bool = False) -> Iterator[ShownFrame]:
        """Frames of which all is known. The last one waits until the video has `ended`: keyframes
        may follow it.
        """
        while len(self._waiting) > (0 if ended else 1):
            picture = self._waiting[0]
            latest = (
                np.inf if ended and len(self._waiting) == 1 else picture.seconds + self._tolerance
            )
            is_known = self._known and self._known[-1].keyframe.timestamp > latest
            if not ended and not is_known and self._coming <= picture.seconds + MAX_GAP_SECONDS:
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
