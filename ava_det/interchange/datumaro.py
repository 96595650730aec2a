"""Reads Datumaro's JSON, whose items are frames of a video, as Datumaro and CVAT write it.

An item has annotations of several types; persons are those of type `bbox`, x, y, width and height
in pixels. CVAT says which frame it is in `attr`, Datumaro itself in `video_frame`; both count from
0. The format is described in Datumaro's source, in its plugin `data_formats/datumaro`.
"""

from __future__ import annotations

from pathlib import Path

from ava_det.interchange.json_value import JsonValue, load_json, shorten
from ava_det.interchange.pictures import (
    Picture,
    PictureLabels,
    split_picture_name,
    video_of_name,
)

EXPECTED = "a Datumaro JSON file"


def load_datumaro(path: str | Path) -> PictureLabels:
    """Loads the pictures and boxes of a Datumaro file.

    Raises:
        ValueError: The file is no such file or contradicts itself; one sentence with the place.
    """
    root = load_json(path, EXPECTED)
    if not isinstance(root.value, dict) or not {"categories", "items"} <= set(root.value):
        raise ValueError(f"{path}: expected {EXPECTED}, found no 'categories' and 'items'")
    listing = root.child("categories").child("label").child("labels")
    names = [label.child("name").text() for label in listing.elements()]
    labels = PictureLabels(str(path), list(dict.fromkeys(names)))
    for item in root.child("items").elements():
        labels.pictures.append(_read_picture(item, Path(path)))
        for annotation in item.child("annotations").elements():
            _read_annotation(annotation, names, labels)
    if not labels.pictures:
        raise ValueError(f"{path}: expected {EXPECTED} with 'items', found none")
    return labels


def _read_picture(item: JsonValue, path: Path) -> Picture:
    """Reads which frame of which video an item is."""
    candidates, number = split_picture_name(item.child("id").text(), path)
    frame = item.find("video_frame")
    attributes = item.find("attr")
    index = (
        frame.child("frame_index") if frame else attributes.find("frame") if attributes else None
    )
    source = frame.find("video_path") if frame else None
    if source is not None:
        candidates = (video_of_name(source.text()),)
    if index is not None:
        number = index.whole()
    if number is None:
        raise ValueError(
            f"{item.where}: expected the frame in attr, or an id that ends in its number, "
            f"found {shorten(item.child('id').value)}"
        )
    image = item.find("image")
    size = image.find("size") if image else None
    if size is None:
        return Picture(candidates, number, index is not None, None, item.where)
    sides = [side.whole(1) for side in size.elements()]
    if len(sides) != 2:
        raise ValueError(f"{size.where}: expected height and width, found {len(sides)} numbers")
    return Picture(candidates, number, index is not None, (sides[1], sides[0]), item.where)


def _read_annotation(annotation: JsonValue, names: list[str], labels: PictureLabels) -> None:
    """Adds an annotation of the last picture, or counts it where it is no box."""
    kind = annotation.child("type").text()
    key = annotation.find("label_id")
    if key is None:
        labels.left_out[f"{kind} without a label"] += 1
        return
    if key.whole() >= len(names):
        raise ValueError(
            f"{key.where}: expected a label of the file, 0..{len(names) - 1}, found {key.whole()}"
        )
    label = names[key.whole()]
    if kind == "bbox":
        labels.add_box(len(labels.pictures) - 1, label, annotation, annotation.child("bbox"))
    else:
        labels.left_out[f"{kind} of {label!r}"] += 1
