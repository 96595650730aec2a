"""What files say that list pictures, which are frames of videos, and boxes on them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ava_det.interchange.json_value import JsonValue
from ava_det.video.sources import cut_video_suffix

NUMBERED = re.compile(r"(.*?)(\d+)")
SUFFIX = re.compile(r"\.[A-Za-z]+$")
TRACK_KEYS = ("track_id", "instance_id")
# attributes that CVAT and Datumaro add by themselves
OF_THE_TOOL = {*TRACK_KEYS, "occluded", "outside", "keyframe", "rotation", "is_crowd"}


@dataclass(frozen=True)
class Picture:
    """Holds a frame of a video.

    Attributes:
        videos: The video's id; several where only file names suggest it, the likeliest first.
        number: Of the frame.
        is_index: Whether the number surely counts from 0; else from 0 or 1.
        size: Width and height in pixels; None where the file does not say.
        where: The place in the file, for messages.
    """

    videos: tuple[str, ...]
    number: int
    is_index: bool
    size: tuple[int, int] | None
    where: str


class PictureBox(NamedTuple):
    """Holds a box: x, y, width and height in pixels, and what is said about it.

    picture: index of its picture. track: who it is, None where nobody knows. is_drawn: by hand, not
    interpolated. attributes: names and values, without those that a tool adds by itself.
    """

    picture: int
    label: str
    sides: tuple[float, ...]
    track: str | None
    is_drawn: bool
    attributes: tuple[tuple[str, Any], ...]
    where: str


@dataclass
class PictureLabels:
    """Holds what a file says.

    Attributes:
        path: The file.
        names: Its labels, in the order of their ids.
        pictures: The frames it lists.
        boxes: Upright boxes on them.
        rates: Frames a second that it states, by video id.
        left_out: What is no upright box -> how often it was there.
        notes: Sentences for the user.
    """

    path: str
    names: list[str]
    pictures: list[Picture] = field(default_factory=list)
    boxes: list[PictureBox] = field(default_factory=list)
    rates: dict[str, float] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def add_box(self, picture: int, label: str, annotation: JsonValue, box: JsonValue) -> None:
        """Adds a box, or counts it where it is turned.

        Args:
            picture: Index of its picture.
            label: Its label.
            annotation: What has its track and its attributes.
            box: x, y, width and height.

        Raises:
            ValueError: A value is of another kind.
        """
        listing = annotation.find("attributes")
        attributes = {} if listing is None else dict(listing.members())
        rotation = attributes.get("rotation")
        if rotation is not None and rotation.value and rotation.number() % 360:
            self.left_out[f"turned box of {label!r}"] += 1
            return
        if "outside" in attributes and attributes["outside"].value is True:
            return
        found = [annotation.find(key) for key in TRACK_KEYS]
        found += [attributes[key] for key in TRACK_KEYS if key in attributes]
        tracks = [track for track in found if track is not None and track.value is not None]
        is_drawn = "keyframe" not in attributes or attributes["keyframe"].value is not False
        said = [(name, one.value) for name, one in attributes.items() if name not in OF_THE_TOOL]
        self.boxes.append(
            PictureBox(
                picture,
                label,
                box.numbers(4),
                tracks[0].text() if tracks else None,
                is_drawn,
                tuple(said),
                annotation.where,
            )
        )


def attributes_of(
    person_id: int, done: Collection[str], actions: Collection[str]
) -> dict[str, bool | int]:
    """Returns the attributes of a box as CVAT writes and reads them, in COCO and Datumaro's JSON.

    CVAT makes a track of the boxes that have both `track_id` and `keyframe`.

    Args:
        person_id: Who it is.
        done: The actions of this person.
        actions: All actions.

    Raises:
        ValueError: An action has the name of an attribute that the tools add by themselves.
    """
    taken = OF_THE_TOOL.intersection(actions)
    if taken:
        raise ValueError(
            f"expected another name of the action {min(taken)!r}, since COCO and Datumaro use it "
            "themselves; drafts for cvat, label-studio and via may have it"
        )
    return {action: action in done for action in actions} | {
        "track_id": person_id,
        "keyframe": True,
    }


def split_picture_name(name: str, path: Path) -> tuple[tuple[str, ...], int | None]:
    """Finds what a picture's name says: `walk/frame_000060.png` is a frame 60, perhaps of `walk`.

    Args:
        name: With or without folders and an extension.
        path: The file that lists it, which may be named as the video.

    Returns:
        Names that may be the video's, and the number; None where the name ends in none.
    """
    place = PurePosixPath(name.replace("\\", "/"))
    match = NUMBERED.fullmatch(SUFFIX.sub("", place.name))
    before = match[1].rstrip("_-. ") if match else ""
    folders = [part for part in reversed(place.parts[:-1]) if part not in ("/", ".", "..")]
    names = [cut_video_suffix(part) for part in (before, *folders, path.stem) if part]
    return tuple(dict.fromkeys(names)), int(match[2]) if match else None


def video_of_name(name: str) -> str:
    """Returns the id of a video that a file names, with or without folders and an extension."""
    return cut_video_suffix(PurePosixPath(name.replace("\\", "/")).name)
