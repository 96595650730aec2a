"""Does what `ava-det prepare-tubes` does: annotations of every frame from ground truth of tubes."""

from __future__ import annotations

import argparse
import logging
import tempfile
from fractions import Fraction
from pathlib import Path

from ava_det.datasets.tubes.convert import (
    describe_frames,
    name_ids,
    require_videos,
    write_dataset,
    write_person_boxes,
)
from ava_det.datasets.tubes.truth import load_truth
from ava_det.formats.mat_file import is_mat
from ava_det.formats.tubes import TubeTruth
from ava_det.formats.tubes.frame_table import VideoFrames
from ava_det.formats.tubes.truth_writer import write_truth
from ava_det.video.folder import open_video
from ava_det.video.sources import key_by_id, scan_folder

TRUTH_FILE = "tubes_GT.pkl"  # for ava-det score, which reads no MATLAB file and no CSV of tubes

logger = logging.getLogger("ava_det")


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det prepare-tubes` and returns its exit code."""
    truth = load_truth(args.truth, args.test_videos, args.labels, args.videos)
    for split, splits in (("train", truth.train_videos), ("val", truth.test_videos)):
        if getattr(args, f"person_boxes_{split}") is not None and len(splits) != 1:
            raise ValueError(
                f"--person-boxes-{split}: expected ground truth with one split of {split}, "
                f"{truth.path} has {len(splits)}"
            )
    frames = describe_frames(truth, read_rates(truth, args.videos, args.fps), args.fps)
    if args.dry_run:
        with tempfile.TemporaryDirectory() as folder:
            write_all(Path(folder), truth, frames, args)
        print(f"{args.output}: nothing was written (--dry-run)")
        return 0
    write_all(args.output, truth, frames, args)
    return 0


def write_all(
    output: Path, truth: TubeTruth, frames: dict[str, VideoFrames], args: argparse.Namespace
) -> None:
    """Writes the files and prints what each has."""
    for file, count in write_dataset(output, truth, frames).items():
        print(f"{file}: {count} rows")
    if len(args.truth) > 1 or is_mat(args.truth[0]):
        write_truth(output / TRUTH_FILE, truth)
        print(f"{TRUTH_FILE}: {sum(map(len, truth.tubes.values()))} tubes")
    for split, splits in (("train", truth.train_videos), ("val", truth.test_videos)):
        source = getattr(args, f"person_boxes_{split}")
        if source is not None:
            file = f"person_boxes_{split}.csv"
            count, left_out = write_person_boxes(output / file, source, frames, splits[0])
            print(f"{file}: {count} boxes; {left_out} frames of videos of no {split} split")


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
    for video_id in ids.values():
        if video_id in found:
            with open_video(found[video_id]) as reader:
                rates[video_id] = Fraction(reader.frame_rate)
    return rates
