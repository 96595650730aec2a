"""Decodes the frames of a video file in the order in which they are shown, each with its time.

No other module decodes video files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from ava_det.video.clock import (
    HAS_NO_TIMES,
    MAX_FAILURES,
    MAY_JUMP,
    SKIPPED_BYTES,
    PacketIndex,
    copy_packet,
    load_index,
)
from ava_det.video.containers import choose_video_stream, open_container
from ava_det.video.declared_end import describe_end, holds_another_file
from ava_det.video.hardware import check_decoder, make_planar
from ava_det.video.notes import describe_clock
from ava_det.video.pictures import ChangeFinder
from ava_det.video.reader import VideoError

# Where packets are damaged, a frame this far from the wanted time is not the frame of that time.
DAMAGE_SECONDS = 0.5
JOIN_REACH = 3  # packets before a join whose demuxer finds them unfinished
NUM_CHECKED = 16  # frames that show whether times follow the order of decoding
SQUARE = Fraction(1)


class DecodedFrame(NamedTuple):
    """Describes one decoded frame.

    Attributes:
        frame: The frame as decoded, or the one before it where the file repeats it.
        ticks: Its time, in units of the stream.
        aspect: Width of its pixels by their height.
    """

    frame: av.VideoFrame
    ticks: int
    aspect: Fraction

    @property
    def shape(self) -> tuple[int, int, Fraction]:
        """Returns width and height in pixels of the file, and the aspect of a pixel."""
        return self.frame.width, self.frame.height, self.aspect


class FrameDecoder:
    """Decodes one video file on one thread, or on a device.

    Args:
        path: The video file.
        choice: Which of its video streams, as for `choose_video_stream`.
        hwaccel: The kind of device that decodes it where it can, see hardware.py.

    Attributes:
        container: The open file; `reopen` replaces it.
        stream: The video stream of `container`.
        tick: Seconds in one unit of the stream's times.
        index: The packets, where the clock of the file jumps or is missing; else None.
        rate: The constant frames a second that the file is meant to have.
        damaged: Whether any damage was met so far.
        broken: Whether any damage was met since the reader last set this to False.
        notes: What was assumed or changed, as `FrameReader.notes`.

    Raises:
        VideoError: The file cannot be opened, or has no such stream.
    """

    container: av.container.InputContainer
    stream: av.VideoStream
    _peeked: list[av.Packet]  # read before their turn

    def __init__(self, path: Path, choice: int | None = None, hwaccel: str | None = None) -> None:
        self.path = path
        self._choice = choice
        self.index: PacketIndex | None = None
        self.damaged = False
        self.broken = False
        self.notes: list[str] = []
        self._by_order = False
        self._changes = ChangeFinder()
        self._hwaccel = check_decoder(path, choice, hwaccel, self.notes)
        self._open()
        guessed = self.stream.guessed_rate
        average = self.stream.average_rate
        self.rate = Fraction(guessed or average or 30)
        self.index = self._find_index()
        if self.index is not None and self.index.shifts is None:
            self.rate = 1 / (self.index.step * self.tick)
        self._by_order = self._is_timed_by_order()
        self._changes = ChangeFinder()
        self.notes += describe_end(self.path, self.container.format.name)
        if self.index is not None:
            self.notes += describe_clock(self.index, self.rate, self.tick)

    @property
    def average_rate(self) -> Fraction:
        """Returns the average frames a second: FFmpeg's figure, except where it is wrong.

        For DV, FFmpeg gives the rate of the clock; for files without times it can only guess.
        """
        average = self.stream.average_rate
        counted = self.index is not None and self.index.shifts is None
        return self.rate if not average or average > 4 * self.rate or counted else Fraction(average)

    @property
    def aspect(self) -> Fraction:
        """Returns the width of a pixel by its height, 1 where the file does not say."""
        return Fraction(self.stream.sample_aspect_ratio or 1)

    def close(self) -> None:
        """Closes the file."""
        self.container.close()

    def reopen(self) -> None:
        """Opens the file again, before its first packet: not every container can seek to it."""
        self.container.close()
        self._open()

    def seek(self, ticks: int) -> None:
        """Moves to a key picture at or before `ticks`.

        Some containers land after it; where a container cannot seek, decoding starts at the
        beginning.
        """
        self._peeked = []
        if self.index is not None:
            self._skip_to(self.index.find_key(ticks))
            return
        try:
            if self.container.format.name.endswith("_pipe"):  # pictures in a row: seeks land within
                self.reopen()
            else:
                self.container.seek(ticks, stream=self.stream, backward=True)
        except av.FFmpegError:
            self.reopen()

    def frames(self) -> Iterator[DecodedFrame]:
        """Yields the undamaged frames from here to the true end of the file.

        A damaged packet costs the frames that depend on it, and no others.
        """
        whole = True  # after damage frames have invented parts, until the next key picture
        shown: av.VideoFrame | None = None
        last: int | None = None
        aspect = self.aspect
        context = self.stream.codec_context
        coded = context.sample_aspect_ratio
        for packet, lost in self._packets():
            whole &= not lost
            if packet.size == 0 and packet.dts is not None:
                # an empty packet repeats the last frame; a decoder would take it for the end
                if shown is not None and whole and not context.has_b_frames:
                    yield DecodedFrame(
                        shown, packet.dts if packet.pts is None else packet.pts, aspect
                    )
                continue
            try:
                frames = packet.decode()
            except av.FFmpegError:
                whole = False
                frames = []
            self._note(whole)
            for frame in map(make_planar, frames):
                whole = (whole or frame.key_frame) and not frame.is_corrupt
                self._note(whole)
                last = self._find_time(frame, last)
                if whole and last is not None:
                    if context.sample_aspect_ratio != coded:
                        coded = context.sample_aspect_ratio
                        aspect = Fraction(coded or 1)
                    shown = frame
                    decoded = DecodedFrame(frame, last, aspect)
                    self.notes += self._changes.inspect(frame, aspect, last, self.tick)
                    yield decoded

    def _note(self, whole: bool) -> None:
        """Remembers damage."""
        self.damaged |= not whole
        self.broken |= not whole

    def _find_time(self, frame: av.VideoFrame, last: int | None) -> int | None:
        """Returns a frame's time in ticks: its own, its packet's, or one step after `last`."""
        time = frame.dts if self._by_order else frame.pts
        return last + self._step if time is None and last is not None else time

    def _open(self) -> None:
        """Opens the file before its first packet."""
        self.container = open_container(self.path, self._hwaccel)
        try:
            self.stream = choose_video_stream(self.container, self.path, self._choice)
        except VideoError:
            self.container.close()
            raise
        # loaders run one reader per process; threads cost more CPU
        self.stream.codec_context.thread_count = 1
        self.tick = Fraction(self.stream.time_base or 1)
        self._number = 0  # of the next packet of the stream
        self._peeked = []
        self._failed = False  # to read a packet, since the last one

    @property
    def _step(self) -> int:
        """Returns the ticks of one frame."""
        if self.index is not None:
            return self.index.step
        return max(round(1 / (self.rate * self.tick)), 1)

    def _find_index(self) -> PacketIndex | None:
        """Lists the packets of a file whose clock jumps or that has none, else returns None."""
        flags = self.container.format.flags
        joined = holds_another_file(self.path, self.container.format.name)
        if not flags & (MAY_JUMP | HAS_NO_TIMES) and not joined:
            return None
        index = self._load_index()
        useful = index is not None and (joined or index.joins or flags & HAS_NO_TIMES)
        return index if useful else None

    def _load_index(self) -> PacketIndex | None:
        status = self.path.stat()
        state = status.st_size, status.st_mtime_ns
        return load_index(self.path, self._choice, self.tick, self.rate, state)

    def list_ticks(self) -> np.ndarray:
        """Returns when frames are shown by the times of the packets, int64 [F], ascending.

        The file is read through, and nothing of it decoded.
        """
        index = self.index or self._load_index()
        return np.unique(index.times) if index is not None else np.empty(0, np.int64)

    def _is_timed_by_order(self) -> bool:
        """Returns whether the packets' times are those of decoding, not of display.

        AVI stores no others, and in a copy of an AVI into another container they were made up.
        Frames then take the times of the packets with which the decoder returns them.
        """
        if self.index is not None and self.index.shifts is None:
            return True
        if not self.stream.codec_context.has_b_frames:
            return False
        if "avi" in self.container.format.name:
            return True
        self._peeked = list(islice(self._read(), 1))
        first = self._peeked[0] if self._peeked else None
        if first is None or first.dts is None or first.pts != first.dts or not first.is_keyframe:
            return False
        frames = self.frames()
        times = [decoded.ticks for _, decoded in zip(range(NUM_CHECKED), frames, strict=False)]
        self.reopen()
        return times != sorted(times)

    def _packets(self) -> Iterator[tuple[av.Packet, bool]]:
        """Yields the packets of the video, each with whether others before it are lost.

        Demuxers pass over what they cannot read, and Matroska's does not report it.
        """
        silent = "matroska" in self.container.format.name
        end = math.inf
        last = -math.inf
        skipped = False
        for packet in self._read(every_stream=silent):
            if packet.pos is not None:
                skipped |= silent and packet.pos - end > SKIPPED_BYTES
                end = packet.pos + packet.size
            if packet.stream.index != self.stream.index:
                continue
            if self.index is not None and (packet.size or packet.dts is not None):
                if packet.is_corrupt and self._is_before_join(self._number):
                    packet = copy_packet(packet)  # only the joined parts' packet counters differ
                self.index.retime(packet, self._number)
            self._number += 1
            moment = last if packet.pts is None else float(packet.pts * self.tick)
            lost = packet.is_corrupt or (skipped and moment - last > DAMAGE_SECONDS) or self._failed
            yield packet, lost
            last = moment
            skipped = False
            self._failed = False

    def _read(self, every_stream: bool = False) -> Iterator[av.Packet]:
        """Yields packets to the true end of the file and passes over those that cannot be read."""
        failures = 0
        while self._peeked:
            yield self._peeked.pop(0)
        while True:
            try:
                for packet in (
                    self.container.demux() if every_stream else self.container.demux(self.stream)
                ):
                    failures = 0
                    yield packet
                return
            except av.FFmpegError:
                failures += 1
                self._failed = True
            if failures == MAX_FAILURES:
                self._note(False)
                last = av.Packet()  # makes the decoder return the frames it still holds
                last.stream = self.stream
                yield last
                return

    def _is_before_join(self, number: int) -> bool:
        """Returns whether a joined recording's next part begins a few packets after `number`."""
        assert self.index is not None
        return any(0 <= join - number <= JOIN_REACH for join in self.index.joins)

    def _skip_to(self, number: int) -> None:
        """Moves to packet `number`, or reads those before it without decoding them."""
        self.stream.codec_context.flush_buffers()
        if not self._jump_to(number) and number < self._number:
            self.reopen()
        packets = self._read()
        while self._number < number and next(packets, None) is not None:
            self._number += 1

    def _jump_to(self, number: int) -> bool:
        """Moves to packet `number` by its place in the file, in those formats that allow it."""
        assert self.index is not None
        place = int(self.index.places[number])
        if not self.container.format.flags & MAY_JUMP or place < 0:
            return False
        try:
            self.container.seek(place, stream=self.stream, unsupported_byte_offset=True)
            self._peeked = list(islice(self._read(), 1))
        except av.FFmpegError:
            self._peeked = []
        reached = self.index.find_number(self._peeked[0].pos) if self._peeked else None
        if reached != number:
            self.reopen()
            return False
        self._number = number
        return True
