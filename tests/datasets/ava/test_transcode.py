"""The prepared form of videos whose frames carry their numbers: which frames, when, and where one
can enter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ava_det.commands.transcode import main
from ava_det.data.sampling import compute_clip_seconds, compute_clip_ticks
from ava_det.datasets.ava import transcode
from ava_det.datasets.ava.prepared_form import Form
from ava_det.datasets.ava.source_video import TranscodeError
from ava_det.datasets.ava.transcode import transcode_folder, transcode_video
from ava_det.video.decoding import DecodedFrame, FrameDecoder
from ava_det.video.file import PREPARED_TAG, VideoReader
from tests.support.numbered_video import STRIPES, read_number, write_numbered_video
from tests.support.video_streams import BLUE, RED, write_streams

NTSC_FILM = Fraction(24000, 1001)
NTSC = Fraction(30000, 1001)
SOURCES = [
    ("mp4", "libx264", [n / Fraction(30) for n in range(240)]),
    ("mp4", "libx264", [n / NTSC for n in range(240)]),
    ("mkv", "libx264", [n / NTSC_FILM for n in range(200)]),
    ("mkv", "libx264", [n / Fraction(25) + Fraction(7, 5) for n in range(200)]),  # begins late
    ("avi", "mpeg4", [n / Fraction(30) for n in range(100)]),
    ("webm", "libvpx-vp9", [n / Fraction(10) for n in range(60)]),
    ("mp4", "libx264", [Fraction(n * n, 900) for n in range(90)]),  # ever slower
]


def make(path: Path, moments: list[Fraction], codec: str = "libx264", **more: object) -> Path:
    options = {"cpu-used": "8"} if codec == "libvpx-vp9" else {"g": "250"}
    write_numbered_video(path, moments, codec, options, **more)  # type: ignore[arg-type]
    return path


def packets_of(path: Path) -> list[tuple[int, bool]]:
    """(number of the frame by its time at 15 fps, whether it is a key picture) of each packet."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        return [(int(packet.pts * stream.time_base * 15), packet.is_keyframe) for packet in packets]


def moments_of(path: Path) -> list[Fraction]:
    """Exact seconds of the frames since the first, as the file says them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pts = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
        return [(value - pts[0]) * stream.time_base for value in pts]


def numbers_of(path: Path) -> list[int]:
    with VideoReader(path) as reader:
        return [read_number(picture) for _, picture in reader.frames()]


@pytest.mark.parametrize(("suffix", "codec", "moments"), SOURCES)
def test_every_frame_is_the_nearest_of_the_source(
    suffix: str, codec: str, moments: list[Fraction], tmp_path: Path
) -> None:
    source = make(tmp_path / f"source.{suffix}", moments, codec)
    target = tmp_path / "out" / "source.mp4"
    assert transcode_video(source, target, Form())
    times = moments_of(source)
    expected = [
        # the first of two
        min(range(len(times)), key=lambda index: abs(times[index] - Fraction(number, 15)))
        for number in range(len(packets_of(target)))
    ]
    assert numbers_of(target) == [number % 2**STRIPES for number in expected]
    assert abs(len(expected) / 15 - times[-1]) <= 0.1  # from the first frame to the last
    assert [path.name for path in target.parent.iterdir()] == ["source.mp4"]


@pytest.mark.parametrize("start_second", [0.0, 900.0])
def test_clips_show_what_they_show_from_the_source(start_second: float, tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", [n / NTSC_FILM for n in range(240)])
    target = tmp_path / "b.mp4"
    transcode_video(source, target, Form())
    with (
        VideoReader(source, start_second) as original,
        VideoReader(target, start_second) as prepared,
    ):
        for second in (0, 2, 3, 5, 7, 9):
            moments = compute_clip_seconds(start_second + second, compute_clip_ticks(32, 2), 30)
            shown = [
                [read_number(picture) for picture in reader.read(moments)]
                for reader in (original, prepared)
            ]
            assert shown[0] == shown[1]


def test_a_clip_is_entered_at_its_first_frame(tmp_path: Path) -> None:
    """32 packets in, 32 frames out, from the key picture that is the clip's first frame."""
    source = make(tmp_path / "a.mp4", [n / Fraction(30) for n in range(300)])
    target = tmp_path / "b.mp4"
    transcode_video(source, target, Form())
    packets = packets_of(target)
    assert [number for number, _ in packets] == list(range(150))
    assert [number for number, is_key in packets if is_key] == [0, *range(14, 150, 15)]
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for second in (2, 5, 8):
            first = 15 * second - 16
            container.seek(
                round(Fraction(first, 15) / stream.time_base), stream=stream, backward=True
            )
            numbers: list[int] = []
            for _, packet in zip(range(32), container.demux(stream), strict=False):
                numbers += [int(frame.pts * stream.time_base * 15) for frame in packet.decode()]
            assert numbers == list(range(first, first + 32))


@pytest.mark.parametrize("start_second", [0.0, 890.0, 900.0])
def test_the_reader_decodes_nothing_else(
    start_second: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "a.mp4", [n / Fraction(10) for n in range(300)])
    target = tmp_path / "b.mp4"
    transcode_video(source, target, Form())
    decoded: list[object] = []
    decode = FrameDecoder.frames

    def counted(decoder: FrameDecoder) -> Iterator[DecodedFrame]:
        for frame in decode(decoder):
            decoded.append(frame.ticks)
            yield frame

    monkeypatch.setattr(FrameDecoder, "frames", counted)
    for second in range(6, 29):  # close to the start it decodes on from there
        with VideoReader(target, start_second) as reader:
            decoded.clear()
            reader.read(compute_clip_seconds(start_second + second, compute_clip_ticks(32, 2), 30))
        assert len(decoded) == 32, second


def test_thirty_frames_a_second_have_their_own_entries(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", [n / Fraction(30) for n in range(150)])
    target = tmp_path / "b.mp4"
    transcode_video(source, target, Form(fps=30))
    assert numbers_of(target) == list(range(150))
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        keys = [
            packet.pts * stream.time_base * 30
            for packet in container.demux(stream)
            if packet.is_keyframe
        ]
    assert keys == [0, *range(28, 150, 30)]  # a clip starts at 30 s - 32


@pytest.mark.parametrize(
    ("first", "last", "margin"), [(32, 52, 12), pytest.param(902, 1798, 12, marks=pytest.mark.slow)]
)
def test_a_whole_movie_keeps_its_times_and_loses_what_nobody_annotated(
    first: int, last: int, margin: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert transcode.ANNOTATED == (902, 1798) and margin == transcode.MARGIN
    monkeypatch.setattr(transcode, "ANNOTATED", (first, last))
    source = make(tmp_path / "a.mkv", [Fraction(n) for n in range(last + 100)], rate=1)
    target = tmp_path / "b.mp4"
    transcode_video(source, target, Form())
    kept = range((first - margin) * 15 - 1, (last + margin) * 15 + 1)  # a key picture comes first
    assert packets_of(target) == [(0, True), *((number, number % 15 == 14) for number in kept)]
    with VideoReader(source) as original, VideoReader(target) as prepared:
        assert prepared.is_prepared and not original.is_prepared
        for second in (first, (first + last) // 2, last):
            assert (
                read_number(prepared.read([second])[0])
                == read_number(original.read([second])[0])
                == second % 256
            )
        prepared.require(last)
    # one that somebody cut
    short = make(tmp_path / "c.mkv", [Fraction(n) for n in range(last - 2)], rate=1)
    transcode_video(short, target, Form())
    assert [number for number, _ in packets_of(target)][: 15 * (last - 5)] == list(
        range(15 * (last - 5))
    )


def test_pictures_are_shrunk_to_even_sides_and_never_enlarged(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", [n / Fraction(30) for n in range(30)])
    for short_side, size in ((320, (64, 48)), (24, (32, 24)), (31, (42, 32))):
        transcode_video(source, tmp_path / "b.mp4", Form(short_side=short_side))
        with VideoReader(tmp_path / "b.mp4") as reader:
            assert (reader.width, reader.height) == size


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_what_stands_upright_stays_upright(rotation: int, tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", [n / Fraction(30) for n in range(20)], rotation=rotation)
    target = tmp_path / "b.mp4"
    transcode_video(source, target, Form())
    with VideoReader(source) as original, VideoReader(target) as prepared:
        shown = original.read([8 / 15])[0], prepared.read([8 / 15])[0]
        assert shown[0].shape == shown[1].shape
        assert np.abs(shown[0].astype(int) - shown[1]).mean() < 3


@pytest.mark.parametrize(("space", "full"), [(1, False), (5, False), (1, True)])
def test_colors_are_what_they_were(space: int, full: bool, tmp_path: Path) -> None:
    """BT.709 and BT.601, limited and full range: tags and picture."""
    path = tmp_path / "a.mp4"
    color = np.array([40, 200, 40])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=15, options={"crf": "1"})
        stream.width = 64
        stream.height = 48
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = space
        stream.codec_context.color_range = 2 if full else 1
        picture = av.VideoFrame.from_ndarray(
            np.broadcast_to(color.astype(np.uint8), (48, 64, 3)).copy(), "rgb24"
        )
        for number in range(15):
            frame = picture.reformat(
                format="yuv420p", dst_colorspace=space, dst_color_range=2 if full else 1
            )
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    transcode_video(path, tmp_path / "b.mp4", Form(short_side=32))
    with VideoReader(path) as original, VideoReader(tmp_path / "b.mp4") as prepared:
        for reader in (original, prepared):
            assert np.abs(reader.read([0.5])[0].mean((0, 1)) - color).max() < 4


def test_it_says_what_it_is_and_is_made_once(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", [n / Fraction(30) for n in range(30)])
    target = tmp_path / "b.mp4"
    assert transcode_video(source, target, Form())
    with av.open(str(target)) as container:
        said = json.loads(container.metadata[PREPARED_TAG])
    size = source.stat().st_size
    assert said == {
        "fps": 15,
        "short_side": 320,
        "crf": 18,
        "source": "a.mp4",
        "source_bytes": size,
    }
    before = target.stat().st_mtime_ns
    assert not transcode_video(source, target, Form())
    assert target.stat().st_mtime_ns == before
    assert transcode_video(source, target, Form(short_side=32))
    make(source, [n / Fraction(30) for n in range(60)])  # another source
    assert transcode_video(source, target, Form(short_side=32))
    target.write_bytes(target.read_bytes()[:500])  # a copy that broke off
    assert transcode_video(source, target, Form(short_side=32))


def test_of_two_cameras_the_first_is_taken_and_said_or_the_chosen_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    write_streams(videos / "two.mkv", [RED, BLUE], ["mpeg4", "mpeg4"])
    target = tmp_path / "out" / "two.mp4"
    command = ["--videos", str(videos), "--output", str(target.parent), "--jobs", "1"]

    def red_and_blue() -> tuple[float, float]:
        with VideoReader(target) as reader:
            red, _, blue = reader.read([0.2])[0].mean((0, 1)).tolist()
        return red, blue

    transcode_video(videos / "two.mkv", target, Form())
    said = capsys.readouterr().err
    assert "holds several video streams" in said and "choose another by --stream" in said
    red, blue = red_and_blue()
    assert red > 150 > 50 > blue
    assert main([*command, "--stream", "1"]) == 0
    assert "1 video made, 0 there already" in capsys.readouterr().out
    red, blue = red_and_blue()
    assert blue > 150 > 50 > red
    assert main([*command, "--stream", "1"]) == 0
    assert "0 videos made, 1 there already" in capsys.readouterr().out
    assert main([*command, "--stream", "2"]) == 2
    assert "received stream 2" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--stream", "-1"])


def test_files_that_cannot_be_prepared_leave_nothing(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", [n / Fraction(30) for n in range(240)])
    target = tmp_path / "out" / "b.mp4"
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 4800), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (tmp_path / "text.mp4").write_text("no video")
    with av.open(str(source)) as container:
        middle = [packet.pos for packet in container.demux(video=0) if packet.size][100]
    body = source.read_bytes()
    # the index stands at the end: put zeros where the second half of the pictures was
    index = body.index(b"moov") - 4
    (tmp_path / "cut.mp4").write_bytes(body[:middle] + bytes(index - middle) + body[index:])
    with av.open(str(source)) as container:
        first = next(packet.pos for packet in container.demux(video=0) if packet.size)
    (tmp_path / "dead.mp4").write_bytes(body[:first] + bytes(index - first) + body[index:])
    for name, reason in (
        ("dead", "is cut off or damaged|no frame of it can be decoded"),
        ("sound", "holds no video stream"),
        ("text", "cannot be opened as a video"),
        ("cut", "is cut off or damaged"),
    ):
        with pytest.raises(TranscodeError, match=rf"{name}\.mp4.*{reason}"):
            transcode_video(tmp_path / f"{name}.mp4", target, Form())
    assert not target.parent.exists() or list(target.parent.iterdir()) == []


def test_a_folder_is_prepared_in_parallel_and_one_bad_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("a.mkv", "b.mp4"):
        make(videos / name, [n / Fraction(30) for n in range(30)])
    (videos / "c.mp4").write_text("no video")
    command = [
        "--videos",
        str(videos),
        "--output",
        str(tmp_path / "out"),
        "--jobs",
        "2",
        "--short-side",
        "32",
    ]
    assert main(command) == 2
    said = capsys.readouterr()
    assert (
        "c.mp4: cannot be transcoded: cannot be opened as a video" in said.err
        and "1 of 3 videos" in said.err
        and "2 videos made" in said.out
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp4", "b.mp4"]
    (videos / "c.mp4").unlink()
    transcode_folder(videos, tmp_path / "out", Form(short_side=32), 1)
    assert "0 videos made, 2 there already" in capsys.readouterr().out


@pytest.mark.needs_shared
def test_real_videos_keep_their_pictures(shared_data: Path, tmp_path: Path) -> None:
    for source in sorted((shared_data / "videos").glob("*[!n].m*")):
        target = tmp_path / f"{source.stem}.mp4"
        transcode_video(source, target, Form())
        with VideoReader(source) as original, VideoReader(target) as prepared:
            assert abs(original.find_end() - prepared.find_end()) <= 0.1
            short_side = min(prepared.height, prepared.width)
            for moment in (0.0, 1.2, 2.6):
                pictures = [
                    reader.read([moment], short_side)[0].astype(int)
                    for reader in (original, prepared)
                ]
                width = min(picture.shape[1] for picture in pictures)
                assert np.abs(pictures[0][:, :width] - pictures[1][:, :width]).mean() < 4
