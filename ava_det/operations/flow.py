"""Does what `ava-det flow` does: writes the optical flow of videos as folders of pictures."""

from __future__ import annotations

import argparse
import itertools
import logging
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch
from tqdm import tqdm

from ava_det.config import Config
from ava_det.device.select import prepare_torch
from ava_det.distributed import is_main_process, process_group, world_size
from ava_det.flow import FlowAlgorithm, build_flow, count_pairs, video_flow, write_flow_folder
from ava_det.flow.folder import FACTS, encode_pictures, is_flow_folder
from ava_det.flow.pairs import TimedField
from ava_det.jobs.settings import begin_job
from ava_det.jobs.shared_job import PATIENCE, SharedJob, shared_job
from ava_det.messages.counts import format_count
from ava_det.video.folder import open_video
from ava_det.video.reader import VideoError, warn_of_notes
from ava_det.video.sources import find_source, key_by_id

logger = logging.getLogger("ava_det")

NUM_SAMPLES = 8  # videos from whose first fields the disk space is estimated
FIRST_FIELDS = 4  # of each
BLOCK_SIZE = 4096  # bytes; ext4, XFS, APFS and NTFS give a file whole blocks of that size


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det flow` and returns its exit code."""
    device = prepare_torch(Config(device=args.device)) if args.algorithm == "raft" else "cpu"
    with process_group(torch.device("cpu"), PATIENCE):
        videos = collect_videos(args)
        if world_size() > 1:
            cv2.setNumThreads(1)  # the processes share the cores
        algorithm = build_flow(args.algorithm, device)
        with shared_job(args.output) as job:
            if is_main_process():
                begin(args, job.is_alone())
            failed = write_all(args, videos, algorithm, job)
        if is_main_process():
            report(args.output, len(videos), failed)
    return 1 if failed else 0


def collect_videos(args: argparse.Namespace) -> dict[str, Path]:
    """Finds the videos of the folder: video id -> file."""
    if not args.videos.is_dir():
        raise VideoError(f"--videos: no such folder as {args.videos}")
    if args.output.is_file():
        raise VideoError(f"--output: expected a folder to write, {args.output} is a file")
    if args.output.is_dir() and args.output.samefile(args.videos):
        raise VideoError(f"--output: expected another folder than --videos, {args.videos}")
    if args.recursive and args.videos.resolve() in args.output.resolve().parents:
        raise VideoError(
            f"--output: expected a folder outside of {args.videos}, where --recursive finds "
            f"folders of pictures too, received {args.output}"
        )
    source = find_source(str(args.videos), args.recursive)
    if source.left_out is not None and is_main_process():
        logger.warning(source.left_out)
    return dict(sorted(key_by_id(source.videos).items()))


def begin(args: argparse.Namespace, is_alone: bool) -> None:
    """Starts a run, or continues one that was begun with the same options.

    Args:
        args: The options of the command.
        is_alone: Whether no other process works in the folder, so that other options may replace
            those that no flow was computed with yet.

    Raises:
        ValueError: The folder holds flow that was computed otherwise.
    """
    path = args.output / FACTS
    if is_alone and not any(args.output.glob(f"*/{FACTS}")):
        path.unlink(missing_ok=True)
    for name, before, now in begin_job(path, describe_settings(args)):
        option = "--" + name.removeprefix("flow_").replace("_", "-")
        earlier, received = (
            f"no {option}" if value is None else f"{option} {value}" for value in (before, now)
        )
        raise ValueError(
            f"{path}: the flow beside it was computed with {earlier}, expected the same options "
            f"or another --output, received {received}"
        )


def describe_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Describes all options that decide what the flow is; they are recorded beside it."""
    return {
        "algorithm": args.algorithm,
        "flow_range": args.range,
        "short_side": args.short_side,
        "fps": args.fps,
        "stream": args.stream,
    }


def write_all(
    args: argparse.Namespace, videos: Mapping[str, Path], algorithm: FlowAlgorithm, job: SharedJob
) -> dict[str, str]:
    """Writes the flow of each video that has none yet, and that no other process has.

    Returns:
        Video id -> why it could not be read, of all processes of torchrun.
    """

    def is_done(video: str) -> bool:
        return is_flow_folder(args.output / video)

    pending = job.find_pending(videos, is_done, lambda video: videos[video].stat().st_size)
    if is_main_process() and pending:
        print(describe_disk(args, [videos[video] for video in pending], algorithm), flush=True)

    def write(video: str, bar: tqdm) -> None:
        write_video(args, videos[video], args.output / video, algorithm, bar)

    return job.work_through(pending, is_done, write, f"optical flow ({algorithm.name})")


def write_video(
    args: argparse.Namespace, path: Path, folder: Path, algorithm: FlowAlgorithm, bar: tqdm
) -> None:
    """Writes the flow of one video and moves the progress bar by about 1."""
    with open_video(path, stream=args.stream) as reader:
        step = 1 / max(count_pairs(reader, args.fps), 1)
        end = bar.n + 1

        def watched(field: TimedField) -> TimedField:
            bar.update(min(step, end - bar.n))
            return field

        fields = video_flow(reader, algorithm, args.short_side, args.fps)
        write_flow_folder(folder, map(watched, fields), describe_settings(args))
        warn_of_notes(reader)


def describe_disk(args: argparse.Namespace, paths: Sequence[Path], algorithm: FlowAlgorithm) -> str:
    """Says how much disk space the flow of some videos will take, and how much is free.

    The first fields of a few of them, spread over all, are coded, and counted as often as each has
    pairs of frames. A video that begins at rest takes more than that.
    """
    sizes = []
    chosen = paths[:: -(-len(paths) // NUM_SAMPLES)]
    for path in chosen:
        try:
            with open_video(path, stream=args.stream) as reader:
                fields = video_flow(reader, algorithm, args.short_side, args.fps)
                first = [
                    sum(map(round_to_blocks, encode_pictures(flow, args.range)))
                    for _, flow in itertools.islice(fields, FIRST_FIELDS)
                ]
                sizes.append(sum(first) / max(len(first), 1) * count_pairs(reader, args.fps))
        except ValueError:  # it is named when its turn comes
            continue
    free = shutil.disk_usage(args.output).free
    if not sizes:
        return f"none of {len(chosen)} videos could be read to estimate the disk space"
    needed = sum(sizes) / len(sizes) * len(paths)
    if needed > free:
        logger.warning(f"{args.output}: the flow may need more disk space than is free there")
    return (
        f"the flow of {format_count(len(paths), 'video')} will take about {format_bytes(needed)} "
        f"(by the first fields of {len(sizes)}); {format_bytes(free)} are free in {args.output}"
    )


def round_to_blocks(content: bytes) -> int:
    """Returns how many bytes of the disk a file of this content takes."""
    return -(-len(content) // BLOCK_SIZE) * BLOCK_SIZE


def format_bytes(count: float) -> str:
    """Formats a number of bytes as MB or GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def report(output: Path, count: int, failed: Mapping[str, str]) -> None:
    """Prints what was written and what was passed over."""
    print(f"optical flow of {format_count(count - len(failed), 'video')}; written: {output}")
    for why in failed.values():
        print(f"passed over: {why}", file=sys.stderr)
    if failed:
        print(
            f"{format_count(len(failed), 'video')} not in {output}: the same command tries again",
            file=sys.stderr,
        )
