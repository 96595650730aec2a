"""Measures frame mAP and video mAP of tubes, against plain loops and against a floor."""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ava_det.cli import Commands
from ava_det.evaluation.tubes import RANGES, evaluate_frames, evaluate_tubes
from ava_det.evaluation.tubes.table import expand
from ava_det.evaluation.tubes.video_task import prepare_tubes
from ava_det.files import write_json
from ava_det.formats.tubes import FrameBoxes, Tube, TubeTruth
from benchmarks.child import run_measurement

NUM_LABELS = 66
NUM_GROUPS = 4  # sports; each video shows one of them
NUM_FRAMES = 120


def add_tubes(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks tubes`."""
    parser = commands.add_parser(
        "tubes", help="mAP of tubes, against plain loops over pairs and against a floor"
    )
    parser.add_argument(
        "--videos", type=int, default=1000, help="default: %(default)s, as in MultiSports' val"
    )
    parser.add_argument(
        "--loop-videos",
        type=int,
        default=40,
        help="so many of them go through the plain loops too, and the ratio is over these",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too")
    parser.set_defaults(run=benchmark_tubes)


def benchmark_tubes(args: argparse.Namespace) -> int:
    """Prints CPU times, memory and ratios under the protocol multisports, in a process of its own.

    Raises:
        ValueError: The process failed.
    """
    counts = [str(args.videos), str(min(args.loop_videos, args.videos))]
    figures = json.loads(run_measurement("tubes", *counts))
    for name, value in figures.items():
        print(f"{name:52} {value:12,.3f}".rstrip("0").rstrip("."))
    if args.json:
        write_json(args.json, figures)
    return 0


def measure_tubes(videos: str, loop_videos: str) -> None:
    """Prints all figures as JSON; runs in a child process."""
    import torch

    torch.set_num_threads(1)
    truth, tubes, boxes = make_large_case(int(videos))
    figures: dict[str, float] = {
        "videos": int(videos),
        "detected boxes": len(boxes),
        "detected tubes": len(tubes),
        "labeled tubes": sum(map(len, truth.tubes.values())),
    }
    figures["frame mAP at 0.5, CPU s"] = _seconds(lambda: evaluate_frames(truth, boxes))
    figures["video mAP at 0.5, CPU s"] = _seconds(
        lambda: evaluate_tubes(truth, tubes, thresholds=[0.5])
    )
    figures["video mAP, 0.2 and 0.5 and three ranges, CPU s"] = _seconds(
        lambda: evaluate_tubes(truth, tubes, ranges=tuple(RANGES))
    )
    figures["the error split at 0.5 besides, CPU s"] = _seconds(
        lambda: evaluate_tubes(truth, tubes, thresholds=[0.5], errors_at=0.5)
    )
    rows = _pair_rows(truth, tubes)
    figures["floor of video mAP: pairs of boxes met once, CPU s"] = _seconds(lambda: _touch(*rows))
    figures["peak memory with torch and the data, GB"] = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    )
    part = _cut(truth, tubes, boxes, int(loop_videos))
    for name, ours, loops in (
        ("frame mAP", lambda: evaluate_frames(part[0], part[2]), lambda: loop_frames(*part)),
        (
            "video mAP",
            lambda: evaluate_tubes(*part[:2], thresholds=[0.5]),
            lambda: loop_tubes(*part[:2]),
        ),
    ):
        figures[f"{name} of {loop_videos} videos by loops / ours"] = _seconds(loops) / _seconds(
            ours
        )
    print(json.dumps(figures))


def _seconds(work: Callable[[], object]) -> float:
    """CPU seconds, the least of three runs."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def make_large_case(
    num_videos: int, boxes_per_group: int = 250_000, seed: int = 0
) -> tuple[TubeTruth, list[Tube], FrameBoxes]:
    """Makes tubes of MultiSports' proportions: 1,000 videos, 12 labeled tubes of 24 frames each.

    Of 1,000 videos the detections of each of the four sports are 250,000 boxes; fewer videos have
    fewer. A detected tube is late or early by some frames, a few pixels off, or nobody's.
    """
    random = np.random.default_rng(seed)
    videos = [f"sport/v{number:04d}" for number in range(num_videos)]
    by_group = np.array_split(np.arange(NUM_LABELS), NUM_GROUPS)
    found_per_video = round(boxes_per_group * NUM_GROUPS / 1000 / 24)
    labeled: dict[str, list[Tube]] = {}
    found: list[Tube] = []
    for number, video in enumerate(videos):
        labels = by_group[number % NUM_GROUPS]
        labeled[video] = [_make_tube(random, video, int(random.choice(labels))) for _ in range(12)]
        for _ in range(found_per_video):
            source = labeled[video][int(random.integers(12))]
            right = random.random() < 0.6
            label = source.label if right else int(random.choice(labels))
            shift = int(random.integers(-5, 6))
            frames = source.frames + max(shift, 1 - int(source.frames[0]))
            moved = source.boxes + random.normal(0, 6, (1, 4)).astype(np.float32)
            boxes = np.concatenate([moved[:, :2], np.maximum(moved[:, 2:], moved[:, :2] + 2)], 1)
            found.append(Tube(video, label, frames, boxes, float(random.random())))
    names = tuple(f"action {label}" for label in range(NUM_LABELS))
    truth = TubeTruth(
        names,
        ((),),
        (tuple(videos),),
        dict.fromkeys(videos, NUM_FRAMES),
        dict.fromkeys(videos, (720, 1280)),
        labeled,
    )
    return truth, found, _spread(random, truth, found)


def _make_tube(random: np.random.Generator, video: str, label: int) -> Tube:
    count = int(random.integers(12, 37))
    first = int(random.integers(6, NUM_FRAMES - count - 5))
    corner = random.uniform(0, 500, 2) + np.arange(count)[:, None] * random.normal(0, 3, 2)
    boxes = np.concatenate([corner, corner + random.uniform(60, 200, 2)], 1).astype(np.float32)
    return Tube(video, label, np.arange(first, first + count), boxes)


def _spread(random: np.random.Generator, truth: TubeTruth, tubes: list[Tube]) -> FrameBoxes:
    """Takes tubes apart into boxes of frames with scores of their own."""
    counts = [len(tube) for tube in tubes]
    numbers = {video: number for number, video in enumerate(truth.test_videos[0])}
    return FrameBoxes(
        truth.test_videos[0],
        np.repeat([numbers[tube.video] for tube in tubes], counts),
        np.concatenate([tube.frames for tube in tubes]),
        np.repeat([tube.label for tube in tubes], counts),
        random.random(sum(counts)),
        np.concatenate([tube.boxes for tube in tubes]).astype(np.float64),
    )


def _cut(
    truth: TubeTruth, tubes: list[Tube], boxes: FrameBoxes, num_videos: int
) -> tuple[TubeTruth, list[Tube], FrameBoxes]:
    """Returns the part of a case in its first videos."""
    videos = truth.test_videos[0][:num_videos]
    rows = boxes.video < num_videos
    smaller = TubeTruth(
        truth.labels, ((),), (videos,), truth.num_frames, truth.resolution, truth.tubes
    )
    kept = [tube for tube in tubes if tube.video in set(videos)]
    fewer = FrameBoxes(
        videos,
        boxes.video[rows],
        boxes.frames[rows],
        boxes.labels[rows],
        boxes.scores[rows],
        boxes.boxes[rows],
    )
    return smaller, kept, fewer


def _pair_rows(truth: TubeTruth, tubes: list[Tube]) -> tuple[np.ndarray, np.ndarray]:
    """Returns as many boxes as video mAP compares, twice: [P, 4] each."""
    prepared = prepare_tubes(truth, tubes, "multisports", 1)
    pairs = prepared.contest.pairs
    starts = prepared.found.starts
    rows = expand(starts[:-1][pairs.detections], np.diff(starts)[pairs.detections])
    return prepared.found.boxes[rows], prepared.found.boxes[rows[::-1]]


def _touch(boxes: np.ndarray, others: np.ndarray) -> float:
    """Does the least that video mAP can: reads both boxes of every pair and intersects them."""
    low = np.maximum(boxes[:, :2], others[:, :2])
    return float((np.minimum(boxes[:, 2:], others[:, 2:]) - low).sum())


def loop_tubes(truth: TubeTruth, tubes: list[Tube]) -> float:
    """Computes video mAP at 0.5 tube by tube and pair by pair, as evaluators are written."""
    values = []
    for label in range(len(truth.labels)):
        found = [tube for tube in tubes if tube.label == label]
        labeled = {
            video: [tube for tube in truth.tubes[video] if tube.label == label]
            for video in truth.test_videos[0]
        }
        offered = []
        for number in np.argsort([-(tube.score or 0.0) for tube in found]):
            tube = found[number]
            ious = [_tube_iou(other, tube) for other in labeled[tube.video]]
            offered.append((tube.video, np.array(ious)))
        values.append(_area(offered, sum(map(len, labeled.values()))))
    return float(np.nanmean(values))


def loop_frames(truth: TubeTruth, tubes: list[Tube], boxes: FrameBoxes) -> float:
    """Computes frame mAP at 0.5 box by box."""
    values = []
    for label in range(len(truth.labels)):
        labeled: dict[tuple[int, int], Any] = {}
        for number, video in enumerate(truth.test_videos[0]):
            for tube in truth.tubes[video]:
                if tube.label == label:
                    for frame, box in zip(tube.frames, tube.boxes, strict=True):
                        labeled.setdefault((number, int(frame)), []).append(box.tolist())
        arrays = {key: np.array(rows) for key, rows in labeled.items()}
        rows = np.flatnonzero(boxes.labels == label)
        offered = []
        for row in rows[np.argsort(-boxes.scores[rows])]:
            key = (int(boxes.video[row]), int(boxes.frames[row]))
            others = arrays.get(key)
            ious = np.zeros(0) if others is None else _box_ious(others, boxes.boxes[row][None])
            offered.append((key, ious))
        values.append(_area(offered, sum(map(len, labeled.values()))))
    return float(np.nanmean(values))


def _box_ious(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    width = np.maximum(
        0, np.minimum(boxes[:, 2], others[:, 2]) - np.maximum(boxes[:, 0], others[:, 0])
    )
    height = np.maximum(
        0, np.minimum(boxes[:, 3], others[:, 3]) - np.maximum(boxes[:, 1], others[:, 1])
    )
    shared = width * height
    areas = [(b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (boxes, others)]
    return np.asarray(shared / (areas[0] + areas[1] - shared))


def _tube_iou(first: Tube, second: Tube) -> float:
    begin = max(first.frames[0], second.frames[0])
    end = min(first.frames[-1], second.frames[-1])
    if end < begin:
        return 0.0
    parts = [
        tube.boxes[np.where(tube.frames == begin)[0][0] : np.where(tube.frames == end)[0][0] + 1]
        for tube in (first, second)
    ]
    joint = max(first.frames[-1], second.frames[-1]) - min(first.frames[0], second.frames[0])
    return float(np.mean(_box_ious(*parts)) * ((end - begin) / joint))


def _area(offered: list[tuple[Any, np.ndarray]], num_gt: int) -> float:
    if not num_gt:
        return float("nan")
    taken: set[tuple[Any, int]] = set()
    hits = []
    for group, ious in offered:
        best = int(np.argmax(ious)) if len(ious) else -1
        hit = best >= 0 and ious[best] >= 0.5 and (group, best) not in taken
        if hit:
            taken.add((group, best))
        hits.append(hit)
    found = np.cumsum(hits)
    precision = np.maximum.accumulate((found / np.arange(1, len(hits) + 1))[::-1])[::-1]
    return float(np.sum(np.diff(found, prepend=0) * precision) / num_gt)
