"""Measures clips read from video, against folders of JPEGs and against the bare decoder.

This is `python -m benchmarks decode`. Everything runs in this process on one thread; times are CPU
milliseconds a clip (32 frames of a window of 64 ticks, RGB, short side 256), medians of repeats in
which the ways take turns, so that ratios hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from ava_det.cli import Commands
from ava_det.data.clip_reader import ClipReader
from ava_det.files import write_json
from ava_det.video.file import VideoReader
from ava_det.video.folder import FrameFolder
from ava_det.video.pictures import resize_short_side
from ava_det.video.reader import FrameReader
from benchmarks.decode_inputs import prepare, write_jpegs, write_source

SHORT_SIDE = 256
CLIP = ClipReader(32, 2, 30.0, None, np.arange(32))
MARGIN = 2  # seconds at both ends without a keyframe, so that every window is whole


def add_decode(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks decode`."""
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
    """Describes one line of the report.

    Attributes:
        name: What was compared.
        value: The ratio.
        goal: The value it should reach.
        at_least: Whether the goal is a lower bound; it is an upper one otherwise.
    """

    name: str
    value: float
    goal: float
    at_least: bool

    @property
    def reached(self) -> bool:
        """Returns whether the ratio reaches its goal."""
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


Way = Callable[[], int]  # does its work and says how many clips that was


def list_ways(video: Path, jpegs: Path, prepared: Path, keyframes: np.ndarray) -> dict[str, Way]:
    """Lists what is timed, by name: functions that return the number of clips they read.

    Args:
        video: The video.
        jpegs: The folder of its JPEGs.
        prepared: Its prepared form.
        keyframes: Seconds. Some ways read all of them in order, the others a few of them.
    """
    few = np.random.default_rng(0).permutation(keyframes)[:16]
    return {
        "one pass: bare decode": lambda: decode_all(video) * 0 + len(keyframes),
        "one pass": lambda: read(VideoReader(video), keyframes),
        "a seek for each keyframe": lambda: read_naively(video, np.sort(few)),
        "JPEGs, each window re-read": lambda: read_windows(jpegs, keyframes),
        "JPEGs, one pass": lambda: read(FrameFolder(jpegs), keyframes),
        "prepared, one pass: bare decode": lambda: decode_all(prepared) * 0 + len(keyframes),
        "prepared, one pass": lambda: read(VideoReader(prepared), keyframes),
        "random access": lambda: read(VideoReader(video), few, release=True),
        "prepared, random access": lambda: read(VideoReader(prepared), few, release=True),
    }


def read(reader: FrameReader, keyframes: np.ndarray, release: bool = False) -> int:
    """Reads the clips of the keyframes and returns their number.

    Args:
        reader: The video or frame folder.
        keyframes: Seconds.
        release: Whether to release the reader's buffers before each keyframe.
    """
    with reader:
        for timestamp in keyframes:
            if release:
                reader.release_buffers()
            CLIP.read(reader, float(timestamp), SHORT_SIDE)
    return len(keyframes)


def read_naively(video: Path, keyframes: np.ndarray) -> int:
    """Reads clips as many scripts do: seeks to every keyframe and decodes its window.

    The library converts each frame to RGB of the wanted size.
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
    """Reads clips as PySlowFast does: every picture of a window from its file, resized."""
    for timestamp in keyframes.astype(int):
        numbers = range(30 * timestamp - 32, 30 * timestamp + 32, 2)
        paths = [jpegs / f"{jpegs.name}_{number + 1:06d}.jpg" for number in numbers]
        np.stack(
            [resize_short_side(np.asarray(cv2.imread(str(path))), SHORT_SIDE) for path in paths]
        )
    return len(keyframes)


def decode_all(video: Path) -> int:
    """Decodes every frame on one thread, without conversion; returns the number of frames."""
    with av.open(str(video)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in container.decode(video=0))


def measure(ways: dict[str, Way], repeat: int) -> dict[str, float]:
    """Returns the CPU milliseconds a clip of each way, the median of `repeat` rounds."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeat):
        for name, way in ways.items():
            start = time.process_time()
            count = way()
            taken[name].append(1000 * (time.process_time() - start) / count)
    return {name: statistics.median(values) for name, values in taken.items()}


def measure_growth(video: Path, prepared: Path, seconds: int, clips: int) -> float:
    """Measures how much resident memory grows from the first tenth of `clips` to the last.

    Half of the clips are read in order, half at random times.

    Returns:
        The growth as a share of the first tenth's peak.
    """
    random = np.random.default_rng(1)
    whole = random.uniform(MARGIN, seconds - MARGIN, (clips + 1) // 2)
    passes = np.resize(np.arange(MARGIN, seconds - MARGIN, dtype=np.float64), clips // 2)
    held: list[int] = []
    with VideoReader(video) as sequential, VideoReader(prepared) as scattered:
        for moments in zip(passes, whole, strict=False):
            for reader, moment in zip((sequential, scattered), moments, strict=True):
                CLIP.read(reader, float(moment), SHORT_SIDE)
            held.append(int(Path("/proc/self/statm").read_text().split()[1]))
    tenth = max(len(held) // 10, 1)
    return max(held[-tenth:]) / max(held[:tenth]) - 1


def compute_ratios(times: dict[str, float], sizes: dict[str, int], growth: float) -> list[Ratio]:
    """Compares the times and sizes, each ratio with the goal it should reach.

    Args:
        times: CPU milliseconds a clip of each way.
        sizes: Bytes of `video`, `jpegs` and `prepared`.
        growth: Of memory, as `measure_growth` returns it.
    """

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
    """Prints the report."""
    print("\n".join(describe(times, sizes, seconds, ratios)))


def describe(
    times: dict[str, float], sizes: dict[str, int], seconds: int, ratios: Sequence[Ratio]
) -> Iterator[str]:
    """Yields the lines of the report."""
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
