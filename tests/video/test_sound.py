"""What becomes of the sound of a video beside an overlay: copied, encoded again, or named as
lost.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ava_det.video import sound
from ava_det.video.folder import open_video
from ava_det.video.writer import VideoWriter

SECONDS = 2.0
HERTZ = 500.0


def write_film(
    path: Path, codec: str, rate: int, layout: str = "mono", sound_format: str | None = None
) -> Path:
    """2 s of gray pictures and a tone in all channels."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        tone = container.add_stream(codec, rate=rate)
        tone.layout = layout
        container.start_encoding()
        wanted = sound_format or tone.codec_context.format.name
        for index in range(round(SECONDS * 10)):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), "rgb24")
            picture.pts, picture.time_base = index, Fraction(1, 10)
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode())
        samples = (
            0.3 * np.sin(2 * np.pi * HERTZ * np.arange(round(SECONDS * rate)) / rate)
        ).astype(np.float32)
        size = tone.codec_context.frame_size or 1024
        resampler = av.AudioResampler(wanted, layout, rate, frame_size=size)
        frame = av.AudioFrame.from_ndarray(
            np.stack([samples] * tone.layout.nb_channels), "fltp", layout
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(tone.encode(piece))
        container.mux(tone.encode())
    return path


def overlay(source: Path, target: Path, start: float = 0.0) -> str | None:
    """Every frame from `start` on written again with its sound; returns the fault of the sound."""
    with open_video(source) as reader:
        taken = (reader.path, reader.clock_start + start)
        with VideoWriter(target, 64, 48, reader.fps, taken) as writer:
            for seconds, frame in reader.frames():
                if seconds >= start:
                    writer.write(frame, seconds - start)
        return writer.sound_fault


def listen(path: Path) -> tuple[str, float, float, float]:
    """Codec, seconds of samples, the end of the last one, and the loudest frequency of the
    middle.
    """
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        name, rate = stream.codec_context.codec.canonical_name, stream.rate
        heard, end = [], 0.0
        for frame in container.decode(stream):
            array = frame.to_ndarray()
            heard.append(array[0] if frame.format.is_planar else array.reshape(-1))
            end = float(frame.time or 0) + frame.samples / frame.sample_rate
    samples = np.concatenate(heard)
    middle = samples[len(samples) // 2 - 2048 : len(samples) // 2 + 2048]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return name, len(samples) / rate, end, float(spectrum.argmax()) * rate / len(middle)


@pytest.mark.parametrize(
    ("container", "codec", "rate", "layout", "becomes"),
    [
        ("avi", "libmp3lame", 44100, "mono", "aac"),  # whose clock counts whole packets of 26 ms
        ("avi", "ac3", 44100, "stereo", "aac"),
        ("avi", "eac3", 44100, "stereo", "aac"),  # whose packets AVI dates wildly
        ("mkv", "libmp3lame", 44100, "stereo", "mp3"),
        ("mp4", "libmp3lame", 44100, "stereo", "mp3"),
        ("mkv", "libmp3lame", 8000, "mono", "aac"),  # mp4 holds no MP3 of fewer than 16000 samples
        ("mov", "pcm_s16le", 192000, "stereo", "aac"),  # AAC has no such rate
        ("mkv", "pcm_s16le", 6000, "mono", "aac"),
        ("mkv", "ac3", 48000, "5.1", "aac"),
        ("ts", "aac", 48000, "stereo", "aac"),
    ],
)
def test_the_sound_is_there(
    tmp_path: Path, container: str, codec: str, rate: int, layout: str, becomes: str
) -> None:
    source = write_film(tmp_path / f"film.{container}", codec, rate, layout)
    assert overlay(source, tmp_path / "overlay.mp4") is None
    name, length, end, hertz = listen(tmp_path / "overlay.mp4")
    assert name == becomes
    assert length == pytest.approx(SECONDS, abs=0.3 if rate < 10_000 else 0.1)  # whole packets
    assert end == pytest.approx(SECONDS, abs=0.3 if rate < 10_000 else 0.1)
    assert hertz == pytest.approx(HERTZ, abs=60 if rate > 96_000 else 15)


@pytest.mark.parametrize("codec", ["libmp3lame", "ac3"])
def test_it_begins_where_the_pictures_do(tmp_path: Path, codec: str) -> None:
    source = write_film(tmp_path / "film.avi", codec, 44100)
    assert overlay(source, tmp_path / "overlay.mp4", start=1.5) is None
    assert listen(tmp_path / "overlay.mp4")[1:3] == pytest.approx((0.5, 0.5), abs=0.1)


def count_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        assert not container.streams.audio
        return sum(1 for _ in container.decode(video=0))


def test_what_mp4_refuses_costs_the_sound_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_film(tmp_path / "film.mkv", "libmp3lame", 8000)
    monkeypatch.setattr(sound, "can_copy", lambda stream: True)
    fault = overlay(source, tmp_path / "overlay.mp4")
    assert fault is not None
    assert fault.startswith("mp4 does not hold it")
    assert count_frames(tmp_path / "overlay.mp4") == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mkv", "overlay.mp4"]


def test_sound_without_a_decoder_costs_itself_alone(tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.mp4", "ac3", 44100)
    content = source.read_bytes()
    source.write_bytes(content.replace(b"ac-3", b"ac-4").replace(b"dac3", b"dac4"))
    assert overlay(source, tmp_path / "overlay.mp4") == "FFmpeg has no decoder for it"
    assert count_frames(tmp_path / "overlay.mp4") == 20


def test_a_damaged_packet_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_film(tmp_path / "film.mkv", "pcm_s16le", 44100)
    write: Callable[[sound._EncodedSound, av.Packet, float], None] = sound._EncodedSound.write

    def fail_once(self: sound._EncodedSound, packet: av.Packet, moment: float) -> None:
        if 1.0 <= moment < 1.3:
            raise av.error.InvalidDataError(1, "damaged")
        write(self, packet, moment)

    monkeypatch.setattr(sound._EncodedSound, "write", fail_once)
    assert overlay(source, tmp_path / "overlay.mp4") is None
    _, length, end, _ = listen(tmp_path / "overlay.mp4")
    assert length == pytest.approx(SECONDS - 0.3, abs=0.1)
    assert end == pytest.approx(SECONDS, abs=0.1)  # what follows keeps its moment
