"""`python -m benchmarks decode`: clips straight from video, against folders of JPEGs and against
the bare decoder.

Everything runs in this process on one thread; times are CPU milliseconds a clip (32 frames of a
window of 64 ticks, RGB, short side 256), medians of repeats in which the ways take turns, so that
ratios hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from ava_det.data.clip_reader import ClipReader
from ava_det.files import write_json
from ava_det.video.file import VideoReader
from ava_det.video.folder import FrameFolder
from ava_det.video.pictures import resize_short_side
from ava_det.video.reader import FrameReader

ROOT = Path(__file__).resolve().parent.parent
SHORT_SIDE = 256
CLIP = ClipReader(32, 2, 30.0, None, np.arange(32))
GRAIN = 1.5
CONTRAST = 22
CRF = "20"  # a frame then has about the bytes it has in films of this size
MARGIN = 2  # seconds at both ends without a keyframe, so that every window is whole


def add_decode(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "decode", help="the video reader, against JPEG folders and the bare decoder"
    )
    parser.add_argument(
        "--video", type=Path, help="a video of at least 20 s (default: one is generated)"
    )
    parser.add_argument(
        "--seconds",
        type=int,
        default=60,
        help="length of the generated video (default: %(default)s)",
    )
    parser.add_argument(
        "--clips", type=int, default=2000, help="clips read to see whether memory grows"
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=5,
        help="take medians of so many rounds (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too")
    parser.set_defaults(run=benchmark_decode)


@dataclass
class Ratio:
    """One line of the report: what was compared, the ratio, and the goal it should reach (at least
    or at most).
    """

    name: str
    value: float
    goal: float
    at_least: bool

    @property
    def reached(self) -> bool:
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def benchmark_decode(args: argparse.Namespace) -> int:
    """Prints times, ratios, sizes and memory; writes them as JSON where asked to."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        video = args.video or folder / "video.mp4"
        if args.video is None:
            print(
                f"writing a video of {args.seconds} s, its JPEGs and its prepared form", flush=True
            )
            write_source(video, args.seconds)
        with VideoReader(video) as reader:
            seconds = int(reader.find_end())
        if seconds < 20:
            raise ValueError(f"{video}: expected a video of at least 20 s, this one has {seconds}")
        jpegs = write_jpegs(video, folder / "jpegs" / video.stem)
        prepared = prepare(video, folder)
        ways = list_ways(
            video, jpegs, prepared, np.arange(MARGIN, seconds - MARGIN, dtype=np.float64)
        )
        times = measure(ways, args.repeat)
        sizes = {
            "video": video.stat().st_size,
            "jpegs": sum(path.stat().st_size for path in jpegs.iterdir()),
        }
        sizes["prepared"] = prepared.stat().st_size
        growth = measure_growth(video, prepared, seconds, args.clips)
    ratios = compute_ratios(times, sizes, growth)
    report(times, sizes, seconds, ratios)
    if args.json:
        figures = {
            "milliseconds": times,
            "bytes": sizes,
            "seconds": seconds,
            "ratios": {ratio.name: [ratio.value, ratio.goal, ratio.reached] for ratio in ratios},
        }
        write_json(args.json, figures)
    return 0


def write_source(
    path: Path, seconds: int, width: int = 640, height: int = 360, fps: int = 30
) -> None:
    """A film of a textured scene: the camera pans, patches of a person's size move, with grain;
    H.264, GOP 250.
    """
    random = np.random.default_rng(0)
    tall = 2 * height // 5
    wide = width // 10
    scene = _texture(random, 2 * height, 2 * width)
    patches = [_texture(random, tall, wide) for _ in range(4)]
    grain = random.normal(0, GRAIN, (8, height, width, 1))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=fps, options={"g": "250", "crf": CRF, "threads": "1"}
        )
        stream.width = width
        stream.height = height
        stream.pix_fmt = "yuv420p"
        for index in range(seconds * fps):
            t = index / fps
            left = int(width * (0.5 + 0.45 * np.sin(t / 9)))
            top = int(height * (0.5 + 0.4 * np.sin(t / 7)))
            picture = scene[top : top + height, left : left + width].copy()
            for number, patch in enumerate(patches):
                x = int((width - wide) * (0.5 + 0.5 * np.sin(t * (0.3 + 0.2 * number) + number)))
                y = int((height - tall) * (0.5 + 0.5 * np.cos(t * 0.5 + 2 * number)))
                picture[y : y + tall, x : x + wide] = patch
            picture = (picture + grain[index % len(grain)]).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def _texture(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """float [H, W, 3], 0..255, with detail at every scale as pictures of the world have."""
    picture = np.zeros((height, width, 3), np.float32)
    for scale in (4, 8, 16, 32, 64, 128):
        coarse = random.normal(0, scale**0.7, (height // scale + 2, width // scale + 2, 3)).astype(
            np.float32
        )
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return 128 + picture * (CONTRAST / picture.std())


def write_jpegs(video: Path, folder: Path) -> Path:
    """The pictures of PySlowFast's recipe (30 a second, full size, ffmpeg's best JPEG quality, -q:v
    1).
    """
    folder.mkdir(parents=True)
    encoder = av.CodecContext.create("mjpeg", "w")
    with VideoReader(video) as reader:
        encoder.width = reader.width
        encoder.height = reader.height
        encoder.pix_fmt = "yuvj420p"
        encoder.time_base = Fraction(1, 30)
        encoder.qmin = 1
        encoder.qmax = 1
        encoder.options = {"qmin": "1", "qmax": "1", "color_range": "pc"}
        for index in range(int(reader.find_end() * 30)):
            picture = av.VideoFrame.from_ndarray(reader.read([index / 30])[0], format="rgb24")
            picture = picture.reformat(format="yuvj420p", dst_color_range="JPEG")
            content = b"".join(bytes(packet) for packet in encoder.encode(picture))
            (folder / f"{folder.name}_{index + 1:06d}.jpg").write_bytes(content)
    return folder


def prepare(video: Path, folder: Path) -> Path:
    """The prepared form, by the command a user runs."""
    videos = folder / "videos"
    videos.mkdir()
    (videos / video.name).symlink_to(video.resolve())
    output = folder / "prepared"
    command = [
        sys.executable,
        ROOT / "data/ava/transcode.py",
        "--videos",
        videos,
        "--output",
        output,
        "--jobs",
        "1",
    ]
    finished = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    if finished.returncode:
        raise ValueError(finished.stderr.strip().splitlines()[-1])
    return next(path for path in output.iterdir() if path.stem == video.stem)


Way = Callable[[], int]  # does its work and says how many clips that was


def list_ways(video: Path, jpegs: Path, prepared: Path, keyframes: np.ndarray) -> dict[str, Way]:
    """What is timed, by name. One pass reads the keyframes in order; the others read some of "
    "them."""
    few = np.random.default_rng(0).permutation(keyframes)[:16]
    return {
        "one pass: bare decode": lambda: decode_all(video) * 0 + len(keyframes),
        "one pass": lambda: read(VideoReader(video), keyframes),
        "a seek for each keyframe": lambda: read_naively(video, np.sort(few)),
        "JPEGs, each window re-read": lambda: read_windows(jpegs, keyframes),
        "JPEGs, one pass": lambda: read(FrameFolder(jpegs), keyframes),
        "prepared, one pass: bare decode": lambda: decode_all(prepared) * 0 + len(keyframes),
        "prepared, one pass": lambda: read(VideoReader(prepared), keyframes),
        "random access": lambda: read(VideoReader(video), few, rest=True),
        "prepared, random access": lambda: read(VideoReader(prepared), few, rest=True),
    }


def read(reader: FrameReader, keyframes: np.ndarray, rest: bool = False) -> int:
    with reader:
        for timestamp in keyframes:
            if rest:
                reader.release_buffers()
            CLIP.read_frames(reader, float(timestamp), SHORT_SIDE)
    return len(keyframes)


def read_naively(video: Path, keyframes: np.ndarray) -> int:
    """As scripts do: seek for every keyframe, decode its window, let the library make RGB of the
    size wanted.
    """
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        first = float((stream.start_time or 0) * stream.time_base)
        base = float(stream.time_base)
        scale = SHORT_SIDE / min(stream.width, stream.height)
        size = {"width": int(stream.width * scale), "height": int(stream.height * scale)}
        for timestamp in keyframes:
            wanted = timestamp + np.arange(-32, 32, 2) / 30 + first
            container.seek(int(wanted[0] / base), stream=stream)
            window: list[np.ndarray] = []
            for frame in container.decode(stream):
                if frame.time >= wanted[len(window)] - 1e-3:
                    window.append(frame.reformat(format="rgb24", **size).to_ndarray())
                    if len(window) == len(wanted):
                        break
            np.stack(window)
    return len(keyframes)


def read_windows(jpegs: Path, keyframes: np.ndarray) -> int:
    """As PySlowFast: every picture of a window is read from its file and resized."""
    for timestamp in keyframes.astype(int):
        numbers = range(30 * timestamp - 32, 30 * timestamp + 32, 2)
        paths = [jpegs / f"{jpegs.name}_{number + 1:06d}.jpg" for number in numbers]
        np.stack(
            [resize_short_side(np.asarray(cv2.imread(str(path))), SHORT_SIDE) for path in paths]
        )
    return len(keyframes)


def decode_all(video: Path) -> int:
    """The decoder alone: every frame, no conversion, one thread."""
    with av.open(str(video)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in container.decode(video=0))


def measure(ways: dict[str, Way], repeat: int) -> dict[str, float]:
    """CPU milliseconds a clip of each way, the median of `repeat` rounds."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeat):
        for name, way in ways.items():
            start = time.process_time()
            count = way()
            taken[name].append(1000 * (time.process_time() - start) / count)
    return {name: statistics.median(values) for name, values in taken.items()}


def measure_growth(video: Path, prepared: Path, seconds: int, clips: int) -> float:
    """By which share resident memory grows from the first tenth of `clips` to the last; half are in
    random order.
    """
    random = np.random.default_rng(1)
    whole = random.uniform(MARGIN, seconds - MARGIN, (clips + 1) // 2)
    passes = np.resize(np.arange(MARGIN, seconds - MARGIN, dtype=np.float64), clips // 2)
    held: list[int] = []
    with VideoReader(video) as sequential, VideoReader(prepared) as scattered:
        for moments in zip(passes, whole, strict=False):
            for reader, moment in zip((sequential, scattered), moments, strict=True):
                CLIP.read_frames(reader, float(moment), SHORT_SIDE)
            held.append(int(Path("/proc/self/statm").read_text().split()[1]))
    tenth = max(len(held) // 10, 1)
    return max(held[-tenth:]) / max(held[:tenth]) - 1


def compute_ratios(times: dict[str, float], sizes: dict[str, int], growth: float) -> list[Ratio]:
    def ratio(slower: str, faster: str) -> float:
        return times[slower] / times[faster]

    return [
        Ratio(
            "a seek for each keyframe / one pass",
            ratio("a seek for each keyframe", "one pass"),
            5,
            True,
        ),
        Ratio("JPEGs re-read / one pass", ratio("JPEGs, each window re-read", "one pass"), 1, True),
        Ratio(
            "JPEGs one pass / prepared one pass",
            ratio("JPEGs, one pass", "prepared, one pass"),
            1,
            True,
        ),
        Ratio(
            "random access / prepared random access",
            ratio("random access", "prepared, random access"),
            4,
            True,
        ),
        Ratio("size of the video / JPEGs", sizes["video"] / sizes["jpegs"], 1 / 6, False),
        Ratio(
            "size of the prepared form / JPEGs", sizes["prepared"] / sizes["jpegs"], 1 / 6, False
        ),
        Ratio("memory growth", growth, 0.05, False),
    ]


def report(
    times: dict[str, float], sizes: dict[str, int], seconds: int, ratios: Sequence[Ratio]
) -> None:
    print("\n".join(describe(times, sizes, seconds, ratios)))


def describe(
    times: dict[str, float], sizes: dict[str, int], seconds: int, ratios: Sequence[Ratio]
) -> Iterator[str]:
    yield "CPU milliseconds a clip, one thread"
    for name, value in times.items():
        yield f"  {name:<34}{value:8.1f}"
    yield f"megabytes for {seconds} s: " + ", ".join(
        f"{name} {size / 1e6:.1f}" for name, size in sizes.items()
    )
    for ratio in ratios:
        bound = "at least" if ratio.at_least else "at most"
        verdict = "" if ratio.reached else "   MISSED"
        yield f"  {ratio.name:<42}{ratio.value:7.2f}   ({bound} {ratio.goal:.3g}){verdict}"
