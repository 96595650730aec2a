"""Defines what the demo is asked for: files, times, actions; and what it tells of a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ava_det.events.rules import Rule
from ava_det.segments import SegmentRules

SUFFIXES = {  # of its files, by option
    "output": ".mp4",
    "csv": ".csv",
    "json": ".jsonl",
    "sheet": ".png",
    "segments": ".segments.csv",
    "view": ".html",
    "tubes": ".tubes.jsonl",
}


@dataclass(frozen=True)
class Outputs:
    """Describes the result files of one video; None for those that are not wanted.

    Attributes:
        video: The overlay.
        csv: The scores.
        json: The keyframes, as JSON lines.
        sheet: The contact sheet.
        segments: The table of segments.
        view: The page on which the video plays with its boxes.
        tubes: The tubes, as JSON lines.
    """

    video: Path | None
    csv: Path | None
    json: Path | None
    sheet: Path | None
    segments: Path | None = None
    view: Path | None = None
    tubes: Path | None = None

    def by_option(self) -> dict[str, Path | None]:
        """Returns the files by the option that names each, see `SUFFIXES`."""
        files = (self.video, self.csv, self.json, self.sheet, self.segments, self.view, self.tubes)
        return dict(zip(SUFFIXES, files, strict=True))

    def paths(self) -> list[Path]:
        """Returns the files that are wanted."""
        return [path for path in self.by_option().values() if path is not None]


class EventOptions(NamedTuple):
    """Describes which events are looked for.

    Attributes:
        rules: The rules.
        label_map: Names of all actions by id, those too that are not shown.
        thresholds: By id, the score from which an action is named in an event.
    """

    rules: Sequence[Rule]
    label_map: Mapping[int, str]
    thresholds: Mapping[int, float]


@dataclass(frozen=True)
class DisplayOptions:
    """Describes what is shown.

    Attributes:
        label_map: Action id to name.
        thresholds: Action id to the score from which it is shown.
        topk: Most actions shown for a person.
        segments: What a segment is; by default an action begins and ends at its threshold.
        events: Which events are looked for; None for none.
    """

    label_map: Mapping[int, str]
    thresholds: Mapping[int, float]
    topk: int
    segments: SegmentRules | None = None
    events: EventOptions | None = None

    def segment_rules(self) -> SegmentRules:
        """Returns what a segment is."""
        return self.segments or SegmentRules(self.thresholds, {})


@dataclass(frozen=True)
class SamplingOptions:
    """Describes which times of a video are processed, in seconds of the file.

    Attributes:
        every: Seconds between keyframes.
        start: Where processing begins.
        end: Where processing ends, exclusive.
        smooth: Seconds over which scores are averaged.
        stream: Which video stream of a file, see `VideoReader`.
        hwaccel: Which kind of device decodes a file, see `VideoReader`.
    """

    every: float
    start: float
    end: float
    smooth: float
    stream: int | None = None
    hwaccel: str | None = None


@dataclass
class VideoSummary:
    """Describes what a video contained.

    Attributes:
        num_keyframes: Keyframes that were written.
        num_persons: Persons on them.
        seconds: Time in the file of the last frame that was written.
        events: Number of events by rule.
    """

    num_keyframes: int = 0
    num_persons: int = 0
    seconds: float = 0.0
    events: Mapping[str, int] = field(default_factory=dict)
