"""Measures the evaluator, from CSV to mAP, against reading the CSV with pandas."""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ava_det.cli import Commands
from ava_det.files import write_json
from ava_det.formats.ava_csv import write_rows

ROOT = Path(__file__).resolve().parent.parent
# CPU seconds of ActivityNet's own code per million result rows, measured beside this evaluator on 2
# Xeon cores.
OFFICIAL_SECONDS_PER_MILLION = 137 / 6.08


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
        "--repeat", type=int, default=3, help="take medians of so many runs (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too")
    parser.set_defaults(run=benchmark_evaluate)


def benchmark_evaluate(args: argparse.Namespace) -> int:
    """Prints CPU times, memory and ratios of one evaluation under activitynet-2020.

    Each measurement runs in a process of its own.

    Raises:
        ValueError: Only some of the files are given.
    """
    files = [args.annotations, args.detections, args.label_map]
    if any(files) != all(files):
        raise ValueError(
            "benchmark evaluate: expected --annotations, --detections and --label-map together"
        )
    with tempfile.TemporaryDirectory() as folder:
        if not all(files):
            print(f"writing a result file of {args.videos} videos")
            write_large_case(Path(folder), args.videos)
            files = [f"{folder}/gt.csv", f"{folder}/det.csv", f"{folder}/labelmap.pbtxt"]
        measured = [
            (_measure("pandas", *files), _measure("evaluator", *files)) for _ in range(args.repeat)
        ]
    pandas_seconds = statistics.median(pandas for (pandas,), _ in measured)
    columns = zip(*(ours for _, ours in measured), strict=True)
    mean_ap, rows, seconds, in_memory, megabytes = map(statistics.median, columns)
    million = rows / 1e6
    ratio = seconds / pandas_seconds
    official = OFFICIAL_SECONDS_PER_MILLION * million
    print(f"mAP {mean_ap:.5f}, {int(rows):,} result rows; CPU seconds")
    print(f"  pandas.read_csv of the result file {pandas_seconds:8.2f}")
    print(f"  CSV to mAP                         {seconds:8.2f}   {ratio:.2f} x pandas")
    print(
        f"  the official code, as once measured{official:8.2f}   {official / seconds:.0f} x "
        "CSV to mAP"
    )
    each = in_memory / million
    print(f"  arrays in memory to mAP            {in_memory:8.2f}   {each:.2f} per million rows")
    print(f"peak memory, torch included          {megabytes / 1024:8.2f} GB")
    if args.json:
        figures = {"mAP": mean_ap, "rows": rows, "cpu_seconds": seconds, "ratio_to_pandas": ratio}
        write_json(args.json, {**figures, "cpu_seconds_in_memory": in_memory, "peak_mb": megabytes})
    return 0


def _measure(what: str, *arguments: str) -> list[float]:
    command = [sys.executable, "-m", "benchmarks", "--measure", what, *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if finished.returncode:
        raise ValueError(finished.stderr.strip().splitlines()[-1])
    return [float(word) for word in finished.stdout.split()]


def measure_pandas(annotations: str, detections: str, label_map: str) -> None:
    """Prints the CPU seconds of pandas.read_csv; runs in a child process."""
    import pandas as pd

    print(_cpu_seconds(lambda: pd.read_csv(detections, header=None)))


def measure_evaluator(annotations: str, detections: str, label_map: str) -> None:
    """Prints mAP, rows, CPU seconds and peak megabytes; runs in a child process."""
    import torch

    from ava_det.evaluation import evaluate_csv, evaluate_rows
    from ava_det.formats.annotations import load_annotations, load_detections
    from ava_det.formats.label_map import load_label_map

    torch.set_num_threads(1)
    results: list[float] = []
    whole = _cpu_seconds(
        lambda: results.append(evaluate_csv(annotations, detections, label_map)["mAP"])
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    truth = load_annotations(annotations)
    rows = load_detections(detections)
    names = load_label_map(label_map)
    in_memory = _cpu_seconds(lambda: evaluate_rows(truth, rows, names))
    print(results[0], len(rows), whole, in_memory, peak)


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


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
