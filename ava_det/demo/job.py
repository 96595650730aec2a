"""Many videos: each its own files, shared out under torchrun, gone on with after a stop, bad ones
passed over.
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
from ava_det.demo.options import SUFFIXES
from ava_det.demo.video import DisplayOptions, Outputs, SamplingOptions, process_video
from ava_det.distributed import gather_objects, is_main_process, process_group
from ava_det.files.shared_jobs import begin_job, share_out
from ava_det.inference.predictor import Predictor
from ava_det.video.sources import Source, video_id_of

PATIENCE = timedelta(days=7)  # processes meet when all have finished: one may have hours more to do
SETTINGS = "demo_settings.json"  # beside the results


@dataclass
class Share:
    """What one process did. failed: video and the sentence why."""

    num_videos: int = 0
    num_keyframes: int = 0
    num_persons: int = 0
    seconds: float = 0.0
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
    """Processes this rank's share of the videos; returns the tool's exit code, 1 where a video
    could not be read.
    """
    began = time.monotonic()
    targets = {video: name_files(video, folders, source.root) for video in source.videos}
    with process_group(torch.device("cpu"), PATIENCE):
        if is_main_process():
            begin(folders, settings)
        mine, num_pending = share_out(
            targets,
            is_done=lambda video: has_all(targets[video]),
            size=lambda video: video.stat().st_size,
        )
        share = {video: targets[video] for video in mine}
        shares = gather_objects(process_share(predictor, share, sampling, display, stop))
        if is_main_process():
            summarize(shares, len(targets), len(targets) - num_pending, time.monotonic() - began)
    return 1 if any(share.failed for share in shares) else 0


def name_files(video: Path, folders: Outputs, root: Path | None) -> Outputs:
    """The files of one video in the folders of a job, at the place it has within `root`."""
    paths = zip(
        SUFFIXES.values(), (folders.video, folders.csv, folders.json, folders.sheet), strict=True
    )
    place = Path() if root is None else video.relative_to(root).parent
    name = video_id_of(video)
    return Outputs(
        *(
            None if folder is None else folder / place / f"{name}{suffix}"
            for suffix, folder in paths
        )
    )


def has_all(files: Outputs) -> bool:
    """Every file appears when it is whole, so what is there is finished."""
    return all(path.is_file() for path in files.paths())


def begin(folders: Outputs, settings: Mapping[str, object]) -> None:
    """Notes the settings beside the results. Raises ConfigError where results of other settings
    stand there.
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
    share = Share()
    for video, files in tqdm(
        videos.items(), desc="videos", unit="video", disable=not is_main_process()
    ):
        try:
            summary = process_video(
                predictor,
                video,
                sampling,
                files,
                display,
                stop,
                keep_when_stopped=False,
                quiet=True,
            )
        except (ValueError, OSError) as error:
            share.failed[str(video)] = " ".join(str(error).split())
            continue
        share.num_videos += 1
        share.num_keyframes += summary.num_keyframes
        share.num_persons += summary.num_persons
        share.seconds += summary.seconds - sampling.start
    return share


def summarize(shares: Sequence[Share], num_videos: int, num_before: int, took: float) -> None:
    """What the job did, and which videos it passed over."""
    failed = {video: why for share in shares for video, why in share.failed.items()}
    done, keyframes, persons = (
        sum(getattr(share, name) for share in shares)
        for name in ("num_videos", "num_keyframes", "num_persons")
    )
    seconds = sum(share.seconds for share in shares)
    print(
        f"{num_videos} videos: {done} processed, {num_before} there before, {len(failed)} passed over; "
        f"{persons} persons on {keyframes} keyframes in {seconds / 60:.1f} min of video, {took / 60:.1f} min"
    )
    for why in failed.values():
        print(f"passed over: {why}", file=sys.stderr)
