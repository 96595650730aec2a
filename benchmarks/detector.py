"""Measures how many frames a second the own person detector looks at.

This is `python -m benchmarks detector`. The network is Faster R-CNN R50-FPN with random weights,
which gives as many proposals as a trained one, and hardly any boxes. Frames are noise; resizing
them on the CPU is part of the time, and measured alone too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ava_det.cli import Commands
from ava_det.detectors.faster_rcnn import FasterRCNN
from ava_det.detectors.faster_rcnn.detector import FasterRCNNDetector
from ava_det.detectors.faster_rcnn.resize import LONG_SIDE, SHORT_SIDE, resize_frame
from ava_det.device.precision import resolve_precision
from ava_det.device.select import select_device
from ava_det.files import write_json
from benchmarks.machine import describe_machine, measure_in_turns

RESIZE = "resize alone"


def add_detector(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks detector`."""
    parser = commands.add_parser("detector", help="frames a second of the own person detector")
    parser.add_argument("--device", default="auto", help="as in a config (default: %(default)s)")
    parser.add_argument(
        "--height", type=int, default=1080, help="of the frames, 16:9 (default: %(default)s)"
    )
    parser.add_argument(
        "--short-side",
        type=int,
        default=SHORT_SIDE,
        help="of the frames as the network sees them (default: %(default)s)",
    )
    parser.add_argument(
        "--batch", type=int, nargs="+", default=[1, 8], help="frames at a time (default: 1 8)"
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=3,
        help="take medians of so many rounds (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too")
    parser.set_defaults(run=benchmark_detector)


def benchmark_detector(args: argparse.Namespace) -> int:
    """Prints frames a second in fp32 and in what `precision: auto` is here, the ways in turns."""
    device = select_device(args.device)
    torch.manual_seed(0)
    model = FasterRCNN()
    size = args.height, round(args.height * 16 / 9), 3
    frames = list(np.random.default_rng(0).integers(0, 256, (max(args.batch), *size), np.uint8))
    long_side = round(args.short_side * LONG_SIDE / SHORT_SIDE)
    ways: dict[str, Callable[[], object]] = {
        RESIZE: lambda: [resize_frame(frame, args.short_side, long_side) for frame in frames]
    }
    counts = {RESIZE: len(frames)}
    for precision in dict.fromkeys(("fp32", resolve_precision("auto", device))):
        detector = FasterRCNNDetector(
            model, device, args.short_side, long_side, precision=precision
        )
        for batch in args.batch:
            name = f"{precision}, {batch} at a time"
            ways[name] = partial(detector, frames[:batch])
            counts[name] = batch
    times = measure_in_turns(ways, args.repeat, device)
    rates = {name: counts[name] * 1e3 / time.wall for name, time in times.items()}
    for name, rate in rates.items():
        print(f"{name:24}{rate:10.1f} frames/s")
    if args.json:
        options = {"height": args.height, "short_side": args.short_side}
        report = {"machine": describe_machine(device), "options": options}
        write_json(args.json, {**report, "frames_per_second": rates})
    return 0
