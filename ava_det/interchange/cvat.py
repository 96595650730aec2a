"""Reads CVAT's exports as "CVAT for video 1.1": tracks of boxes on frames, with attributes.

The format is documented at https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/ and,
element by element, under "XML annotation format". Every frame of a track is listed, interpolated
ones too (keyframe="0"), until a box with outside="1" says that the person is gone. Frame numbers
are those of the video, whatever the task's start frame and step; in the export of a whole project
those of each task go on where the last task's end.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from ava_det.formats.ava_csv.foreign import describe_foreign_file
from ava_det.interchange.xml_sections import Section, read_sections
from ava_det.video.sources import cut_video_suffix

# what a select or text attribute says where nobody has chosen
NOTHING_CHOSEN = ("", "__undefined__")
Attributes = dict[tuple[str, str], tuple[str, tuple[str, ...]]]


class CvatBox(NamedTuple):
    """A person on one frame. corners: xyxy, pixels. is_keyframe: drawn by hand, not interpolated.
    attributes: names and values.
    """

    frame: int
    corners: tuple[float, float, float, float]
    is_keyframe: bool
    attributes: tuple[tuple[str, str], ...]
    line: int


@dataclass
class CvatTrack:
    """One person, or one action of one person, over time; boxes where it is in view, by frame."""

    track_id: int
    label: str
    boxes: list[CvatBox]


@dataclass
class CvatTask:
    """What one video of an export holds.

    frames: those the annotators saw, None where the file does not say; size: (width, height) in
    pixels, likewise. attributes: (label, attribute) -> its kind and its values, as the file
    declares them.
    """

    path: str
    video_id: str
    frames: range | None
    size: tuple[int, int] | None
    attributes: Attributes
    labels: list[str]
    first_frame: int = 0  # the number the export gives to the video's frame 0
    tracks: list[CvatTrack] = field(default_factory=list)

    @property
    def last_frame(self) -> int:
        """Of the task, or else of its boxes."""
        return (
            self.frames[-1]
            if self.frames
            else max((box.frame for t in self.tracks for box in t.boxes), default=0)
        )


def load_cvat(path: str | Path) -> list[CvatTask]:
    """The tasks of an export: an annotations.xml, or the zip archive around it. One task but for a
    whole project.

    A video's id is its file's name without extension; the export of a single job does not name it:
    then the name of the export is taken. Raises ValueError in one sentence naming the line and the
    track.
    """
    path = Path(path)
    tasks: dict[str, CvatTask] = {}
    with _open_xml(path) as file:
        for section in read_sections(file, str(path), "annotations"):
            if section.tag == "version" and section.text.strip() != "1.1":
                raise ValueError(
                    f"{path}, line {section.line}: expected version 1.1 of the format, found {section.text}"
                )
            if section.tag == "meta":
                tasks = _read_meta(path, section)
            elif section.tag == "image":
                raise ValueError(
                    f"{path}, line {section.line}: expected an export as 'CVAT for video 1.1', found one for images"
                )
            elif section.tag == "track":
                task = _task_of(path, section, tasks)
                task.tracks.append(_read_track(path, section, task))
    if not tasks:
        raise ValueError(f"{path}: expected an export as 'CVAT for video 1.1', found no <meta>")
    return list(tasks.values())


@contextmanager
def _open_xml(path: Path) -> Iterator[IO[bytes]]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected an export of CVAT (.xml or .zip)")
    if not zipfile.is_zipfile(path):
        _refuse_other_kinds(path)
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        if "annotations.xml" not in archive.namelist():
            raise ValueError(
                f"{path}: expected annotations.xml in the archive, as in an export for video"
            )
        with archive.open("annotations.xml") as file:
            try:
                yield file
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise ValueError(f"{path}: the archive is damaged ({error})") from None


def _refuse_other_kinds(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
    if not start.startswith((b"<", b"\xff\xfe<", b"\xfe\xff\0<")):
        found = describe_foreign_file(path)
        if found is not None:
            raise ValueError(
                f"{path}: expected an export of CVAT (.xml or .zip), the file is {found}"
            )


def _read_meta(path: Path, meta: Section) -> dict[str, CvatTask]:
    """The tasks by their id in the file; one without id is the only one."""
    body = next((meta.child(tag) for tag in ("task", "job", "project") if meta.child(tag)), None)
    if body is None:
        raise ValueError(f"{path}, line {meta.line}: expected a task, a job or a project in <meta>")
    attributes, labels = _read_labels(body)
    if body.tag != "project":
        return {"": _read_task(path, body, meta, attributes, labels, 0)}
    listing = body.child("tasks")
    tasks: dict[str, CvatTask] = {}
    offset = 0
    subset = None
    for task in listing.children if listing else []:
        if task.text_of("subset") != subset:
            offset = 0
            subset = task.text_of("subset")
        read = _read_task(path, task, meta, attributes, labels, offset)
        tasks[task.text_of("id")] = read
        if read.frames is None:
            raise ValueError(
                f"{path}, line {task.line}: expected start_frame and stop_frame of a project's task"
            )
        offset += read.frames.start + read.frames.step * len(read.frames)
    return tasks


def _read_task(
    path: Path,
    body: Section,
    meta: Section,
    attributes: Attributes,
    labels: list[str],
    offset: int,
) -> CvatTask:
    size = body.child("original_size") or meta.child("original_size")
    numbers = (
        [_whole(path, size, size.text_of(tag), tag) for tag in ("width", "height")] if size else []
    )
    source = body.text_of("source") or meta.text_of("source")
    return CvatTask(
        str(path),
        cut_video_suffix(Path(source).name) if source else path.stem,
        _read_frames(path, body),
        (numbers[0], numbers[1]) if size else None,
        attributes,
        labels,
        offset,
    )


def _read_frames(path: Path, body: Section) -> range | None:
    """start_frame, stop_frame and the `step=5` of frame_filter."""
    if not body.text_of("start_frame") or not body.text_of("stop_frame"):
        return None
    start, stop = (
        _whole(path, body, body.text_of(tag), tag) for tag in ("start_frame", "stop_frame")
    )
    _, equals, step = body.text_of("frame_filter").replace(" ", "").partition("step=")
    return range(start, stop + 1, max(_whole(path, body, step, "frame_filter"), 1) if equals else 1)


def _read_labels(body: Section) -> tuple[Attributes, list[str]]:
    """(label, attribute) -> (input type, values), and the names of the labels, in the file's order."""
    attributes: Attributes = {}
    names = []
    labels = body.child("labels")
    for label in labels.children if labels else []:
        names.append(label.text_of("name"))
        listing = label.child("attributes")
        for attribute in listing.children if listing else []:
            values = tuple(attribute.text_of("values").splitlines())
            attributes[names[-1], attribute.text_of("name")] = (
                attribute.text_of("input_type"),
                values,
            )
    return attributes, names


def _task_of(path: Path, track: Section, tasks: dict[str, CvatTask]) -> CvatTask:
    task = tasks.get("") or tasks.get(track.attributes.get("task_id", ""))
    if task is None:
        raise ValueError(
            f"{path}, line {track.line}: expected a track of one of the tasks in <meta>, found task_id "
            f"{track.attributes.get('task_id')!r}"
        )
    return task


def _read_track(path: Path, track: Section, task: CvatTask) -> CvatTrack:
    track_id = _whole(path, track, track.attributes.get("id", ""), "id")
    boxes: list[CvatBox] = []
    seen: set[int] = set()
    for shape in track.children:
        where = f"{path}, line {shape.line}: track {track_id}"
        if shape.tag != "box":
            raise ValueError(f"{where}: expected boxes, found <{shape.tag}>")
        frame = _whole(path, shape, shape.attributes.get("frame", ""), "frame") - task.first_frame
        if task.frames is not None and frame not in task.frames:
            steps = f", every {task.frames.step}th" if task.frames.step > 1 else ""
            found = f"expected frames {task.frames.start}..{task.frames.stop - 1}{steps} of the task, found {frame}"
            raise ValueError(f"{where}: {found}")
        if frame in seen:
            raise ValueError(f"{where}: expected one box on a frame, found two on frame {frame}")
        seen.add(frame)
        if shape.attributes.get("outside") != "1":
            boxes.append(_read_box(where, shape, frame))
    return CvatTrack(track_id, track.attributes.get("label", ""), sorted(boxes))


def _read_box(where: str, shape: Section, frame: int) -> CvatBox:
    try:
        x1, y1, x2, y2 = (float(shape.attributes[side]) for side in ("xtl", "ytl", "xbr", "ybr"))
        rotation = float(shape.attributes.get("rotation", 0))
    except (KeyError, ValueError) as error:
        raise ValueError(f"{where}: expected numbers as xtl, ytl, xbr and ybr ({error})") from None
    if rotation:
        raise ValueError(
            f"{where}: expected upright boxes, found one turned by {rotation:g} degrees"
        )
    if not (x1 < x2 and y1 < y2):
        raise ValueError(
            f"{where}: expected a box with xtl < xbr and ytl < ybr, found {x1:g},{y1:g},{x2:g},{y2:g}"
        )
    attributes = tuple(
        (child.attributes.get("name", ""), child.text.strip()) for child in shape.children
    )
    return CvatBox(
        frame, (x1, y1, x2, y2), shape.attributes.get("keyframe") != "0", attributes, shape.line
    )


def _whole(path: Path, section: Section, text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            f"{path}, line {section.line}: expected a whole number as {name} of <{section.tag}>, found {text!r}"
        ) from None
