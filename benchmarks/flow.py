"""Measures what optical flow costs a keyframe, beside decoding and the network.

This is `python -m benchmarks flow`. Everything runs in this process on one thread; times are CPU
milliseconds a keyframe of one pass over a video.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from ava_det.choices import FLOW_ALGORITHMS
from ava_det.cli import Commands
from ava_det.config import Config, ConfigError, load_config
from ava_det.data.build import build_clip_reader
from ava_det.data.clip_reader import ClipReader
from ava_det.files import write_json
from ava_det.models.build import build_model
from ava_det.video.file import VideoReader
from benchmarks.decode_inputs import write_source

CONFIG = "configs/ava/slowfast_plus_flow.yaml"
BOX = [0.0, 40.0, 40.0, 160.0, 200.0]


def add_flow(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks flow`."""
    parser = commands.add_parser("flow", help="optical flow a keyframe, beside the rest")
    parser.add_argument("--config", default=CONFIG, help="a network of flow (default: %(default)s)")
    parser.add_argument(
        "--video", type=Path, help="a video of at least 10 s (default: one is generated)"
    )
    parser.add_argument(
        "--every", type=float, default=1.0, help="seconds between keyframes (default: %(default)s)"
    )
    parser.add_argument(
        "--algorithm", choices=FLOW_ALGORITHMS, default="dis", help="(default: %(default)s)"
    )
    parser.add_argument("--repeat", type=int, default=3, help="rounds (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too")
    parser.add_argument("overrides", nargs="*", help="key=value of the config")
    parser.set_defaults(run=benchmark_flow)


def benchmark_flow(args: argparse.Namespace) -> int:
    """Prints times and the ratio; writes them as JSON where asked to."""
    config = load_config(args.config, [*args.overrides, f"data.flow_algorithm={args.algorithm}"])
    clips = build_clip_reader(config)
    if clips.flow is None:
        raise ConfigError(f"--config: expected a network of optical flow, received {args.config}")
    with tempfile.TemporaryDirectory() as temporary:
        video = args.video or Path(temporary) / "video.mp4"
        if args.video is None:
            write_source(video, 12)
        figures = measure(config, clips, video, args.every, args.repeat)
    figures["network"] = measure_network(config)
    figures["ratio"] = figures["flow alone"] / figures["flow shared"]
    begins = len(np.unique(clips.flow.ticks))
    print(
        f"{begins} pairs a clip, a keyframe every {args.every:g} s, {args.algorithm}; CPU ms each"
    )
    for name in ("decoding", "flow shared", "flow alone", "network"):
        print(f"  {name:12} {figures[name]:9.1f}")
    print(f"each clip alone / shared by overlapping clips: {figures['ratio']:.2f}")
    if args.json:
        write_json(args.json, figures)
    return 0


def measure(
    config: Config, clips: ClipReader, video: Path, every: float, repeat: int
) -> dict[str, float]:
    """Times decoding with RGB, and what flow adds to it; ways take turns.

    Returns:
        CPU milliseconds a keyframe.
    """
    side = config.data.test_short_side
    with VideoReader(video) as reader:
        moments = np.arange(clips.seconds / 2, reader.find_end() - clips.seconds / 2, every)
    if len(moments) < 4:
        raise ValueError(f"{video}: expected a video of at least four clips")

    def decode(reader: VideoReader, moment: float) -> None:
        pictures = reader.pictures_nearest(moment + clips.picture_ticks / clips.clip_fps)
        for picture in pictures:
            picture.rgb(side)

    def share(reader: VideoReader, moment: float) -> None:
        clips.read(reader, moment, side)

    def forget(reader: VideoReader, moment: float) -> None:
        for picture in reader.pictures_nearest(moment + clips.picture_ticks / clips.clip_fps):
            picture.derived.clear()
        clips.read(reader, moment, side)

    ways = decode, share, forget
    rounds = [[time_pass(way, video, moments) for way in ways] for _ in range(repeat)]
    decoding, shared, alone = (statistics.median(times) for times in zip(*rounds, strict=True))
    return {"decoding": decoding, "flow shared": shared - decoding, "flow alone": alone - decoding}


def time_pass(
    way: Callable[[VideoReader, float], None], video: Path, moments: Sequence[float] | np.ndarray
) -> float:
    """Returns the CPU milliseconds a keyframe of one pass, without the first keyframes.

    Those begin the pass and have nothing to share.
    """
    first = next(k for k, moment in enumerate(moments) if moment >= moments[0] + 2)
    with VideoReader(video) as reader:
        for moment in moments[:first]:
            way(reader, float(moment))
        began = time.process_time()
        for moment in moments[first:]:
            way(reader, float(moment))
        return 1000 * (time.process_time() - began) / (len(moments) - first)


def measure_network(config: Config) -> float:
    """Returns the CPU milliseconds of the network for one clip of 4:3 with one box."""
    model = build_model(config).eval()
    height = config.data.test_short_side
    inputs = {
        name: torch.rand(1, channels, frames, height, height * 4 // 3)
        for name, (channels, frames) in config.model.clip_shapes().items()
    }
    times = []
    with torch.inference_mode():
        for _ in range(2):
            began = time.process_time()
            model(**inputs, rois=torch.tensor([BOX]))
            times.append(1000 * (time.process_time() - began))
    return times[-1]
