"""Checks that video files exist, are readable and whole, and contain the annotated seconds."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import polars as pl

from ava_det.dataset_check.findings import ERROR, NOTE, WARNING, Finding, place, quote_first
from ava_det.dataset_check.overlaps import KEYFRAME
from ava_det.dataset_check.split_rows import SplitRows
from ava_det.formats.annotations import format_timestamp
from ava_det.video.folder import open_video
from ava_det.video.reader import FrameReader, VideoError
from ava_det.video.sources import cut_video_suffix

# The frames may end this many seconds before the end in the header: sound is often a little longer.
MAX_MISSING = 0.5
SLACK = 1.0  # a keyframe may be this many seconds outside its video, as in `FrameReader.require`


@dataclass(frozen=True)
class VideoFacts:
    """Describes the contents of a video file.

    Attributes:
        path: The file, or the folder of pictures.
        seconds: From its first frame to the end of its last.
        promised: The same according to the header.
        fps: Average frames per second.
        frame_rate: Nominal frames per second; differs from `fps` where the rate varies.
        width: In square pixels.
        height: In square pixels.
        shape: Stored size and pixel aspect ratio, as text; None where pixels are square.
        notes: What is guessed or changed to read it, as in `FrameReader.notes`.
    """

    path: Path
    seconds: float
    promised: float
    fps: float
    frame_rate: float
    width: int
    height: int
    shape: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_truncated(self) -> bool:
        """Returns whether the frames end before the end that the header gives."""
        return self.seconds < self.promised - MAX_MISSING


Probed = Mapping[str, VideoFacts | str]  # video id -> facts, or why there are none


def probe_videos(
    videos: Mapping[str, Path], progress: Callable[[Iterable[str]], Iterable[str]]
) -> dict[str, VideoFacts | str]:
    """Opens every video and decodes its first and its last frames, several videos at a time.

    Args:
        videos: Paths by video id.
        progress: Wraps the video ids, as tqdm does.

    Returns:
        By video id the facts, or a sentence that says why the video cannot be read.
    """
    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        pending = {video_id: pool.submit(_probe, path) for video_id, path in videos.items()}
        return {video_id: pending[video_id].result() for video_id in progress(list(pending))}


def _probe(path: Path) -> VideoFacts | str:
    try:
        with open_video(path) as reader:
            promised = reader.find_end()
            seconds = _find_last_second(reader, promised)
            rate = float(reader.frame_rate)
            size = reader.width, reader.height
            aspect = reader.pixel_aspect
            stored = "{}x{}".format(*reader.stored_size)
            pixels = f"{aspect.numerator}:{aspect.denominator}"
            shape = None if size == reader.stored_size else f"{stored}, {pixels}"
            notes = tuple(reader.notes)
            return VideoFacts(path, seconds, promised, reader.fps, rate, *size, shape, notes)
    except VideoError as error:
        return str(error).removeprefix(f"{path}: ")


def _find_last_second(reader: FrameReader, promised: float) -> float:
    """Finds the end of the frames: what the header promises, or where decoding ends before it."""
    if (
        promised <= MAX_MISSING
        or reader.find_at_or_after(Fraction(promised - MAX_MISSING)) is not None
    ):
        return promised
    there = 0.0
    gone = promised - MAX_MISSING
    while gone - there > 0.1:
        middle = (there + gone) / 2
        second = reader.find_at_or_after(Fraction(middle))
        there, gone = (there, middle) if second is None else (max(middle, float(second)), gone)
    return there + 1 / reader.fps


def check_video_files(
    splits: Sequence[SplitRows], videos: Mapping[str, Path], probed: Probed, start_second: float
) -> list[Finding]:
    """Checks the video files.

    Finds files that are missing, unreadable or cut short, files that no split refers to, and files
    that are changed to be read.

    Args:
        splits: The rows of every split.
        videos: The paths of all videos of the folder, by video id.
        probed: The facts of the videos that the splits refer to.
        start_second: Annotation time, in seconds, of a video's first frame.

    Returns:
        The findings.
    """
    findings = []
    for split in splits:
        findings += _find_missing(split, videos)
    last: dict[str, float] = {}  # second of the last keyframe, by video
    for split in splits:
        for video_id, timestamp in split.keyframes.iter_rows():
            last[video_id] = max(last.get(video_id, timestamp), timestamp)
    unused = sorted(set(videos) - set(last))
    if unused:
        problem = f"video files that no split refers to: {quote_first(unused)}"
        remedy = "nothing to do, if that is meant"
        findings.append(Finding(NOTE, "data.video_dir", problem, remedy, len(unused)))
    for video_id, facts in probed.items():
        if video_id in last:
            findings += _check_whole(video_id, facts, last[video_id], start_second)
    return findings + _list_changes(probed)


def _find_missing(split: SplitRows, videos: Mapping[str, Path]) -> list[Finding]:
    """Finds the video ids of a split without a file."""
    wanted = split.keyframes["video_id"].unique(maintain_order=True).to_list()
    missing = [video_id for video_id in wanted if video_id not in videos]
    if not missing:
        return []
    problem = f"video ids of {split.name} without a file: {quote_first(missing)}"
    return [Finding(ERROR, split.name, problem, _missing_remedy(missing[0], videos), len(missing))]


def _check_whole(
    video_id: str, facts: VideoFacts | str, last: float, start_second: float
) -> list[Finding]:
    """Checks that a file is readable and not cut short; `last`: timestamp of the last keyframe."""
    where = f"video {video_id}"
    if isinstance(facts, str):
        return [Finding(ERROR, where, facts, "fetch or encode the file again")]
    if not facts.is_truncated:
        return []
    problem = f"frames end after {facts.seconds:.1f} s, the header says {facts.promised:.1f} s"
    remedy = "the file is cut short: fetch it again"
    if last > start_second + facts.seconds:
        return [Finding(ERROR, where, problem, remedy)]
    return [Finding(WARNING, where, problem, f"{remedy} (harmless if only its sound goes on)")]


def _list_changes(probed: Probed) -> list[Finding]:
    """Lists what readers change or repair: pixels that are not square, times, varying rates."""
    facts = {name: one for name, one in probed.items() if isinstance(one, VideoFacts)}
    squeezed = [f"{name} ({one.shape})" for name, one in facts.items() if one.shape is not None]
    findings = []
    if squeezed:
        problem = f"videos whose pixels are not square: {quote_first(squeezed)}"
        remedy = "nothing to do: they are read with square ones, published frame grids as stored"
        findings.append(Finding(NOTE, "data.video_dir", problem, remedy, len(squeezed)))
    for name, one in facts.items():
        for note in one.notes:
            remedy = "nothing to do if that is right, else encode the file anew"
            findings.append(Finding(NOTE, f"video {name}", note, remedy))
    varying = [
        f"{name} ({one.fps:.2f})"
        for name, one in facts.items()
        if abs(one.fps / one.frame_rate - 1) > 0.02
    ]
    if varying:
        problem = f"videos whose frame rate varies: {quote_first(varying)}"
        remedy = "nothing to do: frames are found by their time"
        findings.append(Finding(NOTE, "data.video_dir", problem, remedy, len(varying)))
    return findings


def _missing_remedy(video_id: str, videos: Mapping[str, Path]) -> str:
    if not videos:
        return "there is no video in data.video_dir: name the folder where they lie"
    file_name = cut_video_suffix(Path(video_id).name)
    if file_name in videos:
        return f"a video id is the file's name without folder and extension: {file_name}"
    near = difflib.get_close_matches(video_id.lower(), [name.lower() for name in videos], 1, 0.8)
    names = [name for name in videos if near and name.lower() == near[0]]
    return f"is it {names[0]}?" if names else "fetch the videos, or take their rows out"


def check_seconds(
    splits: Sequence[SplitRows], probed: Probed, start_second: float
) -> list[Finding]:
    """Finds keyframes outside their video.

    The remedy of such a finding names the data.start_second, or the unit of time, that would bring
    them into their videos.

    Args:
        splits: The rows of every split.
        probed: The facts of their videos.
        start_second: Annotation time, in seconds, of a video's first frame.

    Returns:
        One finding for each split with such keyframes.
    """
    lengths = pl.DataFrame(
        [
            (name, facts.seconds, facts.fps)
            for name, facts in probed.items()
            if isinstance(facts, VideoFacts)
        ],
        {"video_id": pl.String, "seconds": pl.Float64, "fps": pl.Float64},
        orient="row",
    )
    keyframes = [split.keyframes.join(lengths, on="video_id") for split in splits]
    findings = []
    for split, split_keyframes in zip(splits, keyframes, strict=True):
        outside = split_keyframes.filter(~_fits(start_second))
        if not len(outside):
            continue
        video_id, timestamp, seconds, _ = outside.row(0)
        problem = (
            f"keyframes outside their video, such as {video_id} {format_timestamp(timestamp)}: "
            f"it has {start_second:g}..{start_second + seconds:.1f} s"
        )
        rows = (
            split.table.join(outside, on=KEYFRAME, how="semi")
            .unique(KEYFRAME)["row"]
            .sort()
            .to_list()
        )
        where = place(split.rows, rows[0]) if rows else split.files.where_boxes
        remedy = _find_remedy(pl.concat(keyframes), start_second)
        findings.append(
            Finding(ERROR, where, problem, remedy, len(outside), split.name, tuple(rows))
        )
    return findings


def _fits(start: float, unit: pl.Expr | float = 1.0) -> pl.Expr:
    """Finds which keyframes are in their video, up to `SLACK` s outside, for a start_second.

    Their timestamps times `unit` are seconds.
    """
    moment = pl.col("timestamp") * unit
    return (moment >= start - SLACK) & (moment <= start + pl.col("seconds") + SLACK)


def _find_remedy(keyframes: pl.DataFrame, start_second: float) -> str:
    """Finds what brings most keyframes that are outside into their videos.

    `keyframes` has the columns video_id, timestamp, seconds (of the video) and fps.
    """

    def count_outside(start: float, unit: pl.Expr | float = 1.0) -> int:
        return len(keyframes.filter(~_fits(start, unit)))

    outside = count_outside(start_second)
    few = 0.2 * outside
    for start in sorted((0.0, 900.0), key=count_outside):
        left = count_outside(start)
        if left <= few:
            return f"data.start_second={start:g}" + (
                f" ({left} keyframes stay outside)" if left else ""
            )
    first = math.ceil(keyframes.select((pl.col("timestamp") - pl.col("seconds")).max()).item())
    last = math.floor(keyframes.select(pl.col("timestamp").min()).item())
    if first <= last:
        return (
            f"data.start_second from {first} to {last} would hold them all: --sheet shows which "
            "is right"
        )
    if outside > len(keyframes) / 2:  # a unit is wrong in most rows or in none
        if count_outside(start_second, 1 / pl.col("fps")) <= few:
            return "timestamps look like frame numbers: divide them by the video's frames a second"
        if count_outside(start_second, 0.001) <= few:
            return "timestamps look like milliseconds: divide them by 1000"
    return (
        "delete these rows, or fetch the whole video; data.start_second is the annotation "
        "time of a video's first frame"
    )
