"""Does what `ava-det prepare-tubes` does: annotations of every frame from ground truth of tubes."""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from ava_det.datasets.tubes.convert import (
    convert_person_boxes,
    describe_frames,
    name_ids,
    require_videos,
    write_dataset,
)
from ava_det.datasets.tubes.truth import load_truth
from ava_det.files import write_text
from ava_det.formats.mat_file import is_mat
from ava_det.formats.tubes import TubeTruth
from ava_det.formats.tubes.frame_table import VideoFrames
from ava_det.formats.tubes.truth_writer import write_truth
from ava_det.messages.counts import format_count
from ava_det.video.folder import open_video
from ava_det.video.sources import key_by_id, scan_folder

TRUTH_FILE = "tubes_GT.pkl"  # for ava-det score, which reads no MATLAB file and no CSV of tubes
# A video's length and rate give its frames only roughly.
MAX_OTHER_FRAMES = 2
MAX_OTHER_SHARE = 0.02

logger = logging.getLogger("ava_det")


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det prepare-tubes` and returns its exit code."""
    truth = load_truth(args.truth, args.test_videos, args.labels, args.videos)
    frames = describe_frames(truth, read_rates(truth, args.videos, args.fps), args.fps)
    person_boxes = read_person_boxes(truth, frames, args)
    if args.dry_run:
        with tempfile.TemporaryDirectory() as folder:
            write_all(Path(folder), truth, frames, person_boxes, args)
        print(f"{args.output}: nothing was written (--dry-run)")
        return 0
    write_all(args.output, truth, frames, person_boxes, args)
    return 0


def read_person_boxes(
    truth: TubeTruth, frames: Mapping[str, VideoFrames], args: argparse.Namespace
) -> dict[str, list[str]]:
    """Reads the person boxes that are asked for, before anything is written.

    Returns:
        By split, the lines of its box file.
    """
    lines: dict[str, list[str]] = {}
    for split, splits in (("train", truth.train_videos), ("val", truth.test_videos)):
        source = getattr(args, f"person_boxes_{split}")
        if source is None:
            continue
        if len(splits) != 1:
            raise ValueError(
                f"--person-boxes-{split}: expected ground truth with one split of {split}, "
                f"{truth.path} has {len(splits)}"
            )
        lines[split], left_out = convert_person_boxes(source, frames, splits[0])
        if left_out:
            print(f"{source}: {left_out} frames are of videos of no {split} split and left out")
    return lines


def write_all(
    output: Path,
    truth: TubeTruth,
    frames: Mapping[str, VideoFrames],
    person_boxes: Mapping[str, list[str]],
    args: argparse.Namespace,
) -> None:
    """Writes the files and prints what each has."""
    for file, count in write_dataset(output, truth, frames).items():
        print(f"{file}: {format_count(count, 'row')}")
    if len(args.truth) > 1 or is_mat(args.truth[0]):
        write_truth(output / TRUTH_FILE, truth)
        num_tubes = sum(map(len, truth.tubes.values()))
        print(f"{TRUTH_FILE}: {format_count(num_tubes, 'tube')}")
    for split, lines in person_boxes.items():
        file = f"person_boxes_{split}.csv"
        write_text(output / file, "".join(lines))
        print(f"{file}: {format_count(len(lines), 'box')}")


def read_rates(truth: TubeTruth, videos: Path | None, fps: Fraction) -> dict[str, Fraction]:
    """Reads the rates of the videos that are there, and says once what is missing or unlike.

    Args:
        truth: The ground truth.
        videos: Their folder, or of folders of them; None where they are not there.
        fps: What is taken for a missing video.

    Returns:
        By video id.
    """
    ids = name_ids(truth)
    if videos is None:
        logger.warning(f"no --videos: every video is taken to have {float(fps):g} frames a second")
        return {}
    found = key_by_id(scan_folder(videos, recursive=True).videos)
    missing = require_videos(videos, found, ids.values())
    if missing:
        logger.warning(
            f"{videos}: {len(missing)} videos are missing, such as {missing[0]}; "
            f"{float(fps):g} frames a second are taken for them"
        )
    rates: dict[str, Fraction] = {}
    unlike: list[str] = []
    for name, video_id in ids.items():
        if video_id in found:
            with open_video(found[video_id]) as reader:
                rates[video_id] = Fraction(reader.frame_rate)
                if reader.duration is None:
                    continue
            count = round(reader.duration * rates[video_id])
            expected = truth.num_frames[name]
            if abs(count - expected) > max(MAX_OTHER_FRAMES, MAX_OTHER_SHARE * expected):
                unlike.append(f"{found[video_id]} has {count}, expected {expected}")
    if unlike:
        logger.warning(
            f"{len(unlike)} videos have another number of frames than the ground truth, so that "
            f"boxes may be on other frames: {unlike[0]}"
        )
    return rates
