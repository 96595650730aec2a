"""`benchmark.py demo`: how fast the demo is, what share each stage has, and what one pass saves against seeking.

Shares are CPU seconds of the stages, one after the other. The whole is the demo as it runs, its three threads side by
side.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from ava_det.tools.benchmark_machine import write_json
from ava_det.tools.demo_video import Looks, Moments, Outputs, process_video

from ava_det.build import Predictor
from ava_det.data.video import VideoReader
from ava_det.inference import NUM_SAMPLES
from ava_det.person_boxes import keyframe_grid
from ava_det.streaming import KeyframeInput, read_all, read_keyframes
from ava_det.visualization import Overlay, VideoWriter


def add_demo(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("demo", help="the demo: frames a second, times real time, the share of each stage")
    parser.add_argument("--video", type=Path, help="a video to look at (default: a made one, 640x360, 30 fps, 20 s)")
    parser.add_argument("--weights", required=True, help="a checkpoint, or a name of the model zoo")
    parser.add_argument("--config", help="as for the demo")
    parser.add_argument("--detector", default="motion", help="as for the demo (default: %(default)s)")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between predictions (1.0)")
    parser.add_argument("--repeat", type=int, default=3, help="take medians of so many runs (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="config values, such as device=cpu")
    parser.set_defaults(run=benchmark_demo)


def benchmark_demo(args: argparse.Namespace) -> int:
    """Prints medians of interleaved runs."""
    predictor = Predictor.from_pretrained(
        args.weights, args.detector, config=args.config, overrides=["data.min_person_score=0.1", *args.overrides]
    )
    with tempfile.TemporaryDirectory() as folder:
        video = args.video or make_video(Path(folder) / "made.mp4")
        runs = [measure(predictor, video, args.every, Path(folder)) for _ in range(args.repeat)]
    medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    frames, seconds = medians.pop("frames"), medians.pop("seconds")
    whole, one_pass, seeking = (medians.pop(key) for key in ("whole", "one pass", "seeking"))
    print(f"{frames / whole:.1f} frames/s, {seconds / whole:.2f} x real time ({frames:.0f} frames, {seconds:.1f} s)")
    total = sum(medians.values())
    for stage, took in medians.items():
        print(f"  {stage:22}{1000 * took / frames:8.2f} ms a frame {100 * took / total:5.1f} %")
    if args.json:
        figures = {"frames": frames, "seconds": seconds, "wall_seconds": whole, "cpu_seconds": medians}
        write_json(args.json, {**figures, "clips_by_seeking_to_one_pass": seeking / one_pass})
    print(f"clips of all keyframes: {seeking / one_pass:.1f} times the CPU time by seeking to each as in one pass")
    return 0


def measure(predictor: Predictor, video: Path, every: float, folder: Path) -> dict[str, float]:
    """CPU seconds of each stage, of reading clips both ways, and wall seconds of the whole."""
    times: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = work()
        times[stage] = time.process_time() - began
        return result

    clips, side = predictor._clip_reader, predictor._view.short_side
    with VideoReader(video, predictor.start_second) as reader:
        first, end = reader.start_second, reader.find_end()
        moments = list(keyframe_grid(first, end, every))
        times["seconds"] = end - first
        items = timed("decode, clips", lambda: list(read_all(reader, moments, clips, side, True, first, end)))
        keyframes = [item for item in items if isinstance(item, KeyframeInput)]
        size = reader.width, reader.height
        timed("scene", lambda: predictor._persons.begin_video(reader.sample(NUM_SAMPLES)))  # type: ignore[union-attr]
        timed("detector", lambda: predictor._find_persons(keyframes, size, "made"))
        found = timed("detector, network", lambda: predictor._predict(keyframes, reader, "made"))
        times["network"] = max(times.pop("detector, network") - times["detector"], 0.0)
        times["frames"] = len(items) - len(keyframes)
        times["drawing"] = times["encoding"] = 0.0
        pictures = [item for item in items if not isinstance(item, KeyframeInput)]
        overlay = Overlay(predictor.label_map, predictor.thresholds, 5)
        with VideoWriter(folder / "encoded.mp4", *size, reader.fps) as writer:
            for index, picture in enumerate(pictures):
                began = time.process_time()
                drawn = overlay.draw(picture.rgb(None), found[index * len(found) // len(pictures)])
                times["drawing"] += (middle := time.process_time()) - began
                writer.write(drawn, index / reader.fps)
                times["encoding"] += time.process_time() - middle
    with VideoReader(video, predictor.start_second) as reader:
        timed("one pass", lambda: [None for _ in read_keyframes(reader, moments, clips, side, True)])
    with VideoReader(video, predictor.start_second) as reader:

        def seek() -> None:
            for moment in moments:
                reader.rest()
                list(read_keyframes(reader, [moment], clips, side, True))

        timed("seeking", seek)
    began = time.perf_counter()
    outputs = Outputs(folder / "whole.mp4", folder / "whole.csv", None, None)
    looks = Looks(predictor.label_map, predictor.thresholds, 5)
    process_video(predictor, video, Moments(every, 0.0, np.inf, 0.0), outputs, looks, Event(), quiet=True)
    times["whole"] = time.perf_counter() - began
    return times


def make_video(path: Path) -> Path:
    """640x360, 30 fps, 20 s: a textured background, two figures that walk, one group of pictures in ten seconds."""
    noise = np.random.default_rng(0)
    background = np.clip(noise.normal(120, 25, (45, 80, 3)).repeat(8, 0).repeat(8, 1), 0, 255).astype(np.uint8)
    with VideoWriter(path, 640, 360, 30) as writer:
        for index in range(600):
            picture = background.copy()
            for row, (speed, shade) in enumerate(((1.0, 30), (-0.7, 220))):
                x = round(280 + 250 * np.sin(index * speed / 90)) + 20 * row
                picture[120:320, x : x + 70] = shade
            writer.write(picture, index / 30)
    return path
