"""Overlays a video with who does what: boxes, actions and scores that follow the people.

    python tools/demo.py --video walk.mp4 --output overlay.mp4 --config configs/synthetic/slowfast.yaml \\
        --weights outputs/quickstart/checkpoints/last.pt [--csv detections.csv] [--sheet overlay.png]

--boxes is a detector's name or a box file, whose timestamps then are the keyframes. The CSV holds every score in AVA's
result format, at data.start_second plus the seconds in the file, so that it can be evaluated.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import torch
from ava_det.tools.demo_video import Looks, Moments, Outputs, process_video

from ava_det.annotations import load_boxes
from ava_det.build import (
    DETECTORS,
    build_detector,
    build_predictor,
    load_label_map_for,
    load_trained_model,
    names_detector,
    prepare_torch,
)
from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import ConfigError, load_config
from ava_det.data.video import VideoReader
from ava_det.detectors import PersonDetector
from ava_det.exported import RUNTIMES
from ava_det.person_boxes import PersonBoxes


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    config = load_config(args.config, args.overrides)
    with VideoReader(args.video):  # a file that is no video is said before minutes go into the weights
        pass
    device = prepare_torch(config)
    persons = load_persons(args.boxes, device, config.precision)
    model, carried = load_trained_model(config, args.weights, device, args.runtime)
    label_map = carried or load_label_map_for(config)
    predictor = build_predictor(config, model, persons, device)
    outputs = Outputs(args.output, args.csv, None, args.sheet)
    looks = Looks(label_map, dict.fromkeys(label_map, args.threshold), args.topk)
    moments = Moments(args.every, args.start, args.end, args.smooth)
    with stopped_by_interrupt() as stop:
        seen = process_video(predictor, args.video, config.data.start_second, moments, outputs, looks, stop)
    files = ", ".join(str(path) for path in outputs.paths())
    print(f"{seen.num_persons} persons on {seen.num_keyframes} keyframes; written: {files}")
    if stop.is_set():
        print(f"stopped at {seen.seconds:.1f} s of the video", file=sys.stderr)
        return 130
    return 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = ToolParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, required=True, help="the video to look at")
    parser.add_argument("--output", type=Path, required=True, help="the overlay, an .mp4 file (H.264)")
    parser.add_argument("--config", required=True, help="the experiment the weights were trained by")
    parser.add_argument("--weights", required=True, help="a checkpoint, or a name of the model zoo")
    parser.add_argument("--runtime", choices=("torch", *RUNTIMES), default="torch", help="of an exported --weights")
    parser.add_argument("--boxes", default="auto", help=f"{', '.join(DETECTORS)} or a box file (default: auto)")
    parser.add_argument("--csv", type=Path, help="also write every score, as an AVA result CSV")
    parser.add_argument("--sheet", type=Path, help="also write a contact sheet, a .png file")
    parser.add_argument("--every", type=positive, default=1.0, help="seconds between predictions (default: 1.0)")
    parser.add_argument("--start", type=moment, default=0.0, help="seconds of the file to begin at (0)")
    parser.add_argument("--end", type=moment, default=math.inf, help="seconds of the file to end at (its end)")
    parser.add_argument("--smooth", type=moment, default=0.0, help="average a person's scores over so many seconds (0)")
    parser.add_argument("--threshold", type=fraction, default=0.5, help="show actions of at least this score (0.5)")
    parser.add_argument("--topk", type=count, default=5, help="show at most so many actions a person (5)")
    parser.add_overrides()
    args = parser.parse_intermixed_args(argv)
    for option, path, suffix in (("--output", args.output, ".mp4"), ("--sheet", args.sheet, ".png")):
        if path is not None and path.suffix.lower() != suffix:
            parser.error(f"argument {option}: expected a file name that ends in {suffix}, received {str(path)!r}")
    targets = [path.resolve() for path in (args.video, args.output, args.csv, args.sheet) if path is not None]
    if len(set(targets)) < len(targets):
        parser.error("arguments --video, --output, --csv, --sheet: expected different files")
    for path in targets[1:]:
        if path.is_dir():
            parser.error(f"expected a file name to write, {path} is a folder")
    return args


def positive(text: str) -> float:
    value = float(text)
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"expected a positive number of seconds, received {text!r}")
    return value


def moment(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, 0 or more, received {text!r}")
    return value


def fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a fraction 0..1, received {text!r}")
    return value


def count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, received {text!r}")
    return value


def load_persons(source: str, device: torch.device, precision: str = "fp32") -> PersonDetector | PersonBoxes:
    """The detector of that name, or the boxes of that file."""
    if names_detector(source):
        return build_detector(source, device, precision)
    if Path(source).is_file():
        return load_boxes(source, min_score=0.0)
    raise ConfigError(f"--boxes: expected a box file or one of {', '.join(DETECTORS)}, received {source!r}")


@contextmanager
def stopped_by_interrupt() -> Iterator[Event]:
    """An event that the first Ctrl-C sets, so that files are closed properly; the second one is an interrupt again."""
    stop = Event()

    def on_interrupt(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, previous)

    previous = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)


if __name__ == "__main__":
    sys.exit(main())
