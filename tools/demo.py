"""Overlays a video with who does what: boxes, actions and scores that follow the people.

    python tools/demo.py --video walk.mp4 --output overlay.mp4 --config configs/synthetic/slowfast.yaml \\
        --weights outputs/quickstart/checkpoints/last.pt [--csv detections.csv] [--sheet overlay.png]

--boxes is a detector's name or a box file, whose timestamps then are the keyframes. The CSV holds every score in AVA's
result format, at data.start_second plus the seconds in the file, so that it can be evaluated.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from ava_det.annotations import load_boxes, write_detections
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
from ava_det.inference import Predictor
from ava_det.person_boxes import PersonBoxes
from ava_det.structures import Detections
from ava_det.tracking import Timeline
from ava_det.visualization import ContactSheet, Overlay, VideoWriter


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
    detections = overlay_video(args, predictor, label_map, config.data.start_second)
    if args.csv:
        write_detections(args.csv, detections, action_ids=list(label_map))
    print(describe(args, detections))
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


def overlay_video(
    args: argparse.Namespace, predictor: Predictor, label_map: dict[int, str], start_second: float
) -> list[Detections]:
    """Writes the overlay and the contact sheet, and returns the detections of the keyframes the video really has.

    Frames are decoded a second time for the drawing. Handing them over from the predictor would mean keeping the
    undrawn ones: eight seconds of 4K video, the keyframes of one batch, are 6 GB.
    """
    found: list[Detections] = []
    overlay = Overlay(label_map, args.threshold, args.topk)
    sheet = ContactSheet(label_map, args.threshold, args.topk)
    with VideoReader(args.video, start_second) as reader:
        writer = VideoWriter(args.output, reader.width, reader.height, reader.fps)
        total = None if reader.duration is None else round(reader.duration * reader.fps)
        with writer, tqdm(total=total, desc="overlay", unit="frame") as bar:
            timeline = Timeline(recorded(predictor(args.video, args.every), found))
            for seconds, frame in reader.frames():
                keyframe = timeline.latest
                shown = timeline.at(seconds)
                if timeline.latest is not None and timeline.latest is not keyframe:
                    sheet.add(frame, timeline.latest, seconds - start_second)
                writer.write(frame if shown is None else overlay.draw(frame, shown), seconds - start_second)
                bar.update()
    if args.sheet:
        sheet.save(args.sheet)
    # a damaged file may end before its header says: what was predicted beyond its last frame is of no frame
    return [detections for detections in found if detections.keyframe.timestamp <= seconds + 1 / reader.fps]


def recorded(detections: Iterator[Detections], found: list[Detections]) -> Iterator[Detections]:
    """Passes detections on and keeps them in `found`."""
    for detection in detections:
        found.append(detection)
        yield detection


def describe(args: argparse.Namespace, detections: Sequence[Detections]) -> str:
    """The line the demo ends with."""
    persons = sum(len(detection.boxes) for detection in detections)
    files = ", ".join(str(path) for path in (args.output, args.csv, args.sheet) if path)
    return f"{persons} persons on {len(detections)} keyframes; written: {files}"


if __name__ == "__main__":
    sys.exit(main())
