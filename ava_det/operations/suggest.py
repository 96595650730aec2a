"""Does what `ava-det suggest` does: chooses the keyframes that are worth labeling next."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from ava_det.config import Config, load_config
from ava_det.data.build import find_config_videos
from ava_det.detectors import PersonDetector
from ava_det.detectors.keyframe_boxes import detect_in_video, find_read_end, keyframe_grid
from ava_det.detectors.registry import build_detector
from ava_det.device.select import prepare_torch
from ava_det.files import require_other_files
from ava_det.formats.annotations import (
    load_annotation_files,
    load_boxes,
    load_excluded,
    rows_from_detections,
)
from ava_det.inference.trained_model import load_carried_label_map
from ava_det.interchange.clock import VideoClocks
from ava_det.interchange.drafts import boxes_from_detections
from ava_det.interchange.labeled import LabeledBox
from ava_det.messages.counts import format_count
from ava_det.models.action_detector import ActionDetector
from ava_det.models.two_stream import TwoStream
from ava_det.operations.export_labels import write_files
from ava_det.structures import Detections, Keyframe
from ava_det.suggest import (
    Calibration,
    Labeled,
    Pool,
    Suggestion,
    choose_keyframes,
    shows_labeled,
    write_page,
    write_suggestions,
)
from ava_det.suggest.uncertainty import SURE
from ava_det.tasks.frozen_network import join_labels, load_frozen, score_features
from ava_det.tasks.own_head import find_cache, load_features
from ava_det.tasks.run_folder import list_sources
from ava_det.tasks.splits import Split, build_split, choose_label_map
from ava_det.video.folder import open_video
from ava_det.video.reader import VideoError


class LabeledBoxes(NamedTuple):
    """Holds the labeled boxes of a split: their features [L, D] and labels [L, C]."""

    features: Tensor
    labels: Tensor


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det suggest` and returns its exit code."""
    config = load_config(args.config, args.overrides)
    table, page = (args.output / f"suggestions.{suffix}" for suffix in ("csv", "html"))
    sources = {**list_sources(config), "--boxes": args.boxes}
    require_other_files({"--output": [table, page]}, sources)
    drafts = args.output / "drafts"
    if args.format is not None and drafts.exists() and any(drafts.iterdir()):
        raise ValueError(f"--output: expected a folder without drafts, {drafts} has earlier ones")
    device = prepare_torch(config)
    model = load_frozen(config)
    assert config.weights is not None
    label_map = choose_label_map(config, load_carried_label_map(config.weights))
    columns = [action_id - 1 for action_id in label_map]
    of_pool = replace(config, data=replace(config.data, video_dir=str(args.videos)))
    videos = choose_videos(config, find_config_videos(of_pool))
    found, failed = find_persons(config, args, videos, device)
    labeled = {name: load_labeled(config, model, device, name) for name in ("train", "val")}
    calibration = calibrate(model, labeled, columns)
    split = Split("pool", found, None, set(), "detected")
    # of labeled keyframes too: what is labeled next changes nothing in the cache
    keyframes, features = load_features(of_pool, model, split, find_cache(config), device)
    scores = calibration.apply(score_features(model, features)[:, columns])
    pool = leave_out(Pool(keyframes, features, scores), list_labeled(config, "train"), args.every)
    known = describe_labeled(labeled["train"], pool, columns)
    suggestions = choose_keyframes(pool, known, args.count)
    write_page(page, pool, suggestions, known, label_map, videos, config.data.start_second)
    write_suggestions(table, pool.keyframes, suggestions)
    num_videos = len({keyframe.video_id for keyframe in pool.keyframes})
    print(
        f"suggested: {len(suggestions)} of {format_count(len(pool.keyframes), 'keyframe')} in "
        f"{format_count(num_videos, 'video')}; written: {table} and {page}"
    )
    if args.format is not None:
        boxes = draft(pool, suggestions, label_map)
        clocks = VideoClocks(args.videos, None, config.data.start_second)
        print(write_files(args.format, drafts, boxes, clocks, label_map, sources))
    for why in failed:
        print(f"passed over: {why}", file=sys.stderr)
    return 1 if failed else 0


def choose_videos(config: Config, videos: Mapping[str, Path]) -> dict[str, Path]:
    """Leaves out the videos of data.val and data.test: what is labeled there trains nothing.

    Raises:
        ValueError: No video is left.
    """
    held_out = {
        name for split in ("val", "test") for name in list_labeled(config, split) if name in videos
    }
    left = {name: path for name, path in videos.items() if name not in held_out}
    if held_out:
        print(f"left out: {format_count(len(held_out), 'video')} of data.val and data.test")
    if not left:
        raise ValueError(
            "--videos: expected videos that are not of data.val or data.test, found none"
        )
    return left


def list_labeled(config: Config, name: str) -> dict[str, list[float]]:
    """Lists the labeled and the excluded keyframes of a split: video id -> seconds."""
    section = getattr(config.data, name)
    moments: dict[str, list[float]] = {}
    if section.annotation_files:
        rows = load_annotation_files(section.annotation_files)
        for video, timestamp in zip(rows.video_ids, rows.timestamps.tolist(), strict=True):
            moments.setdefault(video, []).append(timestamp)
    for path in section.excluded_files:
        for video, key in load_excluded(path):
            moments.setdefault(video, []).append(float(key))
    return moments


def find_persons(
    config: Config, args: argparse.Namespace, videos: Mapping[str, Path], device: torch.device
) -> tuple[list[Keyframe], list[str]]:
    """Finds the keyframes with persons, by the box file or the detector.

    Returns:
        The keyframes, and why videos were passed over.

    Raises:
        ValueError: There is none.
    """
    minimum = config.data.min_person_score
    failed: list[str] = []
    if args.boxes is not None:
        found = [
            Keyframe(video, float(key), persons.boxes, None, persons.scores)
            for (video, key), persons in load_boxes(args.boxes, minimum).items()
            if video in videos
        ]
    else:
        found = []
        detector = build_detector(args.detector or "auto", device, config.precision)
        for video, path in tqdm(videos.items(), desc=f"persons ({detector.name})", unit="video"):
            try:
                found += detect(detector, config, video, path, args.every)
            except VideoError as error:
                failed.append(str(error))
    found = [keyframe for keyframe in found if len(keyframe.boxes)]
    if not found:
        why = f" ({failed[0]})" if failed else ""
        raise ValueError(
            "--videos: expected keyframes with persons of a score from data.min_person_score = "
            f"{minimum:g} on, found none{why}"
        )
    return found, failed


def detect(
    detector: PersonDetector, config: Config, video_id: str, path: Path, every: float
) -> list[Keyframe]:
    """Detects the persons of a video, on a keyframe every `every` seconds."""
    start = config.data.start_second
    found = []
    with open_video(path, start) as reader:
        moments = list(keyframe_grid(start, find_read_end(reader), every))
        for timestamp, boxes, scores in detect_in_video(detector, reader, moments):
            sure = scores >= config.data.min_person_score
            found.append(Keyframe(video_id, timestamp, boxes[sure], None, scores[sure]))
    return found


def leave_out(pool: Pool, labeled: Mapping[str, Sequence[float]], every: float) -> Pool:
    """Leaves out of a pool the keyframes that are labeled or excluded already.

    Args:
        pool: All keyframes.
        labeled: Video id -> seconds.
        every: Seconds between keyframes, see `shows_labeled`.

    Raises:
        ValueError: None is left.
    """
    is_left = [
        not shows_labeled(one.timestamp, labeled.get(one.video_id, ()), every)
        for one in pool.keyframes
    ]
    if not any(is_left):
        raise ValueError("--videos: expected keyframes that are not labeled yet, found none")
    sizes = torch.tensor([len(one.boxes) for one in pool.keyframes])
    rows = torch.tensor(is_left).repeat_interleave(sizes)
    keyframes = [one for one, left in zip(pool.keyframes, is_left, strict=True) if left]
    return Pool(keyframes, pool.features[rows], pool.scores[rows])


def load_labeled(
    config: Config, model: ActionDetector | TwoStream, device: torch.device, name: str
) -> LabeledBoxes | None:
    """Loads or computes the features of the labeled boxes of a split; None where it has none."""
    files = getattr(config.data, name).annotation_files
    if not files or not bool((load_annotation_files(files).action_ids > 0).any()):
        return None
    split = build_split(config, name, device, boxes="gt")
    keyframes, features = load_features(config, model, split, find_cache(config), device)
    return LabeledBoxes(features, join_labels(keyframes))


def calibrate(
    model: ActionDetector | TwoStream,
    labeled: Mapping[str, LabeledBoxes | None],
    columns: list[int],
) -> Calibration:
    """Calibrates scores on data.val or, without it, on data.train, and says so.

    Args:
        model: Whose scores they are.
        labeled: Split -> its labeled boxes.
        columns: Of the actions of the label map.
    """
    for name in ("val", "train"):
        boxes = labeled[name]
        if boxes is not None:
            scores = score_features(model, boxes.features)[:, columns]
            calibration = Calibration.fit(scores, boxes.labels[:, columns])
            if calibration == Calibration():
                print(f"scores are not calibrated: labeled boxes of data.{name} say too little")
            else:
                print(
                    f"scores calibrated on {format_count(len(boxes.labels), 'labeled box')} of "
                    f"data.{name}: "
                    f"sigmoid({calibration.slope:.2f} * logit {calibration.offset:+.2f})"
                )
            return calibration
    print("scores are not calibrated: neither data.val nor data.train has labeled boxes")
    return Calibration()


def describe_labeled(boxes: LabeledBoxes | None, pool: Pool, columns: list[int]) -> Labeled:
    """Returns what is labeled of data.train, in the columns of the label map."""
    if boxes is None:
        return Labeled(pool.features[:0], torch.zeros(len(columns)))
    return Labeled(boxes.features, boxes.labels[:, columns].sum(dim=0))


def draft(
    pool: Pool, suggestions: Sequence[Suggestion], label_map: Mapping[int, str]
) -> list[LabeledBox]:
    """Drafts the labels of the suggested keyframes: the actions of a score from `SURE` on."""
    parts = pool.scores.split([len(keyframe.boxes) for keyframe in pool.keyframes])
    columns = [action_id - 1 for action_id in label_map]
    found = []
    for one in suggestions:
        keyframe = pool.keyframes[one.index]
        scores = torch.zeros(len(keyframe.boxes), max(label_map))
        scores[:, columns] = parts[one.index]
        found.append(Detections(keyframe.boxes, scores, keyframe.person_scores, None, keyframe))
    return boxes_from_detections(rows_from_detections(found, label_map), label_map, SURE)
