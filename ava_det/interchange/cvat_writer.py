"""Writes labeled boxes as "CVAT for video 1.1", which CVAT reads as the annotations of a task.

Every person is a track labeled `person`; every action is a checkbox, because one person may do
several things at once. A box stands on each keyframe and CVAT draws the frames between; outside="1"
ends a person's presence on the frame after the last keyframe in a row, or before a gap in which
AVA's files, which list no empty keyframes, may mean absence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from xml.sax.saxutils import escape, quoteattr

from ava_det.files import atomic_path, write_text
from ava_det.interchange.clock import FrameClock
from ava_det.interchange.drafts import frames_of, pair_keyframes, tracks_of
from ava_det.interchange.labeled import LabeledBox
from ava_det.video.sources import cut_video_suffix

PERSON = "person"


def write_cvat(
    path: Path,
    source: str,
    clock: FrameClock,
    boxes: Sequence[LabeledBox],
    actions: Sequence[str],
) -> None:
    """Writes a file (.xml) of one video, see `WriteDraft`."""
    assert clock.size is not None
    frames = frames_of(clock, boxes)
    following = {frames[one]: frames[other] for one, other in pair_keyframes(frames).items()}
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="\n") as file,
    ):
        xml = _Writer(file)
        with xml.element("annotations"):
            xml.leaf("version", "1.1")
            _write_meta(xml, source, clock, actions)
            for number, track in enumerate(tracks_of(boxes).values()):
                with xml.element("track", id=str(number), label=PERSON, source="auto"):
                    by_frame = {frames[box.timestamp]: box for box in track}
                    _write_track(xml, by_frame, following, clock, actions)


def write_labels(path: str | Path, actions: Iterable[str]) -> None:
    """Writes what CVAT's label constructor takes under "Raw".

    This is the label `person` with a checkbox for each action.
    """
    checkbox = {
        "input_type": "checkbox",
        "mutable": True,
        "values": ["false"],
        "default_value": "false",
    }
    label = {
        "name": PERSON,
        "type": "rectangle",
        "attributes": [{"name": name, **checkbox} for name in actions],
    }
    write_text(path, json.dumps([label], indent=2, ensure_ascii=False) + "\n")


def _write_meta(xml: _Writer, source: str, clock: FrameClock, actions: Sequence[str]) -> None:
    last = len(clock.seconds) - 1
    width, height = clock.size or (0, 0)
    with xml.element("meta"), xml.element("task"):
        task = {
            "name": cut_video_suffix(source),
            "size": last + 1,
            "mode": "interpolation",
            "start_frame": 0,
        }
        for name, value in {**task, "stop_frame": last, "frame_filter": ""}.items():
            xml.leaf(name, str(value))
        with xml.element("labels"), xml.element("label"):
            xml.leaf("name", PERSON)
            xml.leaf("type", "rectangle")
            with xml.element("attributes"):
                for action in actions:
                    with xml.element("attribute"):
                        xml.leaf("name", action)
                        for name, text in (("mutable", "True"), ("input_type", "checkbox")):
                            xml.leaf(name, text)
                        xml.leaf("default_value", "false")
                        xml.leaf("values", "false")
        with xml.element("original_size"):
            xml.leaf("width", str(width))
            xml.leaf("height", str(height))
        xml.leaf("source", source)


def _write_track(
    xml: _Writer,
    track: Mapping[int, LabeledBox],
    following: Mapping[int, int],
    clock: FrameClock,
    actions: Sequence[str],
) -> None:
    for frame, box in track.items():
        _write_box(xml, frame, box, clock, actions, outside=False)
        leaves = following.get(frame) not in track
        if leaves and frame + 1 < len(clock.seconds) and frame + 1 not in track:
            _write_box(xml, frame + 1, box, clock, actions, outside=True)


def _write_box(
    xml: _Writer,
    frame: int,
    box: LabeledBox,
    clock: FrameClock,
    actions: Sequence[str],
    outside: bool,
) -> None:
    assert box.corners is not None
    assert clock.size is not None
    sides = dict(zip(("xtl", "ytl", "xbr", "ybr"), box.corners, strict=True))
    pixels = {
        side: f"{value * clock.size[side.startswith('y')]:.2f}" for side, value in sides.items()
    }
    flags = {"keyframe": "1", "outside": str(int(outside)), "occluded": "0"}
    with xml.element("box", frame=str(frame), **flags, **pixels, z_order="0"):
        for action in actions:
            xml.leaf("attribute", "true" if action in box.actions else "false", name=action)


class _Writer:
    """Indented XML; the standard library escapes text and attributes."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._indent = ""
        file.write('<?xml version="1.0" encoding="utf-8"?>\n')

    @contextmanager
    def element(self, tag: str, **attributes: str) -> Iterator[None]:
        indent = self._indent
        self._file.write(f"{indent}{_start_tag(tag, attributes)}\n")
        self._indent = indent + "  "
        yield
        self._indent = indent
        self._file.write(f"{indent}</{tag}>\n")

    def leaf(self, tag: str, text: str, **attributes: str) -> None:
        self._file.write(f"{self._indent}{_start_tag(tag, attributes)}{escape(text)}</{tag}>\n")


def _start_tag(tag: str, attributes: Mapping[str, str]) -> str:
    return f"<{tag}{''.join(f' {name}={quoteattr(value)}' for name, value in attributes.items())}>"
