"""Runs the demo on many videos.

Each video has its own result files. All processes that run the same command share the videos, under
torchrun or not. A stopped job can be continued, and videos that cannot be read are skipped.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import torch
from tqdm import tqdm

from ava_det.config import ConfigError
from ava_det.demo.options import SUFFIXES, DisplayOptions, Outputs, SamplingOptions
from ava_det.demo.video import process_video
from ava_det.distributed import gather_objects, is_main_process, process_group
from ava_det.inference.predictor import Predictor
from ava_det.jobs.settings import begin_job
from ava_det.jobs.shared_job import PATIENCE, SharedJob, shared_job
from ava_det.messages.counts import format_count
from ava_det.video.sources import Source, video_id_of
from ava_det.viewer import write_index

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
        failed: Each video that could not be read, of all processes of torchrun, and the sentence
            why; by name, see `name_video`.
    """

    num_videos: int = 0
    num_keyframes: int = 0
    num_persons: int = 0
    seconds: float = 0.0
    num_events: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def run_job(
    predictor: Predictor,
    source: Source,
    sampling: SamplingOptions,
    folders: Outputs,
    display: DisplayOptions,
    stop: Event,
    settings: Mapping[str, object],
) -> int:
    """Processes videos that no other process has, until all have results.

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
    videos = {
        name_video(video, source.root): (video, name_files(video, folders, source.root))
        for video in source.videos
    }
    with (
        process_group(torch.device("cpu"), PATIENCE),
        shared_job(folders.paths()[0]) as job,
    ):
        if is_main_process():
            record_settings(folders, settings)
        pending = job.find_pending(
            videos,
            is_done=lambda name: is_finished(videos[name][1]),
            size=lambda name: videos[name][0].stat().st_size,
        )
        todo = {name: videos[name] for name in pending}
        shares = gather_objects(process_share(predictor, job, todo, sampling, display, stop))
        if is_main_process():
            if folders.view is not None and folders.view.is_dir():
                write_index(folders.view)
            summarize(shares, len(videos), len(pending), time.monotonic() - began)
    return 1 if any(share.failed for share in shares) else 0


def name_video(video: Path, root: Path | None) -> str:
    """Names a video within a job: its id, after the folders between it and the root.

    Args:
        video: The video.
        root: Folder of all videos, None for none.
    """
    place = Path() if root is None else video.relative_to(root).parent
    return (place / video_id_of(video)).as_posix()


def name_files(video: Path, folders: Outputs, root: Path | None) -> Outputs:
    """Names the result files of one video.

    Args:
        video: The video.
        folders: The folders of the results.
        root: Folder of all videos; the folders between it and the video are kept in the results.
            None for none.
    """
    name = name_video(video, root)
    return Outputs(
        *(
            None if folder is None else folder / f"{name}{SUFFIXES[option]}"
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
    job: SharedJob,
    videos: Mapping[str, tuple[Path, Outputs]],
    sampling: SamplingOptions,
    display: DisplayOptions,
    stop: Event,
) -> Share:
    """Processes videos one after the other, and passes over those that cannot be read.

    Args:
        predictor: Runs the network.
        job: Says which of the videos are for this process.
        videos: Name -> a video that is not done yet, and its result files.
        sampling: Which times of each video are processed.
        display: What is drawn.
        stop: Processing ends soon after it is set.
    """
    share = Share()

    def process(name: str, _: tqdm) -> None:
        video, files = videos[name]
        summary = process_video(
            predictor, video, sampling, files, display, stop, keep_when_stopped=False, quiet=True
        )
        share.num_videos += 1
        share.num_keyframes += summary.num_keyframes
        share.num_persons += summary.num_persons
        share.num_events += sum(summary.events.values())
        share.seconds += summary.seconds - sampling.start

    share.failed = job.work_through(
        list(videos), lambda name: is_finished(videos[name][1]), process, "videos", stop
    )
    return share


def summarize(shares: Sequence[Share], num_videos: int, num_pending: int, elapsed: float) -> None:
    """Prints what the job did, and which videos it passed over.

    Args:
        shares: Of all processes of torchrun.
        num_videos: Of the job.
        num_pending: Videos that were not finished before this run.
        elapsed: Seconds of this run.
    """
    failed = shares[0].failed
    done, keyframes, persons = (
        sum(getattr(share, name) for share in shares)
        for name in ("num_videos", "num_keyframes", "num_persons")
    )
    seconds = sum(share.seconds for share in shares)
    events = sum(share.num_events for share in shares)
    num_elsewhere = num_pending - done - len(failed)
    found = f"({format_count(events, 'event')}) " if events else ""
    elsewhere = f"{num_elsewhere} by other processes, " if num_elsewhere else ""
    print(
        f"{format_count(num_videos, 'video')}: {done} processed, "
        f"{elsewhere}{num_videos - num_pending} there before, {len(failed)} passed over; "
        f"{format_count(persons, 'person')} on {format_count(keyframes, 'keyframe')} "
        f"{found}in {seconds / 60:.1f} min of video, {elapsed / 60:.1f} min"
    )
    for why in failed.values():
        print(f"passed over: {why}", file=sys.stderr)
