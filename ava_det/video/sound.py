"""Copies the sound of one file into another, or encodes it as AAC.

Packets are copied unchanged where mp4 players know their codec.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av

from ava_det.video.clock import MAY_JUMP, RunningClock
from ava_det.video.containers import open_container
from ava_det.video.declared_end import holds_another_file

COPIED = {"aac", "mp3"}  # what every player of mp4 knows
SLOWEST_MP3 = 16_000  # samples a second: the mp4 muxer refuses MP3 of fewer
SLOWEST_AAC = 8_000
USUAL_RATE = 48_000  # AAC has rates down to 7350, which players lack
AAC_FRAME = 1024  # samples
# seconds by which the packets' clock and the count of samples may differ before it is a gap
MAX_DRIFT = 0.2


class SoundTrack:
    """Copies the first audio stream of a file into an output file.

    A source without sound adds nothing, and is no fault; a damaged packet costs its own sound only.

    Args:
        source: The file whose sound is copied.
        begin: Time on the source's clock, in seconds, that becomes 0 in the target.
        target: An output container to which nothing has been written yet.

    Attributes:
        fault: Why no more sound can be copied, or None.
    """

    def __init__(self, source: Path, begin: float, target: av.container.OutputContainer) -> None:
        self.fault: str | None = None
        self._begin = begin
        self._source: av.container.InputContainer | None = None
        self._packets: Iterator[av.Packet] = iter(())
        self._held: av.Packet | None = None  # read, and not due yet
        self._sink: _Sink | None = None
        self._is_counted = False  # AVI keeps no times of its own, and makes them up badly
        try:
            self._source = open_container(source)
            if not self._source.streams.audio:
                return
            stream = self._source.streams.audio[0]
            if stream.codec_context is None:
                raise ValueError("FFmpeg has no decoder for it")
            self._is_counted = self._source.format.name == "avi"
            self._sink = (_CopiedSound if can_copy(stream) else _EncodedSound)(stream, target)
            container = self._source.format
            may_jump = bool(container.flags & MAY_JUMP)
            rate = Fraction(stream.rate or USUAL_RATE, AAC_FRAME)
            self._clock = RunningClock(Fraction(stream.time_base or 1), rate, ahead=may_jump)
            if begin > 1 and not may_jump and not holds_another_file(source, container.name):
                self._source.seek(int((begin - 1) * av.time_base))
            self._packets = self._source.demux(stream)
        except (av.FFmpegError, OSError, ValueError) as error:
            self._fail(error)

    def write_until(self, seconds: float) -> None:
        """Writes the sound that begins before `seconds` of the target."""
        try:
            while (packet := self._next_packet()) is not None:
                moment = self._find_moment(packet)
                if moment >= seconds:
                    self._held = packet
                    return
                if moment >= 0 and self._sink is not None:
                    with suppress(av.error.InvalidDataError):
                        self._sink.write(packet, moment)
        except (av.FFmpegError, OSError) as error:
            self._fail(error)

    def _find_moment(self, packet: av.Packet) -> float:
        """Returns the target's time, in seconds, at which a packet begins.

        Where recordings are joined and the clock starts again or jumps, times continue.
        """
        if self._is_counted and self._sink is not None and self._sink.end is not None:
            return self._sink.end
        ticks = packet.pts + self._clock.find_shift(packet)
        return float(ticks * packet.time_base) - self._begin

    def _next_packet(self) -> av.Packet | None:
        """Returns the packet that was held back, or the next one with a time; None at the end."""
        packet = self._held
        self._held = None
        while packet is None or packet.pts is None:
            packet = next(self._packets, None)
            if packet is None:
                return None
        return packet

    def finish(self) -> None:
        """Writes what an encoder still holds."""
        if self.fault is None and self._sink is not None:
            try:
                self._sink.finish()
            except (av.FFmpegError, OSError) as error:
                self._fail(error)

    def close(self) -> None:
        """Closes the source."""
        if self._source is not None:
            self._source.close()

    def _fail(self, error: Exception) -> None:
        """Remembers why no more sound can be copied, and stops."""
        self.fault = str(getattr(error, "strerror", None) or error)
        self._packets = iter(())
        self._held = None


def can_copy(stream: av.AudioStream) -> bool:
    """Returns whether the packets of a stream may be stored in an mp4 file unchanged.

    MP3 of an AVI may not: that container dates it in whole packets only.
    """
    codec: str = stream.codec_context.codec.canonical_name
    if codec == "mp3":
        rate: int = stream.rate
        container: str = stream.container.format.name
        return rate >= SLOWEST_MP3 and container != "avi"
    return codec in COPIED


class _Sink(Protocol):
    """Takes packets; `moment` is the target's time, in seconds, at which a packet begins."""

    # seconds of the target up to which samples were counted; None where they are not
    end: float | None

    def write(self, packet: av.Packet, moment: float) -> None:
        """Adds a packet."""

    def finish(self) -> None:
        """Writes what is still held."""


class _CopiedSound:
    """Writes packets unchanged."""

    end: float | None = None

    def __init__(self, stream: av.AudioStream, target: av.container.OutputContainer) -> None:
        self._target = target
        self._out = target.add_stream_from_template(stream)

    def write(self, packet: av.Packet, moment: float) -> None:
        """Adds a packet unchanged, at its time in the target."""
        packet.pts = round(moment / packet.time_base)
        packet.dts = packet.pts
        packet.stream = self._out
        self._target.mux(packet)

    def finish(self) -> None:
        """Does nothing: packets were written at once."""


class _EncodedSound:
    """Decodes packets and encodes their samples as AAC.

    Samples are counted, since some containers store a packet's time to a tenth of a second only.
    """

    end: float | None = None

    def __init__(self, stream: av.AudioStream, target: av.container.OutputContainer) -> None:
        self._target = target
        self._rate = choose_rate(stream.rate)
        layout = "mono" if stream.channels == 1 else "stereo"
        self._resampler = av.AudioResampler(
            format="fltp", layout=layout, rate=self._rate, frame_size=AAC_FRAME
        )
        self._out = target.add_stream("aac", rate=self._rate)
        self._out.layout = layout
        self._num_samples = 0  # handed to the encoder, gaps between them included

    def write(self, packet: av.Packet, moment: float) -> None:
        """Decodes a packet and encodes its samples; a gap before them is kept."""
        for frame in packet.decode():
            seconds = frame.samples / frame.sample_rate
            gap = moment - (self.end or 0.0)
            moment += seconds
            if gap < -MAX_DRIFT:
                continue
            if self.end is None or gap > MAX_DRIFT:
                self._num_samples += round(gap * self._rate)
                self.end = moment - seconds
            self.end += seconds
            self._encode(frame)

    def _encode(self, decoded: av.AudioFrame | None) -> None:
        """Resamples and encodes a frame; None flushes what the resampler still holds."""
        if decoded is not None:
            decoded.pts = None
        for frame in self._resampler.resample(decoded):
            frame.pts = self._num_samples
            frame.time_base = Fraction(1, self._rate)
            self._num_samples += frame.samples
            self._target.mux(self._out.encode(frame))

    def finish(self) -> None:
        """Writes what resampler and encoder still hold."""
        self._encode(None)
        self._target.mux(self._out.encode(None))


def choose_rate(rate: int) -> int:
    """Chooses AAC's samples a second: the source's rate, or the next higher one it has."""
    known = [one for one in av.Codec("aac", "w").audio_rates or () if one >= max(rate, SLOWEST_AAC)]
    return min(known, default=USUAL_RATE)
