"""Cuts a piece out of a video file: its packets as they are where mp4 takes them, else encoded."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from ava_det.files import atomic_path
from ava_det.video.containers import choose_video_stream, open_container
from ava_det.video.folder import open_video
from ava_det.video.reader import FrameReader, Picture
from ava_det.video.sound import can_copy
from ava_det.video.writer import VideoWriter

# Both keep the exact time and the key pictures of every packet; AVI, MPEG and raw streams do not.
COPIED_CONTAINERS = {"mov", "matroska"}
COPIED_CODECS = {"h264", "hevc", "av1", "mpeg4"}
MAX_RUN_UP = 5.0  # seconds from a key picture to the beginning; beyond it frames are encoded
STEP = 1.0  # seconds that are read at once


def cut_video(
    source: str | Path, target: str | Path, begin: float, end: float, stream: int | None = None
) -> tuple[float, bool]:
    """Writes a piece of a video as an .mp4 file with its sound, whole or not at all.

    Packets that are copied start at a key picture, up to `MAX_RUN_UP` seconds before `begin`.

    Args:
        source: The file or folder of pictures.
        target: The file to write.
        begin: Seconds since the first frame; less than 0 is the first frame.
        end: Likewise, exclusive; beyond the last frame is the end.
        stream: Which video stream, see `VideoReader`.

    Returns:
        The time in the source of the first frame in the piece, in seconds, and whether packets
        were copied.

    Raises:
        VideoError: The source cannot be read.
        OSError: The target cannot be written.
        ValueError: There is no frame in this time.
    """
    begin = max(begin, 0.0)
    with open_video(source, 0.0, stream) as reader:
        if Path(source).is_file():
            start = _copy_packets(reader, Path(target), begin, end, stream)
            if start is not None:
                return start, True
        return _encode_frames(reader, Path(target), begin, end), False


def _copy_packets(
    reader: FrameReader, target: Path, begin: float, end: float, stream: int | None
) -> float | None:
    """Copies packets; returns the time of the first frame, or None where that is not possible."""
    with open_container(reader.path) as source:
        video = choose_video_stream(source, reader.path, stream)
        names = set(source.format.name.split(","))
        if not names & COPIED_CONTAINERS or video.codec_context.codec.canonical_name not in (
            COPIED_CODECS
        ):
            return None
        sounds = source.streams.audio[:1]
        if sounds and (sounds[0].codec_context is None or not can_copy(sounds[0])):
            return None
        first = Fraction(reader.clock_start)
        try:
            source.seek(int((first + Fraction(begin)) / video.time_base), stream=video)
            frame = Fraction(1) / Fraction(reader.frame_rate)
            packets = _take_packets(
                _date_packets(source.demux([video, *sounds]), video, frame),
                [video, *sounds],
                first + Fraction(end),
            )
            key = next((one for one in packets if one.stream == video and one.is_keyframe), None)
            if key is None or key.pts is None:
                return None
            start = float(key.pts * key.time_base - first)
            if not begin - MAX_RUN_UP <= start <= begin + 0.5 / reader.fps:
                return None
            _write_packets(target, key, packets)
        except av.FFmpegError:
            return None
    return max(start, 0.0)


def _date_packets(
    packets: Iterator[av.Packet], video: av.VideoStream, frame: Fraction
) -> Iterator[av.Packet]:
    """Gives the pictures after a seek their decoding times, which Matroska does not store.

    FFmpeg knows them from the third picture or so on; those before are a frame earlier each.
    """
    undated: list[av.Packet] = []
    for packet in packets:
        if packet.pts is None:
            continue
        if packet.stream is not video:
            yield packet
            continue
        if packet.dts is None:
            undated.append(packet)
            continue
        step = max(int(frame / packet.time_base), 1)
        for place, one in enumerate(undated):
            one.dts = packet.dts - (len(undated) - place) * step
            yield one
        undated.clear()
        yield packet


def _take_packets(
    packets: Iterator[av.Packet], streams: list[av.stream.Stream], end: Fraction
) -> Iterator[av.Packet]:
    """Yields packets, in the order of the file, until all streams have reached `end`."""
    open_streams = {stream.index for stream in streams}
    for packet in packets:
        moment = packet.pts if packet.dts is None else packet.dts
        if moment * packet.time_base >= end:
            open_streams.discard(packet.stream.index)
            if not open_streams:
                return
        elif packet.stream.index in open_streams:
            yield packet


def _write_packets(target: Path, key: av.Packet, packets: Iterator[av.Packet]) -> None:
    """Writes a key picture and what follows; its time becomes 0."""
    begin = key.pts * key.time_base
    video = key.stream
    container = video.container
    sounds = container.streams.audio[:1]
    options = {"movflags": "+faststart"}
    with (
        atomic_path(target) as temporary,
        av.open(f"file:{temporary}", "w", format="mp4", options=options) as out,
    ):
        targets = {one.index: out.add_stream_from_template(one) for one in (video, *sounds)}
        for packet in (key, *packets):
            if packet.stream is not video and packet.pts * packet.time_base < begin:
                continue
            shift = round(begin / packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            packet.stream = targets[packet.stream.index]
            out.mux(packet)


def _encode_frames(reader: FrameReader, target: Path, begin: float, end: float) -> float:
    """Encodes frames with their sound; returns the time of the first one."""
    waiting: list[Picture] = []
    reader.subscribe(begin, waiting.append)
    start = next((one.seconds for one in waiting if one.seconds >= begin), waiting[-1].seconds)
    sound = (reader.path, reader.clock_start + start) if reader.has_audio else None
    with VideoWriter(target, reader.width, reader.height, reader.fps, sound, reader.matrix) as out:
        moment = begin
        while True:
            for picture in waiting:
                if start <= picture.seconds < end:
                    out.write_planes(picture.planes(reader.matrix), picture.seconds - start)
            is_done = bool(waiting) and waiting[-1].seconds >= end
            waiting.clear()
            if is_done or moment >= end or not reader.advance(moment := moment + STEP):
                break
        for picture in waiting:
            if start <= picture.seconds < end:
                out.write_planes(picture.planes(reader.matrix), picture.seconds - start)
    return start
