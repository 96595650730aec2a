"""Reads projects of VIA 3 (VGG Image Annotator), of videos and of pictures that are their frames.

`metadata` lists what was drawn: `z` the time in seconds (empty in a picture), `xy` the shape in
pixels of the file, `av` attribute id -> value. Its `vid` names a view, whose `fid_list` names the
file. What a box may say is in `attribute`. The format is described in VIA's source, in
`_via_metadata.js`, `_via_const.js` and `_via_data.js`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ava_det.interchange.json_value import JsonValue, load_json

TEXT, CHECKBOX, RADIO, SELECT = 1, 2, 3, 4
IMAGE, VIDEO = 2, 4
SHAPES = {
    1: "point",
    2: "box",
    3: "circle",
    4: "ellipse",
    5: "line",
    6: "polyline",
    7: "polygon",
    8: "extreme rectangle",
    9: "extreme circle",
}
EXPECTED = "a project of VIA 3"


@dataclass(frozen=True)
class ViaAttribute:
    """Holds what boxes may say.

    kind: TEXT, CHECKBOX, RADIO, SELECT or another number. options: option id -> name, in the order
    of the ids. defaults: the options that VIA ticks itself. is_of_boxes: whether boxes have it, or
    files and segments.
    """

    name: str
    kind: int
    options: dict[str, str]
    defaults: tuple[str, ...]
    is_of_boxes: bool


@dataclass(frozen=True)
class ViaRegion:
    """Holds a box: its file, its time, x, y, width and height in pixels, and attribute values.

    moment: seconds from the video's beginning; None in a picture.
    """

    file_name: str
    moment: float | None
    box: tuple[float, float, float, float]
    values: dict[str, str]
    where: str


@dataclass
class ViaProject:
    """Holds what a project says.

    attributes: by id, in the order of the ids. left_out: what is no box -> how often it was there.
    """

    path: str
    attributes: dict[str, ViaAttribute]
    regions: list[ViaRegion] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def load_via(path: str | Path) -> ViaProject:
    """Loads a project of VIA 3.

    Raises:
        ValueError: The file is no such project or contradicts itself; one sentence with the place.
    """
    root = load_json(path, EXPECTED)
    if not isinstance(root.value, dict) or not {"attribute", "file", "metadata"} <= set(root.value):
        is_old = isinstance(root.value, dict) and any(key.startswith("_via_") for key in root.value)
        found = "one of VIA 2" if is_old else "no 'attribute', 'file' and 'metadata'"
        raise ValueError(f"{path}: expected {EXPECTED}, found {found}")
    project = ViaProject(str(path), _read_attributes(root.child("attribute")))
    files = {name: _read_file(file) for name, file in root.child("file").members()}
    views = root.find("view")
    file_of_view = {} if views is None else dict(views.members())
    for _, metadata in root.child("metadata").members():
        view_id = metadata.child("vid").text()
        file_id = _file_of(view_id, file_of_view)
        if file_id not in files:
            raise ValueError(
                f"{metadata.where}: expected a file of the project, found file {file_id!r}"
            )
        _read_region(metadata, *files[file_id], project)
    return project


def _read_attributes(listing: JsonValue) -> dict[str, ViaAttribute]:
    attributes = {}
    for attribute_id, attribute in listing.members():
        options = attribute.find("options")
        named = {} if options is None else {key: name.text() for key, name in options.members()}
        default = attribute.find("default_option_id")
        anchor = attribute.find("anchor_id")
        attributes[attribute_id] = ViaAttribute(
            attribute.child("aname").text(),
            attribute.child("type").whole(),
            dict(sorted(named.items(), key=_by_number)),
            tuple(part for part in default.text().split(",") if part) if default else (),
            anchor is None or anchor.text().endswith("XY1"),
        )
    return dict(sorted(attributes.items(), key=_by_number))


def _by_number(item: tuple[str, object]) -> tuple[bool, int]:
    """Numbers by their value, then other names, which keep the file's order."""
    return (False, int(item[0])) if item[0].isdecimal() else (True, 0)


def _read_file(file: JsonValue) -> tuple[str, int]:
    """Returns the file's name without folders, and its type."""
    name = file.child("fname").text().replace("\\", "/")
    source = file.find("src")
    stem = PurePosixPath(name).name or PurePosixPath(source.text() if source else "").name
    if not stem:
        raise ValueError(f"{file.where}: expected a file name as fname, found none")
    return stem, file.child("type").whole()


def _file_of(view_id: str, views: dict[str, JsonValue]) -> str:
    """Returns the only file of a view; where views are not listed, they are files."""
    view = views.get(view_id)
    if view is None:
        return view_id
    files = [file.text() for file in view.child("fid_list").elements()]
    if len(files) != 1:
        raise ValueError(f"{view.where}: expected one file in fid_list, found {len(files)}")
    return files[0]


def _read_region(metadata: JsonValue, name: str, kind: int, project: ViaProject) -> None:
    """Adds a box to the project, or counts what is none."""
    times = [time.number() for time in metadata.child("z").elements()]
    shape = list(metadata.child("xy").elements())
    shape_id = shape[0].whole() if shape else 0
    if not shape:
        project.left_out["time segment" if times else "file without a box"] += 1
    elif shape_id != 2:
        project.left_out[SHAPES.get(shape_id, f"shape of kind {shape_id}")] += 1
    elif len(times) > 1:
        project.left_out["box over a time segment"] += 1
    elif kind not in (IMAGE, VIDEO):
        project.left_out["box in a file that is no video and no picture"] += 1
    elif kind == VIDEO and not times:
        raise ValueError(f"{metadata.where}.z: expected the time of a box in a video, found none")
    else:
        _, x, y, width, height = metadata.child("xy").numbers(5)
        values = {key: value.text() for key, value in metadata.child("av").members() if value.value}
        moment = times[0] if kind == VIDEO else None
        region = ViaRegion(name, moment, (x, y, width, height), values, metadata.where)
        project.regions.append(region)
