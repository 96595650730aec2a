"""Video files: there, readable, whole, and covering the seconds of the annotations."""

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

# seconds by which the frames may end before the header says: sound often goes on a little
MAX_MISSING = 0.5
SLACK = 1.0  # seconds that `FrameReader.require` lets a keyframe stand outside


@dataclass(frozen=True)
class VideoFacts:
    """What a file holds. seconds: from its first frame to the end of its last. promised: what its
    header says.

    fps: average frames a second; frame_rate: what the file is meant to have. They differ where the
    rate varies. shape: size and pixels as the file has them, where those are not square, else None.
    notes: what is made up or changed to read it, as `FrameReader.notes`.
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
        return self.seconds < self.promised - MAX_MISSING


Probed = Mapping[str, VideoFacts | str]  # video id -> facts, or why there are none


def probe_videos(
    videos: Mapping[str, Path], progress: Callable[[Iterable[str]], Iterable[str]]
) -> dict[str, VideoFacts | str]:
    """Opens every video, decodes its first frames and its last; several at a time. `progress` wraps
    the video ids.
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
    """The end of the frames: what the header promises, or where decoding ends before that."""
    if (
        promised <= MAX_MISSING
        or reader.find_at_or_after(Fraction(promised - MAX_MISSING)) is not None
    ):
        return promised
    there = 0.0
    gone = promised - MAX_MISSING
    while gone - there > 0.1:
        middle = (there + gone) / 2
        found = reader.find_at_or_after(Fraction(middle))
        there, gone = (there, middle) if found is None else (max(middle, float(found)), gone)
    return there + 1 / reader.fps


def check_video_files(
    splits: Sequence[SplitRows], videos: Mapping[str, Path], probed: Probed, start_second: float
) -> list[Finding]:
    """Files that are missing, unreadable or cut short, and files that nobody refers to."""
    keyframes = [keyframe for split in splits for keyframe in split.keyframes.iter_rows()]
    findings = []
    for split in splits:
        wanted = split.keyframes["video_id"].unique(maintain_order=True).to_list()
        missing = [video_id for video_id in wanted if video_id not in videos]
        if missing:
            problem = f"video ids of {split.name} without a file: {quote_first(missing)}"
            findings.append(
                Finding(
                    ERROR, split.name, problem, _missing_remedy(missing[0], videos), len(missing)
                )
            )
    wanted_anywhere = {video_id for video_id, _ in keyframes}
    unused = sorted(set(videos) - wanted_anywhere)
    if unused:
        problem = f"video files that no split refers to: {quote_first(unused)}"
        findings.append(
            Finding(NOTE, "data.video_dir", problem, "nothing to do, if that is meant", len(unused))
        )
    for video_id, facts in probed.items():
        if video_id not in wanted_anywhere:
            continue
        if isinstance(facts, str):
            findings.append(
                Finding(ERROR, f"video {video_id}", facts, "fetch or encode the file again")
            )
            continue
        if facts.is_truncated:
            problem = (
                f"frames end after {facts.seconds:.1f} s, the header says {facts.promised:.1f} s"
            )
            lost = any(
                video_id == name and timestamp > start_second + facts.seconds
                for name, timestamp in keyframes
            )
            remedy = "the file is cut short: fetch it again" + (
                "" if lost else " (harmless if only its sound goes on)"
            )
            findings.append(
                Finding(ERROR if lost else WARNING, f"video {video_id}", problem, remedy)
            )
    varying = [
        f"{video_id} ({facts.fps:.2f})"
        for video_id, facts in probed.items()
        if isinstance(facts, VideoFacts) and abs(facts.fps / facts.frame_rate - 1) > 0.02
    ]
    findings += _list_changes(probed)
    if varying:
        problem = f"videos whose frame rate varies: {quote_first(varying)}"
        findings.append(
            Finding(
                NOTE,
                "data.video_dir",
                problem,
                "nothing to do: frames are found by their time",
                len(varying),
            )
        )
    return findings


def _list_changes(probed: Probed) -> list[Finding]:
    """What readers do to videos so that people look as they are and every frame has its second."""
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
    """Keyframes outside their video, with the value of data.start_second, or the unit of time, that
    would mend it.
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
    for split, own in zip(splits, keyframes, strict=True):
        outside = own.filter(~_fits(start_second))
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
        where = place(split.rows, rows[0]) if rows else Path(split.files.boxes).name
        remedy = _find_remedy(pl.concat(keyframes), start_second)
        findings.append(
            Finding(ERROR, where, problem, remedy, len(outside), split.name, tuple(rows))
        )
    return findings


def _fits(start: float, unit: pl.Expr | float = 1.0) -> pl.Expr:
    """Whether keyframes stand in their video, give or take `SLACK`, if its first frame is worth
    `start`.
    """
    moment = pl.col("timestamp") * unit
    return (moment >= start - SLACK) & (moment <= start + pl.col("seconds") + SLACK)


def _find_remedy(keyframes: pl.DataFrame, start_second: float) -> str:
    """What brings most of the keyframes [video_id, timestamp, seconds, fps] that stand outside into
    their videos.
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
        return f"data.start_second from {first} to {last} would hold them all: --sheet shows which is right"
    if outside > len(keyframes) / 2:  # a unit is wrong in most rows or in none
        if count_outside(start_second, 1 / pl.col("fps")) <= few:
            return "timestamps look like frame numbers: divide them by the video's frames a second"
        if count_outside(start_second, 0.001) <= few:
            return "timestamps look like milliseconds: divide them by 1000"
    return "delete these rows, or fetch the whole video; data.start_second is what a video's first frame is worth"
