"""Reads COCO files whose pictures are frames of videos, as CVAT, TAO and YouTube-VIS have them.

COCO (https://cocodataset.org/#format-data) has `images`, `annotations` with `bbox` in pixels, and
`categories`. TAO adds `videos`, and `video_id` and `frame_index` of pictures; CVAT has no videos,
but `attributes` of annotations. YouTube-VIS has no pictures: its videos list `file_names`, and an
annotation is a track with `bboxes`, one for each of these, null where the object is away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ava_det.interchange.json_value import JsonValue, load_json, shorten
from ava_det.interchange.pictures import (
    Picture,
    PictureLabels,
    split_picture_name,
    video_of_name,
)

EXPECTED = "a COCO file"
T = TypeVar("T")


@dataclass(frozen=True)
class CocoVideo:
    """Holds an entry of `videos`.

    video_id: None where it has no name. size: width and height in pixels, None likewise. pictures:
    indices of those that it lists itself.
    """

    video_id: str | None
    size: tuple[int, int] | None
    pictures: range


def load_coco(path: str | Path) -> PictureLabels:
    """Loads the pictures and boxes of a COCO file.

    Raises:
        ValueError: The file is no such file or contradicts itself; one sentence with the place.
    """
    root = load_json(path, EXPECTED)
    if not isinstance(root.value, dict) or not {"annotations", "categories"} <= set(root.value):
        is_list = isinstance(root.value, list)
        found = "a list, as of results" if is_list else "no 'annotations' and 'categories'"
        raise ValueError(f"{path}: expected {EXPECTED}, found {found}")
    listed = _by_id(root.child("categories"))
    categories = {key: category.child("name").text() for key, category in listed.items()}
    names = [categories[key] for key in sorted(categories, key=_by_number)]
    labels = PictureLabels(str(path), names)
    videos = _read_videos(root.find("videos"), labels)
    pictures: dict[str, int] = {}
    for key, image in _by_id(root.find("images")).items():
        pictures[key] = len(labels.pictures)
        labels.pictures.append(_read_picture(image, videos, Path(path)))
    if not labels.pictures:
        raise ValueError(f"{path}: expected {EXPECTED} with 'images', found none")
    for annotation in root.child("annotations").elements():
        label = _look_up(annotation.child("category_id"), categories, "category")
        crowd = annotation.find("iscrowd")
        if crowd is not None and crowd.value:
            labels.left_out[f"crowd of {label!r}"] += 1
        elif (boxes := annotation.find("bboxes")) is not None:
            video = _look_up(annotation.child("video_id"), videos, "video")
            _read_track(annotation, boxes, label, video, labels)
        elif (box := annotation.find("bbox")) is not None and box.value != []:
            picture = _look_up(annotation.child("image_id"), pictures, "picture")
            labels.add_box(picture, label, annotation, box)
        else:
            labels.left_out[f"annotation without a box of {label!r}"] += 1
    return labels


def _by_id(listing: JsonValue | None) -> dict[str, JsonValue]:
    """Returns the elements of a list by their id; ValueError where two have the same."""
    found: dict[str, JsonValue] = {}
    for element in listing.elements() if listing else []:
        key = element.child("id")
        if found.setdefault(key.text(), element) is not element:
            raise ValueError(f"{key.where}: expected ids of their own, found two {key.text()}")
    return found


def _by_number(key: str) -> tuple[bool, int]:
    """Sorts numbers by their value, before other ids, which keep the file's order."""
    return (False, int(key)) if key.isdecimal() else (True, 0)


def _look_up(key: JsonValue, known: Mapping[str, T], what: str) -> T:
    if key.text() not in known:
        raise ValueError(f"{key.where}: expected a {what} of the file, found {shorten(key.value)}")
    return known[key.text()]


def _read_size(of: JsonValue) -> tuple[int, int] | None:
    width, height = of.find("width"), of.find("height")
    return (width.whole(1), height.whole(1)) if width and height else None


def _read_videos(listing: JsonValue | None, labels: PictureLabels) -> dict[str, CocoVideo]:
    """Reads `videos` by their id; ValueError where two would be the same video."""
    videos: dict[str, CocoVideo] = {}
    places: dict[str, str] = {}
    for key, entry in _by_id(listing).items():
        videos[key] = video = _read_video(entry, labels)
        if video.video_id and places.setdefault(video.video_id, key) != key:
            raise ValueError(
                f"{entry.where}: expected videos with file names of their own, found two called "
                f"{video.video_id}"
            )
    return videos


def _read_video(video: JsonValue, labels: PictureLabels) -> CocoVideo:
    """Reads an entry of `videos`, and adds the pictures that it lists."""
    name = video.find("name") or video.find("file_name")
    video_id = video_of_name(name.text()) if name else None
    size = _read_size(video)
    listing = video.find("file_names")
    first = len(labels.pictures)
    for file in listing.elements() if listing else []:
        candidates, number = split_picture_name(file.text(), Path(labels.path))
        if number is None:
            raise ValueError(f"{file.where}: expected a name that ends in the frame's number")
        videos = (video_id,) if video_id else candidates
        labels.pictures.append(Picture(videos, number, False, size, file.where))
    rate = video.find("fps") or video.find("frame_rate")
    if rate and video_id:
        if rate.number() <= 0:
            raise ValueError(f"{rate.where}: expected frames a second, found {shorten(rate.value)}")
        labels.rates[video_id] = rate.number()
    return CocoVideo(video_id, size, range(first, len(labels.pictures)))


def _read_picture(image: JsonValue, videos: Mapping[str, CocoVideo], path: Path) -> Picture:
    """Reads an entry of `images`: which frame of which video it is."""
    name = image.find("file_name")
    candidates, number = split_picture_name(name.text() if name else "", path)
    size = _read_size(image)
    key = image.find("video_id")
    if key is not None:
        video = _look_up(key, videos, "video")
        candidates = (video.video_id,) if video.video_id else candidates
        size = size or video.size
    index, frame_id = image.find("frame_index"), image.find("frame_id")
    stated = index or frame_id
    if stated is not None:
        number = stated.whole()
    if number is None:
        raise ValueError(
            f"{image.where}: expected frame_index, frame_id, or a file_name that ends in the "
            "frame's number, found none"
        )
    return Picture(candidates, number, index is not None, size, image.where)


def _read_track(
    annotation: JsonValue, boxes: JsonValue, label: str, video: CocoVideo, labels: PictureLabels
) -> None:
    """Adds the boxes of a track, which is an annotation with a box for each picture."""
    listed = list(boxes.elements())
    if len(listed) != len(video.pictures):
        raise ValueError(
            f"{boxes.where}: expected a box or null for each of {len(video.pictures)} file_names, "
            f"found {len(listed)}"
        )
    for picture, box in zip(video.pictures, listed, strict=True):
        if box.value:
            labels.add_box(picture, label, annotation, box)
