"""Turns boxes on pictures, which are frames of videos, into labeled boxes.

A box labeled `person` says who, and its attributes say what: one that is true is the action of its
name, a text the action of that text, `attribute/text` where two attributes have it; numbers are no
actions. A box with any other label is a person who does what the label says, and whatever its
attributes add. Equal boxes of one person on one picture are one person who does all that they say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ava_det.interchange.action_names import name_values
from ava_det.interchange.corners import corners_from_pixels
from ava_det.interchange.cvat_actions import names_a_person
from ava_det.interchange.cvat_task import NOTHING_CHOSEN
from ava_det.interchange.drafts import follow_persons
from ava_det.interchange.labeled import Corners, LabeledBox
from ava_det.interchange.picture_keyframes import PictureKeyframe
from ava_det.interchange.pictures import PictureBox, PictureLabels
from ava_det.messages.counts import format_count


def choose_labels(
    labels: PictureLabels, persons: Collection[str], ignored: Collection[str]
) -> None:
    """Leaves boxes of labels that are no persons out, and counts them.

    Args:
        labels: Loses boxes and names.
        persons: The labels of persons; all where it is empty.
        ignored: Labels that are none in any case.
    """
    chosen = {
        name for name in labels.names if name not in ignored and (not persons or name in persons)
    }
    labels.left_out += Counter(
        f"box of {box.label!r}" for box in labels.boxes if box.label not in chosen
    )
    labels.boxes = [box for box in labels.boxes if box.label in chosen]
    labels.names = [name for name in labels.names if name in chosen]


def boxes_from_pictures(
    labels: PictureLabels,
    keyframes: Mapping[int, PictureKeyframe],
    person: str,
    ignored: Collection[str],
) -> list[LabeledBox]:
    """Returns the persons on keyframes; where the file has no tracks, persons are followed.

    Args:
        labels: The file; gets the count of what is no action, and notes for the user.
        keyframes: From `choose_picture_keyframes`.
        person: The label that is no action.
        ignored: Attributes and values that are no actions either.

    Raises:
        ValueError: A box is not within its picture, or a track has two on one.
    """
    name_of = name_values(
        (name, one)
        for box in labels.boxes
        for name, value in box.attributes
        if name not in ignored and _ticked(value) is None
        for one in _values_of(value) or []
    )
    number_of = _number_persons(box.track for box in labels.boxes if box.track is not None)
    found: dict[tuple[int, str | None, Corners], tuple[PictureBox, list[str]]] = {}
    corners_of: dict[tuple[int, str | None], Corners] = {}
    for box in labels.boxes:
        keyframe = keyframes.get(box.picture)
        if keyframe is None:
            continue
        x, y, width, height = box.sides
        corners = corners_from_pixels(box.where, x, y, width, height, keyframe.size)
        who = box.picture, box.track
        if box.track is not None and corners_of.setdefault(who, corners) != corners:
            raise ValueError(
                f"{box.where}: expected one box of track {box.track} on a picture, found two"
            )
        _, actions = found.setdefault((*who, corners), (box, []))
        actions += _actions_of(box, person, ignored, name_of, labels.left_out)
    persons = [
        LabeledBox(
            keyframes[picture].video_id,
            keyframes[picture].timestamp,
            corners,
            tuple(dict.fromkeys(actions)),
            None if track is None else number_of[track],
            box.where,
        )
        for (picture, track, corners), (box, actions) in found.items()
    ]
    between = sum(box.is_drawn and box.picture not in keyframes for box in labels.boxes)
    if between:
        labels.notes.append(
            f"{labels.path}: left out, being on pictures between the keyframes: "
            f"{format_count(between, 'box')}; --drawn takes every picture on which "
            "somebody drew one"
        )
    return persons if number_of else follow_persons(persons)


def declared_actions(labels: PictureLabels, person: str, ignored: Collection[str]) -> list[str]:
    """Lists the labels and the attributes that may be actions, in the file's order, done or not."""
    names = [name for name in labels.names if not names_a_person(name, person)]
    names += [
        name for box in labels.boxes for name, value in box.attributes if _ticked(value) is not None
    ]
    return [name for name in dict.fromkeys(names) if name not in ignored]


def find_doubtful_labels(labels: PictureLabels, person: str) -> list[str]:
    """Finds labels that are taken as actions though they have actions as attributes."""
    owners = {
        box.label
        for box in labels.boxes
        if any(_ticked(value) is not None for _, value in box.attributes)
    }
    return [name for name in labels.names if name in owners and not names_a_person(name, person)]


def _ticked(value: Any) -> bool | None:
    """Returns whether a checkbox is ticked; None where a value is none of a checkbox."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _values_of(value: Any) -> list[str] | None:
    """Returns what was chosen; None where a value is no choice."""
    if isinstance(value, str):
        return [value] if value not in NOTHING_CHOSEN else []
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    return [] if value is None else None


def _actions_of(
    box: PictureBox,
    person: str,
    ignored: Collection[str],
    name_of: Mapping[tuple[str, str], str],
    left_out: Counter[str],
) -> list[str]:
    actions = [] if names_a_person(box.label, person) else [box.label]
    for name, value in box.attributes:
        if name in ignored:
            continue
        ticked = _ticked(value)
        values = _values_of(value)
        if ticked is not None:
            actions += [name] if ticked else []
        elif values is not None:
            actions += [name_of[name, one] for one in values if one not in ignored]
        else:
            left_out[f"value of the attribute {name!r}, which is no choice"] += 1
    return [action for action in actions if action not in ignored]


def _number_persons(tracks: Iterable[str]) -> dict[str, int]:
    """Numbers persons by their track: whole numbers stay, others follow in the file's order."""
    names = dict.fromkeys(tracks)
    number_of = {
        name: int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 10
    }
    following = max(number_of.values(), default=-1) + 1
    others = [name for name in names if name not in number_of]
    return number_of | {name: following + place for place, name in enumerate(others)}
