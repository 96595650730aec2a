"""Writes the page of a video: one file, which a browser opens from disk."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import numpy as np

from ava_det.files import write_text
from ava_det.formats.keyframe_records import KeyframeRecord, make_records
from ava_det.messages.counts import format_count
from ava_det.pages import render_page
from ava_det.segments import SegmentRules, find_segments
from ava_det.structures import Detections
from ava_det.video.folder import open_video
from ava_det.video.reader import FrameReader
from ava_det.viewer.content import VideoFacts, make_content
from ava_det.viewer.thumbnails import read_thumbnails

MAX_PLAIN_BYTES = 1_000_000  # of JSON; longer data are compressed
MAX_JITTER = 0.0009  # seconds by which steps may differ: Matroska's clock counts milliseconds
MAX_OPEN_ACTIONS = 14  # more actions than that begin folded
SCRIPTS = (
    "page_data.js",
    "detections.js",
    "boxes.js",
    "items.js",
    "events_list.js",
    "timeline.js",
    "page_state.js",
    "theme.js",
    "player.js",
    "viewer.js",
)


def write_view(path: str | Path, title: str, content: Mapping[str, Any]) -> None:
    """Writes the page of a video, whole or not at all; arguments as for `format_view`."""
    write_text(path, format_view(title, content))


def format_view(title: str, content: Mapping[str, Any]) -> str:
    """Formats the page of a video.

    Args:
        title: Of the page, such as the video id.
        content: From `make_content`.
    """
    truth = content["truth"]
    data, data_type = pack(content)
    return render_page(
        "viewer.html",
        title=title,
        subtitle=_describe(content),
        width=content["width"],
        height=content["height"],
        duration=content["duration"],
        truth=None if truth is None else list(truth["counts"].items()),
        open=len(content["actions"]) <= MAX_OPEN_ACTIONS,
        summary=summarize(title, content),
        data=data,
        data_type=data_type,
        scripts=SCRIPTS,
    )


def pack(content: Mapping[str, Any]) -> tuple[str, str]:
    """Formats the data of a page for its `script` element; returns the text and its type."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    encoded = text.encode("utf-8")
    if len(encoded) <= MAX_PLAIN_BYTES:
        return text.replace("<", "\\u003c"), "application/json"
    packed = gzip.compress(encoded, compresslevel=6, mtime=0)
    return base64.b64encode(packed).decode("ascii"), "application/gzip"


def summarize(title: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Describes what happens in a video, for the index: seconds and segments of each action."""
    names = {action_id: (name, color) for action_id, name, color in content["actions"]}
    actions: dict[int, list[float]] = {}
    for _, action_id, start, end, *_ in content["segments"]:
        total = actions.setdefault(action_id, [0, 0.0])
        total[0] += 1
        total[1] += end - start
    return {
        "title": title,
        "duration": content["duration"],
        "persons": len({track for track in content["tracks"] if track}),
        "keyframes": len(content["times"]),
        "actions": [
            [*names[action_id], int(count), round(seconds, 3)]
            for action_id, (count, seconds) in sorted(actions.items())
        ],
        "thumbnail": _choose_thumbnail(content),
    }


def _choose_thumbnail(content: Mapping[str, Any]) -> str | None:
    """Chooses the picture nearest to the middle of the longest segment."""
    if not content["thumbnails"]:
        return None
    longest = max(content["segments"], key=lambda one: one[3] - one[2], default=None)
    middle = content["duration"] / 2 if longest is None else (longest[2] + longest[3]) / 2
    picture: str = min(content["thumbnails"], key=lambda one: abs(one[0] - middle))[1]
    return picture


def _describe(content: Mapping[str, Any]) -> str:
    persons = len({track for track in content["tracks"] if track})
    size = f"{content['width']} x {content['height']}"
    parts = [
        size,
        f"{content['duration']:.1f} s",
        format_count(len(content["times"]), "keyframe"),
        format_count(persons, "person"),
        format_count(len(content["segments"]), "segment"),
    ]
    return " · ".join(parts)


def describe_video(reader: FrameReader, address: str | None) -> VideoFacts:
    """Describes an open video for a page.

    Args:
        reader: The video.
        address: Of its file, for the page; None for a folder of pictures.
    """
    duration = reader.find_end() - reader.start_second
    return VideoFacts(
        address,
        reader.path.name,
        reader.width,
        reader.height,
        duration,
        reader.fps,
        float(reader.delay),
        _find_frames(reader),
    )


def _find_frames(reader: FrameReader) -> list[float] | None:
    """Returns the seconds of all frames since the first; None for a constant rate."""
    frames = reader.listed_seconds() - reader.start_second
    if np.all(np.abs(np.diff(frames) - 1 / reader.fps) < MAX_JITTER):
        return None
    found: list[float] = frames.tolist()
    return found


def address_of(video: Path, folder: Path) -> str | None:
    """Returns the address of a video as a page in a folder names it, relative where possible.

    A folder of pictures has none.
    """
    if video.is_dir():
        return None
    try:
        relative = os.path.relpath(video.resolve(), folder.resolve())
    except ValueError:  # another drive
        return video.resolve().as_uri()
    return quote(Path(relative).as_posix())


class ViewFile:
    """Writes the page of a video from detections that come one by one; use it in a `with` block.

    Args:
        path: The page.
        video: The file or folder of pictures.
        label_map: Action names by 1-based id.
        rules: What a segment is; scores under its lowest are not shown.
        start_second: Annotation time, in seconds, of the video's first frame.
        stream: Which video stream of the file, see `VideoReader`.
    """

    def __init__(
        self,
        path: str | Path,
        video: Path,
        label_map: Mapping[int, str],
        rules: SegmentRules,
        start_second: float,
        stream: int | None = None,
    ) -> None:
        self.path = Path(path)
        self._video = video
        self._label_map = label_map
        self._rules = rules
        self._start_second = start_second
        self._stream = stream
        self._records: list[KeyframeRecord] = []

    def __enter__(self) -> Self:
        return self

    def write(self, detections: Detections) -> None:
        """Adds the detections of a keyframe; raises ValueError for one without `frame_size`."""
        self._records += make_records(
            [detections], self._label_map, self._rules.find_lowest(), self._start_second
        )

    def __exit__(self, *error: Any) -> None:
        if error[0] is not None:
            return
        segments = find_segments(self._records, self._rules)
        with open_video(self._video, self._start_second, self._stream) as reader:
            facts = describe_video(reader, address_of(self._video, self.path.parent))
            pictures = read_thumbnails(reader, facts.duration)
        content = make_content(self._records, segments, facts, pictures)
        title = self._records[0].video if self._records else self._video.name
        write_view(self.path, title, content)
