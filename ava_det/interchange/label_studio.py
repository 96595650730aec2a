"""Reads Label Studio's tasks of video object tracking, as its export "JSON" has them.

A region of type `videorectangle` is a track: boxes in percent on some frames, which count from 1,
straight lines between them. After a box that is not `enabled` the object is away until the next.
Results of other types with a region's id are choices and texts about it, for the whole track.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

from ava_det.interchange.corners import corners_from_pixels
from ava_det.interchange.json_value import JsonValue, load_json
from ava_det.interchange.labeled import Corners
from ava_det.video.sources import cut_video_suffix

EXPECTED = 'an export of Label Studio as "JSON"'
UPLOAD_PREFIX = re.compile(
    r"[0-9a-f]{8}-"
)  # which Label Studio puts before an uploaded file's name
PERCENT = (100.0, 100.0)


class StudioBox(NamedTuple):
    """Holds a box of a track; frame: from 1. corners: xyxy, fractions. stays: to the next one."""

    frame: int
    corners: Corners
    stays: bool
    is_drawn: bool


@dataclass
class StudioTrack:
    """Holds a region: its boxes by frame, its labels, and what was chosen and typed about it."""

    where: str
    boxes: list[StudioBox]
    labels: list[str]
    choices: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)


@dataclass
class StudioTask:
    """Holds what an export says about one video.

    rate: frames a second as Label Studio counted them; None where the file does not say. num_frames
    likewise. spans: (first frame, last frame, label) of no track. is_draft: only predictions.
    """

    where: str
    video_id: str
    rate: float | None = None
    num_frames: float | None = None
    is_draft: bool = False
    tracks: list[StudioTrack] = field(default_factory=list)
    spans: list[tuple[int, int, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def load_label_studio(path: str | Path) -> list[StudioTask]:
    """Loads the tasks of an export; of each its newest annotation, or predictions without one.

    Raises:
        ValueError: The file is no such export; one sentence with the place.
    """
    root = load_json(path, EXPECTED)
    tasks = [root] if isinstance(root.value, dict) else list(root.elements())
    return [_read_task(task) for task in tasks]


def _read_task(content: JsonValue) -> StudioTask:
    annotations = content.find("annotations")
    predictions = content.find("predictions")
    if annotations is None and predictions is None:
        raise ValueError(
            f"{content.where}: expected {EXPECTED} with 'annotations', found none: other forms, "
            "such as JSON-MIN, lose what belongs to which box"
        )
    task = StudioTask(content.where, _find_video(content.child("data")))
    found = _newest(annotations)
    if found is None:
        found = _newest(predictions)
        task.is_draft = found is not None
    others = []
    regions: dict[str, StudioTrack] = {}
    for result in found.child("result").elements() if found else []:
        if result.child("type").text() == "videorectangle":
            regions[result.child("id").text()] = _read_track(result, task)
        else:
            others.append(result)
    for result in others:
        _read_other(result, regions, task)
    task.tracks = list(regions.values())
    return task


def _find_video(data: JsonValue) -> str:
    """Returns the video's id: of the key `video`, or of the only text in the task's data."""
    video = data.find("video")
    if video is None:
        texts = [value for _, value in data.members() if isinstance(value.value, str)]
        if len(texts) != 1:
            raise ValueError(f"{data.where}: expected the key 'video', found none")
        [video] = texts
    name = PurePosixPath(unquote(video.text().split("?")[0])).name
    return cut_video_suffix(UPLOAD_PREFIX.sub("", name, count=1))


def _newest(listing: JsonValue | None) -> JsonValue | None:
    """Returns the last changed of what was not cancelled; the later in the list where none says."""
    newest: tuple[str, int] = ("", -1)
    found = None
    for number, one in enumerate(listing.elements() if listing else []):
        cancelled = one.find("was_cancelled")
        changed = one.find("updated_at") or one.find("created_at")
        rank = (changed.text() if changed else "", number)
        if not (cancelled and cancelled.value) and rank > newest:
            newest, found = rank, one
    return found


def _read_track(result: JsonValue, task: StudioTask) -> StudioTrack:
    value = result.child("value")
    labels = value.find("labels")
    count = value.find("framesCount")
    duration = value.find("duration")
    if count and duration and count.number() > 0 and duration.number() > 0:
        task.num_frames = count.number()
        task.rate = count.number() / duration.number()
    boxes: dict[int, StudioBox] = {}
    for box in value.child("sequence").elements():
        frame = box.child("frame").whole(least=1)
        if frame in boxes:
            raise ValueError(f"{box.where}: expected one box on a frame, found two on {frame}")
        rotation = box.find("rotation")
        if rotation and rotation.number() % 360:
            task.left_out["turned box"] += 1
            continue
        enabled = box.find("enabled")
        automatic = box.find("auto")
        x, y, width, height = (box.child(name).number() for name in ("x", "y", "width", "height"))
        boxes[frame] = StudioBox(
            frame,
            corners_from_pixels(box.where, x, y, width, height, PERCENT),
            enabled is None or bool(enabled.value),
            not (automatic and automatic.value),
        )
    names = [label.text() for label in labels.elements()] if labels else []
    return StudioTrack(result.where, sorted(boxes.values()), names)


def _read_other(result: JsonValue, regions: dict[str, StudioTrack], task: StudioTask) -> None:
    """Adds choices and texts to their track, and spans of time to the task."""
    kind = result.child("type").text()
    value = result.child("value")
    track = regions.get(result.child("id").text()) if result.find("id") else None
    if kind == "choices" and track is not None:
        track.choices += [choice.text() for choice in value.child("choices").elements()]
    elif kind == "textarea" and track is not None:
        text = value.child("text")
        parts = text.elements() if isinstance(text.value, list) else [text]
        track.texts[result.child("from_name").text()] = " ".join(part.text() for part in parts)
    elif kind == "timelinelabels":
        names = [label.text() for label in value.child("timelinelabels").elements()]
        for span in value.child("ranges").elements():
            first, last = (span.child(key).whole(least=1) for key in ("start", "end"))
            task.spans += [(first, last, name) for name in names]
    else:
        task.left_out[f"result of type {kind!r}" + ("" if track else " of no box")] += 1
