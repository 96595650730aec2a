"""Measures how fast the demo is, the share of each stage, and what one pass saves against seeking.

This is `python -m benchmarks demo`. Shares are CPU seconds of the demo's own stages, run one after
the other in one thread. The whole is the demo as it runs, stages side by side, by the clock. The
floor is the decoder and the encoder alone: the same frames, without a network and without drawing.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, TypeVar
from unittest.mock import patch

import av
import cv2
import numpy as np
import torch

from ava_det.checkpoint import save_checkpoint
from ava_det.choices import HARDWARE_DECODERS
from ava_det.cli import Commands, interval
from ava_det.config import ConfigError, config_to_dict, find_shipped, load_config
from ava_det.demo.options import DisplayOptions, Outputs, SamplingOptions
from ava_det.demo.video import in_groups, paint, process_video
from ava_det.detectors import PersonDetector
from ava_det.detectors.keyframe_boxes import keyframe_grid
from ava_det.files import write_json
from ava_det.formats.label_map import load_label_map
from ava_det.inference import video_run as inference
from ava_det.inference.predictor import Predictor
from ava_det.inference.streaming import read_keyframes
from ava_det.video.file import VideoReader
from ava_det.video.writer import VideoWriter
from ava_det.visualization import Overlay
from benchmarks.machine import describe_machine
from benchmarks.network import build_random_model

Result = TypeVar("Result")
KINDS = ("CPU", "clock")
LOOKING = ("scene", "detector", "network")  # the stages that are the detector's and the model's own


def add_demo(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks demo`."""
    parser = commands.add_parser(
        "demo", help="the demo: frames a second, times real time, the share of each stage"
    )
    parser.add_argument(
        "--video", type=Path, help="a video to look at (default: a made one, 30 fps, 20 s)"
    )
    parser.add_argument(
        "--weights",
        help="a checkpoint, or a name of the model zoo (default: random ones of --config)",
    )
    parser.add_argument(
        "--height", type=int, default=360, help="of the made video, 16:9 (default: %(default)s)"
    )
    parser.add_argument(
        "--whole", action="store_true", help="only the demo as it runs, without its stages"
    )
    parser.add_argument("--config", help="as for the demo")
    parser.add_argument(
        "--hwaccel", choices=HARDWARE_DECODERS, help="as for the demo, but not for its stages"
    )
    parser.add_argument(
        "--detector", default="motion", help="as for the demo (default: %(default)s)"
    )
    parser.add_argument(
        "--every", type=interval, default=1.0, help="seconds between predictions (1.0)"
    )
    parser.add_argument(
        "--repeat", type=int, default=3, help="take medians of so many runs (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="config values, such as device=cpu"
    )
    parser.set_defaults(run=benchmark_demo)


def benchmark_demo(args: argparse.Namespace) -> int:
    """Prints medians of several runs.

    Raises:
        ConfigError: There are neither weights nor a config.
    """
    if args.weights is None and args.config is None:
        raise ConfigError("benchmark demo: expected --weights, or --config for random ones")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = args.weights or save_random_weights(args.config, folder / "random.pt")
        predictor = Predictor.from_pretrained(
            weights,
            args.detector,
            config=args.config,
            overrides=["data.min_person_score=0.1", *args.overrides],
        )
        video = args.video or make_video(folder / "made.mp4", height=args.height)
        sampling = SamplingOptions(args.every, 0.0, np.inf, 0.0, hwaccel=args.hwaccel)
        work = measure_whole if args.whole else measure
        runs = [work(predictor, video, sampling, folder) for _ in range(args.repeat)]
    medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    report_speed(medians)
    if not args.whole:
        report(medians)
    if args.json:
        options = {key: str(value) for key, value in vars(args).items() if key != "run"}
        machine = describe_machine(torch.device("cpu"))
        write_json(
            args.json, {"machine": machine, "options": options, "medians": medians, "runs": runs}
        )
    return 0


def save_random_weights(config: str, path: Path) -> Path:
    """Saves a checkpoint of the config's network, untrained, with AVA's action names."""
    settings = load_config(config)
    label_map = load_label_map(find_shipped("configs/ava/actions.pbtxt"))
    state = build_random_model(settings).state_dict()
    save_checkpoint(
        path, {"model": state, "config": config_to_dict(settings), "label_map": label_map}
    )
    return path


def measure(
    predictor: Predictor, video: Path, sampling: SamplingOptions, folder: Path
) -> dict[str, float]:
    """Measures the seconds of everything that `report` prints."""
    seconds = measure_stages(predictor, video, sampling.every, folder) | measure_reading(
        predictor, video, sampling.every
    )
    seconds["bare decoder"], seconds["bare decoder and encoder"] = measure_floor(video, folder)
    clock, cpu = run_demo(predictor, video, sampling, Outputs(None, None, folder / "a.jsonl", None))
    seconds |= {"JSON only, clock": clock, "JSON only, CPU": cpu}
    return seconds | measure_whole(predictor, video, sampling, folder)


def measure_whole(
    predictor: Predictor, video: Path, sampling: SamplingOptions, folder: Path
) -> dict[str, float]:
    """Measures the demo as it runs, stages side by side: frames, seconds of video, clock, CPU."""
    outputs = Outputs(folder / "whole.mp4", None, folder / "whole.jsonl", None)
    clock, cpu = run_demo(predictor, video, sampling, outputs)
    took = {"whole, clock": clock, "whole, CPU": cpu}
    with VideoReader(video) as reader:
        seconds = reader.find_end() - reader.start_second
        return {"frames": round(seconds * reader.fps), "seconds": seconds, **took}


def run_demo(
    predictor: Predictor, video: Path, sampling: SamplingOptions, outputs: Outputs
) -> tuple[float, float]:
    """Runs the demo, and returns its seconds by the clock and of all processors."""
    display = DisplayOptions(predictor.label_map, predictor.thresholds, 5)
    began = time.perf_counter()
    cpu = time.process_time()
    process_video(predictor, video, sampling, outputs, display, Event(), quiet=True)
    return time.perf_counter() - began, time.process_time() - cpu


class Stopwatch:
    """Adds up CPU seconds of one thread, by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def run(self, stage: str, work: Callable[[], Result]) -> Result:
        """Calls `work` and adds its time to the stage."""
        began = time.thread_time()
        result = work()
        self.seconds[stage] += time.thread_time() - began
        return result

    def iterate(self, stage: str, items: Iterable[Result]) -> Iterator[Result]:
        """Yields the items of an iterable and adds the time of each to the stage."""
        iterator = iter(items)
        nothing = object()
        while (item := self.run(stage, lambda: next(iterator, nothing))) is not nothing:
            yield item  # type: ignore[misc]


class TimedDetector:
    """Times a person detector: learning the scene (with the frames read for it) and its calls."""

    def __init__(self, detector: PersonDetector, watch: Stopwatch) -> None:
        self.name = detector.name
        self._detector = detector
        self._watch = watch

    def begin_video(self, samples: Sequence[np.ndarray]) -> None:
        """Learns the scene, timed as `scene`."""
        self._watch.run("scene", lambda: self._detector.begin_video(samples))

    def __call__(self, frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Finds the persons on some frames, timed as `detector`."""
        return self._watch.run("detector", lambda: self._detector(frames))


def measure_stages(
    predictor: Predictor, video: Path, every: float, folder: Path
) -> dict[str, float]:
    """Measures CPU seconds of each stage of the demo, run one after the other in one thread.

    Only the encoder has threads of its own, which are counted for it.
    """
    watch = Stopwatch()
    detector = predictor._persons
    model = predictor._scorer.model
    assert isinstance(detector, PersonDetector)
    threads = torch.get_num_threads()

    def read(items: Iterable[Any], depth: int, stop: Event | None = None) -> Iterator[Any]:
        return watch.iterate("decoding, clips", items)

    with (
        patch.object(inference, "prefetch", read),
        patch.object(predictor, "_persons", TimedDetector(detector, watch)),
        patch.object(
            predictor._scorer, "model", lambda **clips: watch.run("network", lambda: model(**clips))
        ),
        VideoReader(video, predictor.start_second) as reader,
    ):
        torch.set_num_threads(1)
        began = time.process_time()
        thread_began = time.thread_time()
        overlay = Overlay(predictor.label_map, predictor.thresholds, 5)
        size = reader.width, reader.height
        with VideoWriter(folder / "drawn.mp4", *size, reader.fps, matrix=reader.matrix) as writer:
            for group in in_groups(predictor.watch(reader, every), reader):
                drawn = [watch.run("drawing", partial(paint, f, overlay, reader)) for f in group]
                for frame, planes in zip(group, drawn, strict=True):
                    moment = frame.seconds - reader.start_second
                    watch.run("encoding", partial(writer.write_planes, planes, moment))
            closing = time.thread_time()
        watch.seconds["encoding"] += time.thread_time() - closing
        thread_seconds = time.thread_time() - thread_began
        watch.seconds["batches, tracking"] = thread_seconds - sum(watch.seconds.values())
        watch.seconds["encoding"] += (
            time.process_time() - began - thread_seconds
        )  # in threads of its own
        torch.set_num_threads(threads)
        return watch.seconds


def measure_floor(video: Path, folder: Path) -> tuple[float, float]:
    """Measures CPU seconds of the decoder alone, and of decoder and encoder together."""
    began = time.process_time()
    with av.open(str(video)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for _ in container.decode(video=0):
            pass
    decoded = time.process_time() - began
    began = time.process_time()
    with VideoReader(video) as reader, av.open(str(video)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        with VideoWriter(
            folder / "bare.mp4", reader.width, reader.height, reader.fps, matrix=reader.matrix
        ) as writer:
            for index, frame in enumerate(container.decode(video=0)):
                writer.write_planes(frame.to_ndarray(format="yuv420p"), index / reader.fps)
    return decoded, time.process_time() - began


def measure_reading(predictor: Predictor, video: Path, every: float) -> dict[str, float]:
    """Measures CPU seconds of reading the clips of all keyframes, in one pass and by seeking."""
    clips = predictor._scorer.clip_reader
    side = predictor._scorer.short_side
    times = {}
    for way in ("one pass", "seeking"):
        with VideoReader(video, predictor.start_second) as reader:
            sampling = list(keyframe_grid(reader.start_second, reader.find_end(), every))
            began = time.process_time()
            for part in [sampling] if way == "one pass" else [[moment] for moment in sampling]:
                reader.release_buffers()
                for _ in read_keyframes(reader, part, clips, side, True):
                    pass
            times[way] = time.process_time() - began
    return times


def report_speed(medians: Mapping[str, float]) -> None:
    """Prints how fast the demo is as it runs."""
    frames, seconds, clock = (medians[key] for key in ("frames", "seconds", "whole, clock"))
    print(
        f"{frames / clock:.1f} frames/s, {seconds / clock:.2f} x real time ({frames:.0f} "
        f"frames, {seconds:.1f} s)"
    )


def report(medians: Mapping[str, float]) -> None:
    """Prints the figures of `measure`."""
    frames = medians["frames"]
    stages = ("decoding, clips", *LOOKING, "batches, tracking", "drawing", "encoding")
    total = sum(medians[stage] for stage in stages)
    print("CPU time")
    for stage in stages:
        print(
            f"  {stage:26}{1000 * medians[stage] / frames:8.2f} ms a frame "
            f"{100 * medians[stage] / total:5.1f} %"
        )
    looking = sum(medians[stage] for stage in LOOKING)
    floor = medians["bare decoder and encoder"]
    for name, took in (
        ("outside detector and network", total - looking),
        ("the same and the detector", total - medians["network"]),
        ("floor: decoder, encoder alone", floor),
        ("the demo, all threads", medians["whole, CPU"]),
        ("JSON only, all threads", medians["JSON only, CPU"]),
    ):
        print(f"{name:30}{1000 * took / frames:6.2f} ms a frame, {took / floor:.2f} of the floor")
    cpu, clock = (medians[f"whole, {kind}"] / medians[f"JSON only, {kind}"] for kind in KINDS)
    print(f"JSON only: {cpu:.2f} times as fast by CPU time, {clock:.2f} by the clock")
    ratio = medians["seeking"] / medians["one pass"]
    print(
        f"clips of all keyframes: {ratio:.1f} times the CPU time by seeking to each as in one pass"
    )


def make_video(path: Path, seconds: int = 20, height: int = 360) -> Path:
    """Writes a video of a textured background and two figures that walk.

    It is drawn at 640 x 360 pixels and enlarged to `height`, and has 30 frames a second and a
    keyframe every ten seconds.
    """
    size = round(height * 16 / 9), height
    noise = np.random.default_rng(0)
    background = np.clip(
        noise.normal(120, 25, (45, 80, 3)).repeat(8, 0).repeat(8, 1), 0, 255
    ).astype(np.uint8)
    with VideoWriter(path, *size, 30) as writer:
        for index in range(30 * seconds):
            picture = background.copy()
            for row, (speed, shade) in enumerate(((1.0, 30), (-0.7, 220))):
                x = round(280 + 250 * np.sin(index * speed / 90)) + 20 * row
                picture[120:320, x : x + 70] = shade
            writer.write(cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST), index / 30)
    return path
