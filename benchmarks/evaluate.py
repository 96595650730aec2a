"""Measures the evaluator, from CSV to mAP, against reading the CSV with pandas."""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ava_det.cli import Commands
from ava_det.device.select import select_device
from ava_det.files import write_json
from ava_det.formats.ava_csv import write_rows
from benchmarks.child import run_measurement

# CPU seconds of ActivityNet's own code per million result rows, measured beside this evaluator on 2
# Xeon cores.
OFFICIAL_SECONDS_PER_MILLION = 137 / 6.08
# what one measurement of the evaluator gives
FIGURES = (
    *("mAP", "rows", "cpu_seconds", "clock_seconds"),
    *("cpu_seconds_in_memory", "clock_seconds_in_memory", "peak_mb", "device_mb"),
)


def add_evaluate(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks evaluate`."""
    parser = commands.add_parser(
        "evaluate", help="the evaluator: CSV to mAP, against reading the CSV with pandas"
    )
    parser.add_argument(
        "--videos", type=int, default=16, help="size of the generated files; 64 is AVA-val scale"
    )
    parser.add_argument(
        "--annotations", metavar="CSV", help="with --detections and --label-map: existing files"
    )
    parser.add_argument("--detections", metavar="CSV")
    parser.add_argument("--label-map", metavar="PBTXT")
    parser.add_argument(
        "--device", default="cpu", help="measure the evaluator on this one too (default: cpu alone)"
    )
    parser.add_argument(
        "--repeat", type=int, default=3, help="take medians of so many runs (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too")
    parser.set_defaults(run=benchmark_evaluate)


def benchmark_evaluate(args: argparse.Namespace) -> int:
    """Prints CPU times, memory and ratios of one evaluation under activitynet-2020.

    Each measurement runs in a process of its own.

    Raises:
        ValueError: Only some of the files are given, or the device cannot be used.
    """
    device = select_device(args.device).type
    files = [args.annotations, args.detections, args.label_map]
    if any(files) != all(files):
        raise ValueError(
            "benchmark evaluate: expected --annotations, --detections and --label-map together"
        )
    has_pandas = find_spec("pandas") is not None
    with tempfile.TemporaryDirectory() as folder:
        if not all(files):
            print(f"writing a result file of {args.videos} videos")
            write_large_case(Path(folder), args.videos)
            files = [f"{folder}/gt.csv", f"{folder}/det.csv", f"{folder}/labelmap.pbtxt"]
        ways = [("evaluator", *files, "cpu")]
        ways += [("pandas", *files)] if has_pandas else []
        ways += [("evaluator", *files, device)] if device != "cpu" else []
        rounds = [[_measure(*way) for way in ways] for _ in range(args.repeat)]
    # way by way, the medians of its figures
    columns = [
        list(map(statistics.median, zip(*way, strict=True))) for way in zip(*rounds, strict=True)
    ]
    figures: dict[str, Any] = dict(zip(FIGURES, columns[0], strict=True))
    figures["ratio_to_pandas"] = figures["cpu_seconds"] / columns[1][0] if has_pandas else None
    report_cpu(figures)
    if device != "cpu":
        figures[device] = dict(zip(FIGURES, columns[-1], strict=True))
        report_device(device, figures, figures[device])
    if args.json:
        write_json(args.json, figures)
    return 0


def report_cpu(figures: Mapping[str, Any]) -> None:
    """Prints the evaluator's figures on the CPU."""
    million = figures["rows"] / 1e6
    seconds = figures["cpu_seconds"]
    ratio = figures["ratio_to_pandas"]
    official = OFFICIAL_SECONDS_PER_MILLION * million
    print(f"mAP {figures['mAP']:.5f}, {int(figures['rows']):,} result rows; CPU seconds")
    if ratio is None:
        print("  pandas is not installed: nothing is compared with its reading of the file")
    else:
        print(f"  pandas.read_csv of the result file {seconds / ratio:8.2f}")
    beside = "" if ratio is None else f"   {ratio:.2f} x pandas"
    print(f"  CSV to mAP                         {seconds:8.2f}{beside}")
    print(
        f"  the official code, as once measured{official:8.2f}   {official / seconds:.0f} x "
        "CSV to mAP"
    )
    in_memory = figures["cpu_seconds_in_memory"]
    print(
        f"  arrays in memory to mAP            {in_memory:8.2f}   {in_memory / million:.2f} per "
        "million rows"
    )
    print(f"peak memory, torch included          {figures['peak_mb'] / 1024:8.2f} GB")


def report_device(device: str, cpu: Mapping[str, Any], there: Mapping[str, float]) -> None:
    """Prints the figures of another device beside those of the CPU, by the clock."""
    print(f"by the clock, CPU and {device}")
    for name, key in (
        ("CSV to mAP", "clock_seconds"),
        ("arrays in memory to mAP", "clock_seconds_in_memory"),
    ):
        print(
            f"  {name:35}{cpu[key]:8.2f}{there[key]:8.2f}   {cpu[key] / there[key]:.1f} x as fast"
        )
    difference = abs(there["mAP"] - cpu["mAP"])
    print(f"mAP differs by {difference:.1g}; peak on the device {there['device_mb']:.0f} MB")


def _measure(what: str, *arguments: str) -> list[float]:
    return [float(word) for word in run_measurement(what, *arguments).split()]


def measure_pandas(annotations: str, detections: str, label_map: str) -> None:
    """Prints the CPU seconds of pandas.read_csv; runs in a child process."""
    import pandas as pd

    print(_measure_seconds(lambda: pd.read_csv(detections, header=None))[0])


def measure_evaluator(annotations: str, detections: str, label_map: str, device: str) -> None:
    """Prints FIGURES; runs in a child process.

    From CSV is the process' first evaluation, and pays for the start of a GPU; in memory is its
    second.
    """
    import torch

    from ava_det.evaluation import evaluate_csv, evaluate_rows
    from ava_det.formats.annotations import load_annotations, load_detections
    from ava_det.formats.label_map import load_label_map

    torch.set_num_threads(1)
    results: list[float] = []
    whole = _measure_seconds(
        lambda: results.append(
            evaluate_csv(annotations, detections, label_map, device=device)["mAP"]
        )
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    truth = load_annotations(annotations)
    rows = load_detections(detections)
    names = load_label_map(label_map)
    in_memory = _measure_seconds(lambda: evaluate_rows(truth, rows, names, device=device))
    on_device = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else 0.0
    print(results[0], len(rows), *whole, *in_memory, peak, on_device)


def _measure_seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Returns the seconds of `work`, whose result is on the CPU: of the processor, by the clock."""
    clock = time.perf_counter()
    processor = time.process_time()
    work()
    return time.process_time() - processor, time.perf_counter() - clock


def write_large_case(
    folder: Path, videos: int, frames: int = 897, classes: int = 60, seed: int = 0
) -> None:
    """Writes gt.csv, det.csv and labelmap.pbtxt of AVA's proportions: 95,000 result rows a video.

    1.6 persons a keyframe with 2.6 actions each, in a long tail of classes; a detector that misses
    some, invents some and is a few percent off; a score for every class, better than chance, with
    all digits.
    """
    random = np.random.default_rng(seed)
    keyframe = np.repeat(np.arange(videos * frames), random.poisson(1.6, videos * frames))
    persons = len(keyframe)
    frequency = random.permutation(1.0 / np.arange(1, classes + 1) ** 1.6)
    does = random.random((persons, classes)) < np.minimum(2.6 * frequency / frequency.sum(), 0.9)
    center = random.uniform(0.2, 0.8, (persons, 2))
    size = random.uniform(0.1, 0.5, (persons, 2))
    boxes = np.concatenate([center - size / 2, center + size / 2], 1)
    person, action = np.nonzero(does)
    _write_rows(
        folder / "gt.csv", keyframe[person], boxes[person].round(3), action, person % 10, frames
    )
    detected_rows = np.flatnonzero(random.random(persons) > 0.07)
    invented = random.integers(0, persons, persons // 5)
    source = np.concatenate([detected_rows, invented])
    shift = np.where(np.arange(len(source)) < len(detected_rows), 0.04, 0.5)[:, None]
    found_boxes = boxes[source] + random.normal(0, shift, (len(source), 4)) * np.tile(
        size[source], 2
    )
    lower = np.minimum(found_boxes[:, :2], found_boxes[:, 2:])
    upper = np.maximum(found_boxes[:, :2], found_boxes[:, 2:])
    found_boxes = np.concatenate([lower, upper + 0.002], 1).round(3)
    order = np.argsort(keyframe[source], kind="stable")
    evidence = (
        2.0 * (does[source] & (shift == 0.04))
        + np.log(frequency)
        + random.normal(0, 1.5, (len(source), classes))
    )
    scores = (1 / (1 + np.exp(-evidence)))[order].reshape(-1)
    rows = np.repeat(order, classes)
    _write_rows(
        folder / "det.csv",
        keyframe[source][rows],
        found_boxes[rows],
        np.tile(np.arange(classes), len(source)),
        scores,
        frames,
    )
    entries = "".join(
        f'item {{\n  name: "action {number + 1}"\n  id: {number + 1}\n}}\n'
        for number in range(classes)
    )
    (folder / "labelmap.pbtxt").write_text(entries, encoding="utf-8")


def _write_rows(
    path: Path,
    keyframe: np.ndarray,
    boxes: np.ndarray,
    action: np.ndarray,
    scores: np.ndarray,
    frames: int,
) -> None:
    videos = np.array(
        [f"video{number:06d}" for number in range(keyframe.max(initial=0) // frames + 1)],
        dtype=object,
    )
    seconds = np.array([f"{902 + second:04d}" for second in range(frames)], dtype=object)
    write_rows(
        path, videos[keyframe // frames], seconds[keyframe % frames], boxes, action + 1, scores
    )
