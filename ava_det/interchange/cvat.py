"""Reads CVAT's exports of videos, as "CVAT for video 1.1" or "CVAT for images 1.1".

The format is documented at https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/ and,
element by element, under "XML annotation format". Every frame of a track is listed, interpolated
ones too (keyframe="0"), until a box with outside="1" says that the person is gone. Frame numbers
are those of the video, whatever the task's start frame and step; in the export of a whole project
those of each task go on where the last task's end. An export for images lists boxes by frame and
says nothing of tracks.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ava_det.files import suggest_file
from ava_det.formats.ava_csv.foreign import describe_foreign_file
from ava_det.interchange.cvat_shapes import read_frame_number, read_image, read_track, whole_number
from ava_det.interchange.cvat_task import Attributes, CvatAttribute, CvatTask
from ava_det.interchange.xml_sections import Section, read_sections
from ava_det.video.sources import cut_video_suffix

BOX_TYPES = ("", "any", "rectangle")  # of a label, as CVAT declares what it is drawn as


def load_cvat(path: str | Path) -> list[CvatTask]:
    """Loads the tasks of an export: one, or several of a whole project.

    A video's id is its file's name without extension. The export of a single job does not name it:
    then the name of the export is taken.

    Args:
        path: An annotations.xml, or the zip archive around it.

    Raises:
        ValueError: The export is wrong; one sentence naming the line and the track.
    """
    path = Path(path)
    tasks: dict[str, CvatTask] = {}
    with _open_xml(path) as file:
        for section in read_sections(file, str(path), "annotations"):
            if section.tag == "version" and section.text.strip() != "1.1":
                raise ValueError(
                    f"{path}, line {section.line}: expected version 1.1 of the format, found "
                    f"{section.text}"
                )
            if section.tag == "meta":
                tasks = _read_meta(path, section)
            elif section.tag == "image":
                frame = read_frame_number(path, section)
                read_image(path, section, frame, _task_of(path, section, tasks))
            elif section.tag == "track":
                read_track(path, section, _task_of(path, section, tasks))
    if not tasks:
        raise ValueError(f"{path}: expected an export as 'CVAT for video 1.1', found no <meta>")
    for task in tasks.values():
        drawn = {track.label for track in task.tracks}
        others = {label for _, label in task.left_out} - drawn
        task.labels = [label for label in task.labels if label not in others]
    return list(tasks.values())


@contextmanager
def _open_xml(path: Path) -> Iterator[IO[bytes]]:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file, expected an export of CVAT (.xml or .zip){suggest_file(path)}"
        )
    if not zipfile.is_zipfile(path):
        _refuse_other_kinds(path)
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.startswith("__MACOSX")]
        xml_names = [name for name in names if Path(name).name.lower() == "annotations.xml"]
        if len(xml_names) != 1:
            count = f", found {len(xml_names)}" if xml_names else ""
            raise ValueError(
                f"{path}: expected annotations.xml in the archive, as in an export for video{count}"
            )
        with archive.open(xml_names[0]) as file:
            try:
                yield file
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise ValueError(f"{path}: the archive is damaged ({error})") from None


def _refuse_other_kinds(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
    if not start.startswith((b"<", b"\xff\xfe<", b"\xfe\xff\0<")):
        file_kind = describe_foreign_file(path)
        if file_kind is not None:
            raise ValueError(
                f"{path}: expected an export of CVAT (.xml or .zip), the file is {file_kind}"
            )


def _read_meta(path: Path, meta: Section) -> dict[str, CvatTask]:
    """Reads the tasks by their id in the file; a task without id is the only one."""
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
        [whole_number(path, size, size.text_of(tag), tag) for tag in ("width", "height")]
        if size
        else []
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
        whole_number(path, body, body.text_of(tag), tag) for tag in ("start_frame", "stop_frame")
    )
    _, equals, step = body.text_of("frame_filter").replace(" ", "").partition("step=")
    return range(
        start, stop + 1, max(whole_number(path, body, step, "frame_filter"), 1) if equals else 1
    )


def _read_labels(body: Section) -> tuple[Attributes, list[str]]:
    """Reads the labels, without those that are drawn as other shapes only.

    Returns:
        The attributes, and the labels' names, in the file's order.
    """
    attributes: Attributes = {}
    names = []
    labels = body.child("labels")
    for label in labels.children if labels else []:
        if label.text_of("type") not in BOX_TYPES:
            continue
        names.append(label.text_of("name"))
        listing = label.child("attributes")
        for attribute in listing.children if listing else []:
            values = tuple(attribute.text_of("values").splitlines())
            attributes[names[-1], attribute.text_of("name")] = CvatAttribute(
                attribute.text_of("input_type"), values, attribute.text_of("default_value")
            )
    return attributes, names


def _task_of(path: Path, track: Section, tasks: dict[str, CvatTask]) -> CvatTask:
    task = tasks.get("") or tasks.get(track.attributes.get("task_id", ""))
    if task is None:
        raise ValueError(
            f"{path}, line {track.line}: expected a track of one of the tasks in <meta>, found "
            "task_id "
            f"{track.attributes.get('task_id')!r}"
        )
    return task
