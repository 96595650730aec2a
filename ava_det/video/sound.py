"""The sound of one file beside the pictures of another: packets as they are where mp4 players know
them, else AAC.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av

COPIED = {"aac", "mp3"}  # what every player of mp4 knows
AAC_FRAME = 1024  # samples


class SoundTrack:
    """Takes over the first audio stream of `source` into `target`, an output container not yet
    written to.

    begin: seconds of the source's clock that are 0 in the target. fault: why no more sound can be
    taken over, or None. A source without sound is silent, and no fault.
    """

    def __init__(self, source: Path, begin: float, target: av.container.OutputContainer) -> None:
        self.fault: str | None = None
        self._target = target
        self._begin = begin
        self._source: av.container.InputContainer | None = None
        self._packets: Iterator[av.Packet] = iter(())
        self._held: av.Packet | None = None  # read, and not due yet
        try:
            self._source = av.open(str(source))
            if not self._source.streams.audio:
                return
            self._stream = self._source.streams.audio[0]
            self._resampler: av.AudioResampler | None = None
            if self._stream.codec_context.name in COPIED:
                self._out = target.add_stream_from_template(self._stream)
            else:
                self._resampler = self._open_encoder()
            if begin > 1:
                self._source.seek(int((begin - 1) * av.time_base))
            self._packets = self._source.demux(self._stream)
        except (av.FFmpegError, OSError, ValueError) as error:
            self._fail(error)

    def _open_encoder(self) -> av.AudioResampler:
        layout = "mono" if self._stream.channels == 1 else "stereo"
        self._out = self._target.add_stream("aac", rate=self._stream.rate)
        self._out.layout = layout
        return av.AudioResampler(
            format="fltp", layout=layout, rate=self._stream.rate, frame_size=AAC_FRAME
        )

    def write_until(self, seconds: float) -> None:
        """Hands over what begins before `seconds` of the target."""
        try:
            while (packet := self._next_packet()) is not None:
                moment = float(packet.pts * packet.time_base) - self._begin
                if moment >= seconds:
                    self._held = packet
                    return
                if moment >= 0:
                    self._write(packet)
        except (av.FFmpegError, OSError) as error:
            self._fail(error)

    def _next_packet(self) -> av.Packet | None:
        packet = self._held
        self._held = None
        while packet is None or packet.pts is None:
            packet = next(self._packets, None)
            if packet is None:
                return None
        return packet

    def _write(self, packet: av.Packet) -> None:
        if self._resampler is not None:
            for decoded in packet.decode():
                self._encode(decoded)
            return
        shift = round(self._begin / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.pts - shift
        packet.stream = self._out
        self._target.mux(packet)

    def _encode(self, decoded: av.AudioFrame | None) -> None:
        assert self._resampler is not None
        for frame in self._resampler.resample(decoded):
            if frame.pts is not None:
                frame.pts = max(frame.pts - round(self._begin / frame.time_base), 0)
            self._target.mux(self._out.encode(frame))

    def finish(self) -> None:
        """Hands over what an encoder still holds."""
        if self.fault is None and self._source is not None and self._source.streams.audio:
            try:
                if self._resampler is not None:
                    self._encode(None)
                    self._target.mux(self._out.encode(None))
            except (av.FFmpegError, OSError) as error:
                self._fail(error)

    def close(self) -> None:
        """Frees the source."""
        if self._source is not None:
            self._source.close()

    def _fail(self, error: Exception) -> None:
        self.fault = str(getattr(error, "strerror", None) or error)
        self._packets = iter(())
        self._held = None
