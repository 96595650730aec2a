"""Counts what an archive holds, and writes a page about it."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ava_det.archive.manifest import Entry
from ava_det.archive.outcomes import Failure
from ava_det.files import write_text
from ava_det.pages import render_page
from ava_det.segments import Segment

MAX_LISTED = 20  # slowest videos
MAX_FAILED = 200  # failed ones; failed.csv has all


@dataclass
class Summary:
    """Counts what an archive holds, video by video.

    Attributes:
        every: Seconds between keyframes.
        times: By video id, the seconds that the work took, where they were logged.
        failures: The videos without a result.
        num_videos: Those with a result.
        num_keyframes: Of all videos.
        num_persons: Tracks of all videos.
        seconds: Of video.
        num_segments: By action.
        num_videos_with: By action, the videos it is in.
        action_seconds: By action, over all persons; a keyframe counts for the time to the next.
        slowest: Seconds of work, path and seconds of video, the longest work first.
    """

    every: float
    times: Mapping[str, float]
    failures: list[Failure] = field(default_factory=list)
    num_videos: int = 0
    num_keyframes: int = 0
    num_persons: int = 0
    seconds: float = 0.0
    num_segments: Counter[str] = field(default_factory=Counter)
    num_videos_with: Counter[str] = field(default_factory=Counter)
    action_seconds: dict[str, float] = field(default_factory=dict)
    slowest: list[tuple[float, str, float]] = field(default_factory=list)

    def add_video(
        self,
        entry: Entry,
        last_time: float,
        num_keyframes: int,
        num_persons: int,
        segments: Iterable[Segment],
    ) -> None:
        """Adds a video.

        Args:
            entry: The video.
            last_time: Of its last keyframe, in seconds of the file.
            num_keyframes: Its keyframes.
            num_persons: Its tracks.
            segments: Who did what in it.
        """
        seconds = last_time + self.every if num_keyframes else 0.0
        self.num_videos += 1
        self.num_keyframes += num_keyframes
        self.num_persons += num_persons
        self.seconds += seconds
        actions = set()
        for segment in segments:
            actions.add(segment.action)
            self.num_segments[segment.action] += 1
            before = self.action_seconds.get(segment.action, 0.0)
            self.action_seconds[segment.action] = before + segment.duration + self.every
        self.num_videos_with.update(actions)
        if entry.id in self.times:
            row = (self.times[entry.id], shown(entry.path), seconds)
            self.slowest = heapq.nlargest(MAX_LISTED, [*self.slowest, row])


def write_summary(path: Path, title: str, summary: Summary) -> None:
    """Writes the page of an archive, which loads nothing from elsewhere.

    Args:
        path: The page, .html.
        title: Of the page, such as the name of the archive's folder.
        summary: What it shows.
    """
    hours = summary.seconds / 3600
    work = sum(summary.times.values())
    figures = [
        ("videos", f"{summary.num_videos:,}"),
        ("hours of video", f"{hours:,.2f}"),
        ("persons (tracks)", f"{summary.num_persons:,}"),
        ("keyframes", f"{summary.num_keyframes:,}"),
        ("failed videos", f"{len(summary.failures):,}"),
    ]
    if work:
        figures.append(("hours of video in an hour of a worker", f"{summary.seconds / work:,.2f}"))
    actions = [
        (
            name,
            f"{count:,}",
            f"{count / hours:,.2f}",
            f"{summary.action_seconds[name] / 3600:,.3f}",
            f"{summary.num_videos_with[name]:,}",
        )
        for name, count in summary.num_segments.most_common()
    ]
    page = render_page(
        "archive.html",
        title=title,
        figures=figures,
        actions=actions,
        slowest=[
            (name, f"{took:,.1f}", f"{seconds:,.1f}", f"{took / seconds:.2f}" if seconds else "")
            for took, name, seconds in summary.slowest
        ],
        failures=[
            (shown(one.path), one.attempts, one.error) for one in summary.failures[:MAX_FAILED]
        ],
        num_unlisted=max(len(summary.failures) - MAX_FAILED, 0),
    )
    write_text(path, page)


def shown(path: str) -> str:
    """Replaces bytes of a path that are no UTF-8, which no page can hold."""
    return path.encode("utf-8", "replace").decode()
