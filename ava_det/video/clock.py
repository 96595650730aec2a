"""Puts the packets of a video on one clock, where the file's own starts again, jumps or is missing.

Recordings joined end to end (MPEG transport and program streams, HLS, Matroska files after one
another) keep the clock of each part, and a raw stream has none. Such a file is read through once,
without decoding, to list its packets in their order, each with its time on one continuous clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np

from ava_det.video.containers import choose_video_stream, open_container

# A step back by more than this is a restart. A step ahead by more than this is a jump in those
# formats whose clocks may jump (FFmpeg's AVFMT_TS_DISCONT), as in ffmpeg (dts_delta_threshold).
BACK_SECONDS = 0.5
AHEAD_SECONDS = 10.0
SKIPPED_BYTES = 1024  # between two packets of Matroska there is less, unless one could not be read
MAX_FAILURES = 64  # packets in a row that cannot be read: then the rest of the file is lost
MAY_JUMP = 0x0200  # FFmpeg's AVFMT_TS_DISCONT
HAS_NO_TIMES = 0x0080  # FFmpeg's AVFMT_NOTIMESTAMPS


def find_rate(fps: float) -> Fraction:
    """Returns the exact fraction for which a frame rate stands: 29.97 is 30000 / 1001.

    Args:
        fps: Frames a second. Below 1 the frame's duration is made exact: one an hour is 1 / 3600.
    """
    if fps < 1:
        return 1 / Fraction(1 / fps).limit_denominator(1001)
    return Fraction(fps).limit_denominator(1001)


class RunningClock:
    """Computes how far each packet's times are shifted to continue after the frames before it.

    Args:
        tick: Seconds in one unit of the packets' times.
        rate: Frames a second, approximately.
        ahead: Whether jumps ahead are closed too; restarts always are.

    Attributes:
        num_jumps: Jumps and restarts found so far.
    """

    def __init__(self, tick: Fraction, rate: Fraction, ahead: bool) -> None:
        self.num_jumps = 0
        self._step = max(round(1 / (rate * tick)), 1)
        self._back = round(BACK_SECONDS / tick)
        self._ahead = max(round(AHEAD_SECONDS / tick), 3 * self._step) if ahead else None
        self._last: int | None = None  # decoded
        self._end: int | None = None  # of what is shown
        self._shift = 0

    def find_shift(self, packet: av.Packet) -> int:
        """Returns the ticks to add to the times of `packet`, the next in decoding order."""
        time = packet.pts if packet.dts is None and packet.is_keyframe else packet.dts
        if time is not None:
            if (
                self._last is not None
                and self._end is not None
                and self._is_jump(time + self._shift - self._last)
            ):
                self.num_jumps += 1
                self._shift = self._end - (time if packet.pts is None else packet.pts)
                self._last = time + self._shift
            self._last = (
                time + self._shift if self._last is None else max(time + self._shift, self._last)
            )
        shown = packet.dts if packet.pts is None else packet.pts
        self._step = packet.duration or self._step
        if shown is not None:
            end = shown + self._shift + self._step
            self._end = end if self._end is None else max(end, self._end)
        return self._shift

    def _is_jump(self, step: int) -> bool:
        """Returns whether a step of so many ticks is a restart or a jump."""
        return step < -self._back or (self._ahead is not None and step > self._ahead)


@dataclass(frozen=True)
class PacketIndex:
    """Lists the packets of a video stream in the order of the file.

    Attributes:
        shifts: int64 [N], ticks to add to the times of each packet; None where packets have no
            times.
        times: int64 [N], when each packet is shown, in ticks of the continuous clock.
        keys: int64 [K], the numbers of the packets with a key picture.
        step: Ticks of one frame.
        joins: The numbers of the packets before which the clock of the file jumps.
        places: int64 [N], where each packet begins in the file, in bytes; -1 where unknown.
    """

    shifts: np.ndarray | None
    times: np.ndarray
    keys: np.ndarray
    step: int
    joins: tuple[int, ...]
    places: np.ndarray

    @property
    def first(self) -> int:
        """Returns when the first frame is shown, in ticks of the continuous clock."""
        return int(self.times.min())

    @property
    def end(self) -> int:
        """Returns when the last frame ends, in ticks of the continuous clock."""
        return int(self.times.max()) + self.step

    def find_key(self, time: int) -> int:
        """Returns the number of the last key picture shown at or before `time`, or 0."""
        before = self.keys[self.times[self.keys] <= time]
        return int(before.max(initial=0))

    def find_number(self, place: int | None) -> int | None:
        """Returns the number of the packet that begins at a byte; None where that is not sure."""
        if place is None:
            return None
        numbers = np.flatnonzero(self.places == place)
        return int(numbers[0]) if len(numbers) == 1 else None

    def retime(self, packet: av.Packet, number: int) -> None:
        """Sets the times of packet `number` to those of the continuous clock."""
        number = min(number, len(self.times) - 1)
        if self.shifts is None:
            packet.pts = int(self.times[number])
            packet.dts = packet.pts
            return
        shift = int(self.shifts[number])
        packet.pts = None if packet.pts is None else packet.pts + shift
        packet.dts = None if packet.dts is None else packet.dts + shift


def index_packets(
    packets: Iterable[av.Packet], tick: Fraction, rate: Fraction, ahead: bool
) -> PacketIndex | None:
    """Lists the packets of a stream with their times on one continuous clock.

    Args:
        packets: The packets of the stream, read to their end.
        tick: Seconds in one unit of the packets' times.
        rate: Frames a second, approximately.
        ahead: Whether jumps ahead are closed, as for `RunningClock`.

    Returns:
        The list; None where there is no packet.

    Raises:
        av.FFmpegError: The packets cannot be read.
    """
    clock = RunningClock(tick, rate, ahead)
    shifts: list[int] = []
    times: list[int] = []
    keys: list[int] = []
    joins: list[int] = []
    places: list[int] = []
    timed = False
    step = 0
    for packet in packets:
        if packet.size == 0 and packet.dts is None and packet.pts is None:
            continue  # the end
        timed |= packet.dts is not None
        step = step or packet.duration or 0
        if packet.is_keyframe:
            keys.append(len(times))
        shift = clock.find_shift(packet)
        if clock.num_jumps > len(joins):
            joins.append(len(times))
        time = packet.dts if packet.pts is None else packet.pts
        shifts.append(shift)
        places.append(-1 if packet.pos is None else packet.pos)
        times.append((times[-1] if times else 0) if time is None else time + shift)
    if not times:
        return None
    step = step or max(round(1 / (rate * tick)), 1)
    shown = (
        np.array(times, dtype=np.int64) if timed else np.arange(len(times), dtype=np.int64) * step
    )
    return PacketIndex(
        np.array(shifts, dtype=np.int64) if timed else None,
        shown,
        np.array(keys, dtype=np.int64),
        step,
        tuple(joins),
        np.array(places, dtype=np.int64),
    )


@lru_cache(maxsize=32)
def load_index(
    path: Path, choice: int | None, tick: Fraction, rate: Fraction, state: tuple[int, int]
) -> PacketIndex | None:
    """Reads a file through without decoding and lists its packets.

    Readers of a file are opened many times, so the result is kept for each state of the file.

    Args:
        path: The video file.
        choice: The video stream, as for `choose_video_stream`.
        tick: Seconds in one unit of the packets' times.
        rate: Frames a second, approximately.
        state: The file's size in bytes and the time of its last change.

    Returns:
        The list; None where there is no packet.
    """
    with open_container(path) as container:
        ahead = bool(container.format.flags & MAY_JUMP)
        packets = _read_leniently(container, choose_video_stream(container, path, choice))
        return index_packets(packets, tick, rate, ahead)


def copy_packet(packet: av.Packet) -> av.Packet:
    """Copies a packet with its times, and without the mark that it is corrupt."""
    copied = av.Packet(bytes(packet))
    copied.stream = packet.stream
    copied.time_base = packet.time_base
    copied.pts = packet.pts
    copied.dts = packet.dts
    copied.duration = packet.duration
    copied.is_keyframe = packet.is_keyframe
    return copied


def _read_leniently(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.Packet]:
    """Yields packets to the end of the file and passes over those that cannot be read."""
    failures = 0
    while failures < MAX_FAILURES:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield packet
            return
        except av.FFmpegError:
            failures += 1
