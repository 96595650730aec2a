"""Does what `ava-det detect` does: writes the persons of videos into a box file."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ava_det.config import Config
from ava_det.detectors import PersonDetector
from ava_det.detectors.box_file import BoxParts
from ava_det.detectors.keyframe_boxes import (
    compute_recall,
    detect_in_video,
    find_read_end,
    keyframe_grid,
)
from ava_det.detectors.registry import build_detector
from ava_det.device.select import prepare_torch
from ava_det.distributed import is_main_process, process_group
from ava_det.evaluation.person_ap import compute_person_ap
from ava_det.files import hash_file, require_other_files
from ava_det.formats.annotations import (
    keyframes_from_annotations,
    load_annotations,
    load_boxes,
)
from ava_det.jobs.shared_job import PATIENCE, SharedJob, shared_job
from ava_det.messages.counts import format_count
from ava_det.structures import Keyframe, KeyframeKey, PersonBoxes, Persons
from ava_det.video.folder import open_video
from ava_det.video.hardware import require_device
from ava_det.video.reader import VideoError
from ava_det.video.sources import find_source, key_by_id

logger = logging.getLogger("ava_det")

SURE = 0.8  # the score from which AVA's boxes are used by default (data.min_person_score)


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det detect` and returns its exit code."""
    videos = collect_videos(args.videos, args.recursive)
    keyframes = load_keyframes(args.at) if args.at else None
    wanted = [video for video in sorted(videos) if keyframes is None or video in keyframes]
    if not wanted:
        raise VideoError(
            f"{args.at}: expected keyframes of the videos given, such as {min(videos)}, found none"
        )
    require_other_files(
        {"--output": args.output},
        {"--videos": videos.values(), "--at": args.at, "--weights": args.weights},
    )
    if args.hwaccel is not None:
        require_device(args.hwaccel)
    device = prepare_torch(Config(device=args.device))
    with process_group(torch.device("cpu"), PATIENCE):
        # a mistake in the detector's name or weights is found before a run begins
        detector = build_detector(args.detector, device)
        parts = BoxParts(args.output)
        with shared_job(parts.folder) as job:
            if is_main_process():
                parts.begin(describe_settings(args), job.is_alone())
            failed = find_missing(args, videos, keyframes)
            chosen = {video: videos[video] for video in wanted}
            failed |= detect_all(args, chosen, keyframes, parts, detector, job)
            if is_main_process():
                with job.finishing():
                    done = [video for video in wanted if video not in failed]
                    finish(args, done, keyframes, parts, failed)
                    is_last = job.is_alone()
        # kept where a video failed, so that the same command tries it again
        if is_main_process() and is_last and not failed:
            parts.remove()
    return 1 if failed else 0


def collect_videos(paths: Sequence[Path], recursive: bool) -> dict[str, Path]:
    """Finds the videos of folders and single files: video id -> file."""
    videos: list[Path] = []
    for path in paths:
        if not path.exists():
            raise VideoError(f"--videos: no such file or folder as {path}")
        source = find_source(str(path), recursive)
        if source.left_out is not None and is_main_process():
            logger.warning(source.left_out)
        videos += source.videos
    return key_by_id(dict.fromkeys(videos))


def load_keyframes(path: Path) -> dict[str, list[Keyframe]]:
    """Loads the keyframes of an AVA CSV with their labeled boxes, by video, in order of time."""
    rows = load_annotations(path)
    rows.action_ids = np.minimum(rows.action_ids, 1)  # persons matter here, not what they do
    keyframes: dict[str, list[Keyframe]] = {}
    for keyframe in sorted(
        keyframes_from_annotations(rows, 1), key=lambda keyframe: keyframe.timestamp
    ):
        keyframes.setdefault(keyframe.video_id, []).append(keyframe)
    return keyframes


def describe_settings(args: argparse.Namespace) -> dict[str, str | float | None]:
    """Describes all options that decide what the boxes are.

    A run only goes on if these are the same as when it began.
    """
    weights = Path(args.detector.rpartition(":")[2])
    return {
        "--detector": f"{args.detector} {describe_content(weights)}"
        if weights.is_file()
        else args.detector,
        "--at": f"{args.at.name} {describe_content(args.at)}" if args.at else None,
        "--every": None if args.at else args.every,
        "--start-second": args.start_second,
        "--min-score": args.min_score,
        "--stream": args.stream,
        "--hwaccel": args.hwaccel,
    }


def describe_content(path: Path) -> str:
    """Describes the content of a file by its SHA-256."""
    return f"(sha256 {hash_file(path)})"


def find_missing(
    args: argparse.Namespace, videos: Mapping[str, Path], keyframes: Mapping[str, object] | None
) -> dict[str, str]:
    """Finds videos of the annotations that a given folder should hold and does not.

    Where only single files were given, the user chose them, and none is missing.
    """
    if keyframes is None or not any(path.is_dir() for path in args.videos):
        return {}
    return {
        video: f"no video file for video id {video} of {args.at}"
        for video in sorted(set(keyframes) - set(videos))
    }


def detect_all(
    args: argparse.Namespace,
    videos: Mapping[str, Path],
    keyframes: Mapping[str, list[Keyframe]] | None,
    parts: BoxParts,
    detector: PersonDetector,
    job: SharedJob,
) -> dict[str, str]:
    """Writes the boxes of each video that has none yet, and that no other process has.

    Returns:
        Video id -> why it could not be read, of all processes of torchrun.
    """
    pending = job.find_pending(videos, parts.has, lambda video: videos[video].stat().st_size)

    def write(video: str, bar: tqdm) -> None:
        times = None if keyframes is None else [one.timestamp for one in keyframes[video]]
        parts.write(video, detect_video(args, detector, video, videos[video], times, bar))

    return job.work_through(pending, parts.has, write, f"persons ({args.detector})")


def detect_video(
    args: argparse.Namespace,
    detector: PersonDetector,
    video: str,
    path: Path,
    timestamps: Sequence[float] | None,
    bar: tqdm,
) -> dict[KeyframeKey, Persons]:
    """Detects the persons on a video's keyframes and moves the progress bar by 1.

    Args:
        args: The options of the command.
        detector: The person detector.
        video: The video id.
        path: The video file or frame folder.
        timestamps: Annotation times of the keyframes, in seconds; None for every `--every` seconds.
        bar: The progress bar, in videos.
    """
    boxes = {}
    with open_video(path, args.start_second, args.stream, args.hwaccel) as reader:
        if timestamps is None:
            timestamps = list(keyframe_grid(args.start_second, find_read_end(reader), args.every))
        for timestamp, person_boxes, scores in detect_in_video(detector, reader, timestamps):
            sure = scores >= args.min_score
            boxes[KeyframeKey.at(video, timestamp)] = Persons(person_boxes[sure], scores[sure])
            bar.update(1 / len(timestamps))
    return boxes


def finish(
    args: argparse.Namespace,
    videos: Sequence[str],
    keyframes: Mapping[str, list[Keyframe]] | None,
    parts: BoxParts,
    failed: Mapping[str, str],
) -> None:
    """Writes the box file and prints what is in it."""
    parts.merge(videos)
    boxes = load_boxes(args.output, min_score=0.0)
    num_boxes = sum(len(scores) for _, scores in boxes.values())
    print(
        f"{format_count(num_boxes, 'box')} in {format_count(len(videos), 'video')}; "
        f"written: {args.output}"
    )
    if keyframes is not None:
        for line in describe_quality(
            [k for video in videos for k in keyframes[video]], boxes, args.min_score
        ):
            print(line)
    for why in failed.values():
        print(f"passed over: {why}", file=sys.stderr)
    if failed:
        print(
            f"{format_count(len(failed), 'video')} not in {args.output}: "
            "the same command tries again",
            file=sys.stderr,
        )


def describe_quality(
    keyframes: Sequence[Keyframe],
    boxes: PersonBoxes,
    min_score: float,
) -> Iterable[str]:
    """Yields lines with AP, recall and precision at IoU 0.5; none where no box is labeled."""
    ap = compute_person_ap(keyframes, boxes).ap50
    if ap is None:
        return
    yield (
        f"{format_count(sum(len(k.boxes) for k in keyframes), 'labeled box')} on "
        f"{format_count(len(keyframes), 'keyframe')}: "
        f"AP {ap:.4f} (IoU 0.5)"
    )
    for score in np.unique([min_score, max(min_score, SURE)]):
        recall, precision = compute_recall(keyframes, boxes, float(score))
        shown = "undefined" if precision is None else f"{precision:.4f}"
        yield f"score >= {score:g}: recall {recall:.4f}, precision {shown} (IoU 0.5)"
