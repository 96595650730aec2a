"""Frames of a video stream in the order in which they are shown, each with its time. Files are decoded here alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av

from ava_det.video.clock import (
    HAS_NO_TIMES,
    MAX_FAILURES,
    MAY_JUMP,
    SKIPPED_BYTES,
    PacketIndex,
    holds_another_file,
    load_index,
)
from ava_det.video.containers import choose_video_stream, open_container
from ava_det.video.reader import VideoError
from ava_det.video.tone import HDR_NAMES, is_hdr

# In a file with damaged packets a frame this far from the moment asked for is not the one that was there.
DAMAGE_SECONDS = 0.5
JOIN_REACH = 3  # packets before a join whose demuxer finds them unfinished
NUM_CHECKED = 16  # frames that show whether times follow the order of decoding
SQUARE = Fraction(1)


class DecodedFrame(NamedTuple):
    """frame: as decoded, or shown once more. ticks: its time, in units of the stream. aspect: width of its pixels by
    their height."""

    frame: av.VideoFrame
    ticks: int
    aspect: Fraction

    @property
    def shape(self) -> tuple[int, int, Fraction]:
        return self.frame.width, self.frame.height, self.aspect


class FrameDecoder:
    """Decodes one video file on one thread. choice: which of its video streams, as for
    `choose_video_stream`.

    container, stream: of the file as it is open now; `reopen` makes others. tick: seconds of a unit of its times.
    index: its packets, where its clock jumps or is missing. rate: the constant frames a second it is meant to have.
    damaged: whether anything was, so far. broken: whether anything is since the reader last said False here.
    notes: what was made up or changed, as `FrameReader.notes`.
    """

    container: av.container.InputContainer
    stream: av.VideoStream
    _peeked: list[av.Packet]  # read before their turn

    def __init__(self, path: Path, choice: int | None = None) -> None:
        self.path = path
        self._choice = choice
        self.index: PacketIndex | None = None
        self.damaged = self.broken = False
        self.notes: list[str] = []
        self._by_order = False
        self._first: tuple[int, tuple[int, int, Fraction]] | None = None
        self._changed = False
        self._open()
        guessed = self.stream.guessed_rate
        average = self.stream.average_rate
        self.rate = Fraction(guessed or average or 30)
        self.index = self._find_index()
        if self.index is not None and self.index.shifts is None:
            self.rate = 1 / (self.index.step * self.tick)
        self._by_order = self._is_timed_by_order()
        self._first = None
        if self.index is not None:
            self._note_clock(self.index)

    @property
    def average_rate(self) -> Fraction:
        """Frames a second, on the average. FFmpeg's figure where it can be: for DV it is that of its clock."""
        average = self.stream.average_rate
        counted = self.index is not None and self.index.shifts is None
        return self.rate if not average or average > 4 * self.rate or counted else Fraction(average)

    @property
    def aspect(self) -> Fraction:
        """Width of a pixel by its height, as the file says; 1 where it does not."""
        return Fraction(self.stream.sample_aspect_ratio or 1)

    def close(self) -> None:
        self.container.close()

    def reopen(self) -> None:
        """Stands before the first packet: not every container can seek back to it."""
        self.container.close()
        self._open()

    def seek(self, ticks: int) -> None:
        """Stands before a key picture at or before `ticks`, or after it where the container cannot do better; at the
        beginning where it cannot seek."""
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
        """Whole frames from here on, to the true end; a damaged packet costs its own frames only."""
        whole = True  # after damage pictures are patched up from others, until the next key picture
        shown: av.VideoFrame | None = None
        last: int | None = None
        aspect = self.aspect
        context = self.stream.codec_context
        coded = context.sample_aspect_ratio
        for packet, lost in self._packets():
            whole &= not lost
            if (
                packet.size == 0 and packet.dts is not None
            ):  # "the last one again": to a decoder it means the end
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
            for frame in frames:
                whole = (whole or frame.key_frame) and not frame.is_corrupt
                self._note(whole)
                last = self._find_time(frame, last)
                if whole and last is not None:
                    if context.sample_aspect_ratio != coded:
                        coded = context.sample_aspect_ratio
                        aspect = Fraction(coded or 1)
                    shown = frame
                    found = DecodedFrame(frame, last, aspect)
                    self._inspect(found)
                    yield found

    def _note_clock(self, index: PacketIndex) -> None:
        if index.shifts is None:
            self.notes.append(
                f"holds no times: its frames are counted, {float(self.rate):g} a second"
            )
        elif index.joins:
            where = f"{float((int(index.times[index.joins[0]]) - index.first) * self.tick):.1f} s"
            more = f" and in {len(index.joins) - 1} more places" if len(index.joins) > 1 else ""
            self.notes.append(
                f"its clock starts again or jumps at {where}{more} (joined recordings?): seconds go on over that"
            )

    def _inspect(self, found: DecodedFrame) -> None:
        """Notes, once, what is made of HDR and of sizes other than the first."""
        if self._first is None:
            self._first = found.ticks, found.shape
            if is_hdr(found.frame):
                kind = HDR_NAMES[found.frame.color_trc]
                self.notes.append(
                    f"its colors are HDR ({kind}): they are mapped to the standard range"
                )
        elif not self._changed and found.shape != self._first[1]:
            self._changed = True
            seconds = float((found.ticks - self._first[0]) * self.tick)
            before = describe_shape(*self._first[1])
            after = describe_shape(*found.shape)
            self.notes.append(
                f"its pictures change from {before} to {after} at {seconds:.1f} s: "
                "they are fitted into the first size"
            )

    def _note(self, whole: bool) -> None:
        self.damaged |= not whole
        self.broken |= not whole

    def _find_time(self, frame: av.VideoFrame, last: int | None) -> int | None:
        """Of a frame as the decoder gives it: its own, or that of the packet it came out with, or the next one."""
        time = frame.dts if self._by_order else frame.pts
        return last + self._step if time is None and last is not None else time

    def _open(self) -> None:
        self.container = open_container(self.path)
        try:
            self.stream = choose_video_stream(self.container, self.path, self._choice)
        except VideoError:
            self.container.close()
            raise
        self.stream.codec_context.thread_count = (
            1  # loaders run one reader per process; threads cost more CPU
        )
        self.tick = Fraction(self.stream.time_base or 1)
        self._number = 0  # of the next packet of the stream
        self._peeked = []
        self._failed = False  # to read a packet, since the last one

    @property
    def _step(self) -> int:
        """Ticks of one frame."""
        return (
            self.index.step
            if self.index is not None
            else max(round(1 / (self.rate * self.tick)), 1)
        )

    def _find_index(self) -> PacketIndex | None:
        """Of a file whose clock jumps, or that has none."""
        flags = self.container.format.flags
        if not flags & (MAY_JUMP | HAS_NO_TIMES) and not holds_another_file(
            self.path, self.container.format.name
        ):
            return None
        status = self.path.stat()
        state = status.st_size, status.st_mtime_ns
        index = load_index(self.path, self._choice, self.tick, self.rate, state)
        return index if index is not None and (index.joins or flags & HAS_NO_TIMES) else None

    def _is_timed_by_order(self) -> bool:
        """Whether the times of packets are those of their decoding: an AVI has no others, and of a copy of it into
        another container they are what was made up. Frames then take the times of the packets they come out with."""
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
        times = [found.ticks for _, found in zip(range(NUM_CHECKED), frames, strict=False)]
        self.reopen()
        return times != sorted(times)

    def _packets(self) -> Iterator[tuple[av.Packet, bool]]:
        """Packets of the video, each with whether others before it are lost: demuxers pass over what they cannot read,
        and Matroska's says nothing."""
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
                    packet = _copy_packet(packet)  # its counter does not go on, that is all
                self.index.retime(packet, self._number)
            self._number += 1
            moment = last if packet.pts is None else float(packet.pts * self.tick)
            lost = packet.is_corrupt or (skipped and moment - last > DAMAGE_SECONDS) or self._failed
            yield packet, lost
            last = moment
            skipped = False
            self._failed = False

    def _read(self, every_stream: bool = False) -> Iterator[av.Packet]:
        """Packets to the true end of the file: one that cannot be read is passed over."""
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
                last = av.Packet()  # what the decoder still holds
                last.stream = self.stream
                yield last
                return

    def _is_before_join(self, number: int) -> bool:
        """Whether the next part of a joined recording begins after packet `number`, or just before it."""
        assert self.index is not None
        return any(0 <= join - number <= JOIN_REACH for join in self.index.joins)

    def _skip_to(self, number: int) -> None:
        """Stands before packet `number`, passing over those before it without decoding them."""
        if number < self._number:
            self.reopen()
        else:
            self.stream.codec_context.flush_buffers()
        packets = self._read()
        while self._number < number and next(packets, None) is not None:
            self._number += 1


def _copy_packet(packet: av.Packet) -> av.Packet:
    """The same without its flags."""
    copied = av.Packet(bytes(packet))
    copied.stream = packet.stream
    copied.time_base = packet.time_base
    copied.pts = packet.pts
    copied.dts = packet.dts
    copied.duration = packet.duration
    copied.is_keyframe = packet.is_keyframe
    return copied


def describe_shape(width: int, height: int, aspect: Fraction) -> str:
    """A size in pixels, with their aspect where they are not square."""
    pixels = "" if aspect == 1 else f" (pixels {aspect.numerator}:{aspect.denominator})"
    return f"{width}x{height}{pixels}"
