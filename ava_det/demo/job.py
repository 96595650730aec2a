"""Runs the demo on many videos.

Each video has its own result files. Under torchrun the videos are shared out among the processes. A
stopped job can be continued, and videos that cannot be read are skipped.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event

import torch
from tqdm import tqdm

from ava_det.config import ConfigError
from ava_det.demo.options import SUFFIXES, DisplayOptions, Outputs, SamplingOptions
from ava_det.demo.video import process_video
from ava_det.distributed import gather_objects, is_main_process, process_group
from ava_det.files.job_settings import begin_job
from ava_det.files.shared_jobs import share_out, work_through
from ava_det.inference.predictor import Predictor
from ava_det.video.sources import Source, video_id_of
from ava_det.viewer import write_index

# Processes wait for one another at the end, and one may have hours more to do than another.
TIMEOUT = timedelta(days=7)
SETTINGS = "demo_settings.json"  # stands beside the results


@dataclass
class Share:
    """Describes what one process did.

    Attributes:
        num_videos: Videos it processed.
        num_keyframes: Their keyframes.
        num_persons: Persons on these keyframes.
        seconds: Of video.
        num_events: What was found by --events.
        failed: Each video that could not be read, of all processes, and the sentence why.
    """

    num_videos: int = 0
    num_keyframes: int = 0
    num_persons: int = 0
    seconds: float = 0.0
    num_events: int = 0
    failed: dict[Path, str] = field(default_factory=dict)


def run_job(
    predictor: Predictor,
    source: Source,
    sampling: SamplingOptions,
    folders: Outputs,
    display: DisplayOptions,
    stop: Event,
    settings: Mapping[str, object],
) -> int:
    """Processes this rank's share of the videos.

    Args:
        predictor: Runs the network.
        source: The videos.
        sampling: Which times of each video are processed.
        folders: The folders of the results.
        display: What is drawn.
        stop: The job ends soon after it is set.
        settings: The options, by name, that all results in a folder must share.

    Returns:
        The exit code of the tool: 1 where a video could not be read, else 0.

    Raises:
        ConfigError: A folder holds results of other settings.
    """
    began = time.monotonic()
    targets = {video: name_files(video, folders, source.root) for video in source.videos}
    with process_group(torch.device("cpu"), TIMEOUT):
        if is_main_process():
            record_settings(folders, settings)
        videos, num_pending = share_out(
            targets,
            is_done=lambda video: is_finished(targets[video]),
            size=lambda video: video.stat().st_size,
        )
        share = {video: targets[video] for video in videos}
        shares = gather_objects(process_share(predictor, share, sampling, display, stop))
        if is_main_process():
            if folders.view is not None and folders.view.is_dir():
                write_index(folders.view)
            summarize(shares, len(targets), len(targets) - num_pending, time.monotonic() - began)
    return 1 if any(share.failed for share in shares) else 0


def name_files(video: Path, folders: Outputs, root: Path | None) -> Outputs:
    """Names the result files of one video.

    Args:
        video: The video.
        folders: The folders of the results.
        root: Folder of all videos; the folders between it and the video are kept in the results.
            None for none.
    """
    place = Path() if root is None else video.relative_to(root).parent
    name = video_id_of(video)
    return Outputs(
        *(
            None if folder is None else folder / place / f"{name}{SUFFIXES[option]}"
            for option, folder in folders.by_option().items()
        )
    )


def is_finished(files: Outputs) -> bool:
    """Returns whether all result files of a video exist; each appears only when complete."""
    return all(path.is_file() for path in files.paths())


def record_settings(folders: Outputs, settings: Mapping[str, object]) -> None:
    """Writes the settings into the folders of the results.

    Raises:
        ConfigError: A folder holds results of other settings.
    """
    for folder in dict.fromkeys(folders.paths()):
        for name, before, now in begin_job(folder / SETTINGS, settings, absent=str(None)):
            raise ConfigError(
                f"{folder}: holds results of another --{name.replace('_', '-')} ({before}), "
                f"expected that or another folder, received {now}"
            )


def process_share(
    predictor: Predictor,
    videos: Mapping[Path, Outputs],
    sampling: SamplingOptions,
    display: DisplayOptions,
    stop: Event,
) -> Share:
    """Processes videos one after the other, and skips those that cannot be read.

    Args:
        predictor: Runs the network.
        videos: Each video and its result files.
        sampling: Which times of each video are processed.
        display: What is drawn.
        stop: Processing ends soon after it is set.
    """
    share = Share()

    def process(video: Path, _: tqdm) -> None:
        summary = process_video(
            predictor,
            video,
            sampling,
            videos[video],
            display,
            stop,
            keep_when_stopped=False,
            quiet=True,
        )
        share.num_videos += 1
        share.num_keyframes += summary.num_keyframes
        share.num_persons += summary.num_persons
        share.num_events += sum(summary.events.values())
        share.seconds += summary.seconds - sampling.start

    share.failed = work_through(list(videos), "videos", process)
    return share


def summarize(shares: Sequence[Share], num_videos: int, num_before: int, elapsed: float) -> None:
    """Prints what the job did, and which videos it skipped.

    Args:
        shares: Of all processes.
        num_videos: Of the job.
        num_before: Videos that were finished before this run.
        elapsed: Seconds of this run.
    """
    failed = shares[0].failed
    done, keyframes, persons = (
        sum(getattr(share, name) for share in shares)
        for name in ("num_videos", "num_keyframes", "num_persons")
    )
    seconds = sum(share.seconds for share in shares)
    events = sum(share.num_events for share in shares)
    print(
        f"{num_videos} videos: {done} processed, {num_before} there before, "
        f"{len(failed)} passed over; {persons} persons on {keyframes} keyframes "
        f"{f'({events} events) ' if events else ''}"
        f"in {seconds / 60:.1f} min of video, {elapsed / 60:.1f} min"
    )
    for why in failed.values():
        print(f"passed over: {why}", file=sys.stderr)
