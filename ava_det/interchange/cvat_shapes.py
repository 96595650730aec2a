"""Reads what was drawn: the tracks of an export for video, the images of one for images.

Persons are upright boxes. Everything else, and every box that is turned, is counted and left out.
"""

from __future__ import annotations

import re
from pathlib import Path

from ava_det.interchange.cvat_task import CvatBox, CvatTask, CvatTrack
from ava_det.interchange.xml_sections import Section

# CVAT names the frames of a video so, by their number in it, with and without saved pictures
_FRAME_NAME = re.compile(r"(?:.*/)?frame_(\d+)(?:\.\w+)?", re.IGNORECASE)


def read_track(path: Path, track: Section, task: CvatTask) -> None:
    """Adds a track to its task.

    Args:
        path: Of the export, for messages.
        track: A <track> with its shapes.
        task: Gets the track, if it has boxes, and the count of what was left out.

    Raises:
        ValueError: A number is none, a frame is not of the task, or two boxes share one.
    """
    track_id = whole_number(path, track, track.attributes.get("id", ""), "id")
    label = track.attributes.get("label", "")
    boxes: list[CvatBox] = []
    seen: set[int] = set()
    for shape in track.children:
        where = f"{path}, line {shape.line}: track {track_id}"
        if _leaves_out(where, shape, label, task):
            continue
        text = shape.attributes.get("frame", "")
        frame = whole_number(path, shape, text, "frame") - task.first_frame
        _check_frame(where, frame, task)
        if frame in seen:
            raise ValueError(f"{where}: expected one box on a frame, found two on frame {frame}")
        seen.add(frame)
        if shape.attributes.get("outside") != "1":
            boxes.append(_read_box(where, shape, frame))
    if boxes or not track.children:
        task.tracks.append(CvatTrack(track_id, label, sorted(boxes)))


def read_frame_number(path: Path, image: Section) -> int:
    """Finds which frame of a video an <image> is; ValueError where it is a picture of its own."""
    name = image.attributes.get("name", "")
    match = _FRAME_NAME.fullmatch(name)
    if match is None:
        raise ValueError(
            f"{path}, line {image.line}: expected an export as 'CVAT for video 1.1', found one "
            "for images that are "
            f"no frames of a video ({name!r}, expected names such as 'frame_000012')"
        )
    return int(match[1])


def read_image(path: Path, image: Section, frame: int, task: CvatTask) -> None:
    """Adds the boxes on one frame, each a track of its own, to the task; else as `read_track`."""
    _check_frame(f"{path}, line {image.line}", frame, task)
    for shape in image.children:
        label = shape.attributes.get("label", "")
        where = f"{path}, line {shape.line}: frame {frame}"
        if not _leaves_out(where, shape, label, task):
            task.tracks.append(CvatTrack(None, label, [_read_box(where, shape, frame)]))


def _leaves_out(where: str, shape: Section, label: str, task: CvatTask) -> bool:
    """Returns whether a shape is no upright box; such shapes are counted where they are in view."""
    kind = shape.tag
    if kind == "box":
        try:
            rotation = float(shape.attributes.get("rotation", 0)) % 360
        except ValueError as error:
            raise ValueError(f"{where}: expected a number as rotation ({error})") from None
        if not rotation:
            return False
        kind = "turned box"
    if shape.attributes.get("outside") != "1":
        task.left_out[kind, label] += 1
    return True


def _check_frame(where: str, frame: int, task: CvatTask) -> None:
    if task.frames is not None and frame not in task.frames:
        steps = f", every {task.frames.step}th" if task.frames.step > 1 else ""
        expected = f"{task.frames.start}..{task.frames.stop - 1}{steps}"
        raise ValueError(f"{where}: expected frames {expected} of the task, found {frame}")


def _read_box(where: str, shape: Section, frame: int) -> CvatBox:
    try:
        x1, y1, x2, y2 = (float(shape.attributes[side]) for side in ("xtl", "ytl", "xbr", "ybr"))
    except (KeyError, ValueError) as error:
        raise ValueError(f"{where}: expected numbers as xtl, ytl, xbr and ybr ({error})") from None
    if not (x1 < x2 and y1 < y2):
        found = f"{x1:g},{y1:g},{x2:g},{y2:g}"
        raise ValueError(f"{where}: expected a box with xtl < xbr and ytl < ybr, found {found}")
    attributes = tuple(
        (child.attributes.get("name", ""), child.text.strip()) for child in shape.children
    )
    is_keyframe = shape.attributes.get("keyframe") != "0"
    return CvatBox(frame, (x1, y1, x2, y2), is_keyframe, attributes, shape.line)


def whole_number(path: Path, section: Section, text: str, name: str) -> int:
    """Reads an attribute or element that is a whole number; else ValueError naming its line."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            f"{path}, line {section.line}: expected a whole number as {name} of <{section.tag}>, "
            f"found {text!r}"
        ) from None
