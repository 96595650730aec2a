"""Measures hours of video an hour: a plain loop, and `ava-det label` with one worker and with two.

This is `python -m benchmarks archive-rates`, on copies of a made video of one minute, 640x360. The
time begins when the workers are loaded. All ways take turns.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from ava_det.archive.agenda import Agenda
from ava_det.archive.driver import Driver
from ava_det.archive.labeler import LabelerLoader
from ava_det.archive.listing import make_manifest, open_manifest
from ava_det.archive.outcomes import Outcomes, list_results
from ava_det.archive.process_workers import ProcessWorkers
from ava_det.cli import Commands, at_least
from ava_det.formats.result_files import DetectionsJson
from ava_det.inference.predictor import Predictor
from ava_det.jobs.claims import Claims
from ava_det.jobs.store import FolderStore
from benchmarks.demo import make_video, save_random_weights

SECONDS = 60  # of a video


def add_archive_rates(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks archive-rates`."""
    parser = commands.add_parser("archive-rates", help="hours of video an hour, by workers")
    parser.add_argument("--videos", type=at_least(1), default=8, help="of one minute (8)")
    parser.add_argument("--repeat", type=at_least(1), default=3, help="turns (3)")
    parser.add_argument("--workers", type=at_least(1), nargs="+", default=[1, 2], help="(1 2)")
    parser.add_argument("--config", default="configs/synthetic/slowfast.yaml")
    parser.set_defaults(run=benchmark_rates)


def benchmark_rates(args: argparse.Namespace) -> int:
    """Runs `python -m benchmarks archive-rates` and returns its exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = str(save_random_weights(args.config, folder / "weights.pt"))
        (folder / "videos").mkdir()
        first = make_video(folder / "videos" / "v0.mp4", SECONDS)
        for number in range(1, args.videos):
            shutil.copy(first, folder / "videos" / f"v{number}.mp4")
        predictor = Predictor.from_pretrained(
            weights, "motion", "cpu", overrides=["precision=fp32"]
        )
        times: dict[str, list[tuple[float, float]]] = {}
        for turn in range(args.repeat):
            times.setdefault("a plain loop", []).append(loop(predictor, folder, turn))
            for count in args.workers:
                took = label(weights, folder, folder / f"out{turn}-{count}", count)
                times.setdefault(f"{count} workers", []).append(took)
        for way, found in times.items():
            wall, busy = (statistics.median(column) for column in zip(*found, strict=True))
            seconds = args.videos * SECONDS
            print(
                f"{way}: {seconds / wall:.1f} hours of video an hour by the clock, "
                f"{seconds / busy:.1f} an hour of a processor ({len(found)} turns)"
            )
        result = next((folder / f"out0-{args.workers[0]}" / "results").iterdir())
        sizes = [one.stat().st_size * 3600 / SECONDS / 1e6 for one in (first, result)]
        print(f"an hour: {sizes[0]:.0f} MB of video, {sizes[1]:.2f} MB of results, two persons")
    return 0


def loop(predictor: Predictor, folder: Path, turn: int) -> tuple[float, float]:
    """Labels the videos one after the other in this process.

    Returns:
        Seconds by the clock, and of a processor.
    """
    began, busy = time.monotonic(), time.process_time()
    for video in sorted((folder / "videos").iterdir()):
        rules = predictor.label_map, predictor.thresholds, predictor.start_second
        with DetectionsJson(folder / f"loop{turn}" / f"{video.stem}.jsonl", *rules) as file:
            for detections in predictor(video):
                file.write(detections)
    return time.monotonic() - began, time.process_time() - busy


def label(weights: str, folder: Path, out: Path, count: int) -> tuple[float, float]:
    """Labels the videos by workers.

    Returns:
        Seconds since the first worker was loaded: by the clock, and of a processor in the driver
        and all workers.
    """
    store = FolderStore(out)
    make_manifest(str(folder / "videos"), store)
    loader = LabelerLoader(
        output=str(out),
        weights=weights,
        config=None,
        overrides=("device=cpu", "precision=fp32"),
        label_map=None,
        runtime="torch",
        detector="motion",
        boxes=None,
        every=1.0,
        threshold=None,
    )
    loaded: list[tuple[float, float]] = []

    def accept(facts: Mapping[str, Any]) -> None:
        loaded.append((time.monotonic(), measure_busy()))

    with (
        open_manifest(store) as manifest,
        Claims(store) as claims,
        closing(ProcessWorkers(loader, count)) as workers,
    ):
        agenda = Agenda(manifest.index(), list_results(store))
        outcomes = Outcomes(store, claims.name)
        Driver(agenda, workers, claims, outcomes, accept, 3600.0, 0, lambda e, t: None).run()
        began, busy = loaded[0]
        return time.monotonic() - began, measure_busy() - busy


def measure_busy() -> float:
    """Returns the seconds of a processor that this process and its workers have used."""
    ticks = 0
    for process in multiprocessing.active_children():
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        ticks += sum(map(int, fields.split()[11:13]))  # in user mode and in the kernel
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")
