"""Turns a VIA project into labeled boxes.

Checkboxes, radio buttons and selects of boxes are actions; a text attribute says who a person is.
An action is called as its option, and `attribute/option` where an option's name occurs twice; ids
go by attributes and options in the order of their ids, as the scripts of Custom-AVA datasets count
them (https://github.com/Whiffe/Custom-ava-dataset_Custom-Spatio-Temporally-Action-Video-Dataset).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from ava_det.interchange.action_names import describe_ticked_by_default
from ava_det.interchange.clock import VideoClocks
from ava_det.interchange.corners import corners_from_pixels
from ava_det.interchange.drafts import follow_persons
from ava_det.interchange.labeled import LabeledBox
from ava_det.interchange.via import CHECKBOX, RADIO, SELECT, TEXT, ViaProject, ViaRegion
from ava_det.video.sources import cut_video_suffix

PICTURE = re.compile(r"(.+)_(\d+)")


def boxes_from_via(
    project: ViaProject,
    clocks: VideoClocks,
    person: str,
    ignored: Collection[str],
    picture_fps: float,
    start_second: float,
) -> list[LabeledBox]:
    """Returns the persons of a project; those of nobody named are followed by their boxes.

    All boxes on one frame of a video get the time of the first of them. Pictures are frames taken
    from a video at a constant rate, named VIDEO_NUMBER and counted from 1.

    Args:
        project: The project; gets the count of values that were no actions.
        clocks: The clocks of the videos, for the frames' sizes and times.
        person: The attribute that says who a person is.
        ignored: Attributes and options that are no actions.
        picture_fps: Pictures a second.
        start_second: Annotation time, in seconds, of a video's first frame.

    Raises:
        ValueError: A box, a time or a value cannot be; one sentence with the place.
    """
    names = name_options(project, person, ignored)
    moments: dict[tuple[str, int], float] = {}
    who: dict[tuple[str, str], int] = {}
    boxes = []
    for region in project.regions:
        video_id, timestamp = _find_moment(region, picture_fps, start_second)
        clock = clocks.find(video_id, region.where)
        if clock.size is None:
            raise ValueError(f"{region.where}: expected the videos (--videos) for boxes in pixels")
        frame = clock.frame_showing(timestamp, region.where)
        timestamp = moments.setdefault((video_id, frame), timestamp)
        corners = corners_from_pixels(region.where, *region.box, clock.size)
        actions, name = _read_values(region, project, names, person, ignored)
        person_id = None if name is None else who.setdefault((video_id, name), len(who))
        boxes.append(LabeledBox(video_id, timestamp, corners, actions, person_id, region.where))
    if all(box.person_id is None for box in boxes):
        return follow_persons(boxes)
    return _keep_numbers(boxes, who)


def name_options(
    project: ViaProject, person: str, ignored: Collection[str]
) -> dict[tuple[str, str], str]:
    """Names the action of every option: (attribute id, option id) -> name, in the order of ids."""
    options = {
        (attribute_id, option_id): (attribute.name, option)
        for attribute_id, attribute in project.attributes.items()
        if attribute.kind in (CHECKBOX, RADIO, SELECT)
        and attribute.is_of_boxes
        and attribute.name not in (person, *ignored)
        for option_id, option in attribute.options.items()
        if option not in ignored
    }
    counts = Counter(option for _, option in options.values())
    return {
        key: option if counts[option] == 1 else f"{attribute}/{option}"
        for key, (attribute, option) in options.items()
    }


def find_ticked_by_default(project: ViaProject, names: dict[tuple[str, str], str]) -> str:
    """Describes that nearly all boxes say only what VIA or a draft ticks by itself; else empty.

    That is an attribute's default option, or the very first option of all.

    Args:
        project: The project.
        names: From `name_options`.
    """
    by_default = [
        name
        for (attribute_id, option_id), name in names.items()
        if option_id in project.attributes[attribute_id].defaults
    ]
    ticked = [
        {
            names[key, part]
            for key, value in region.values.items()
            for part in value.split(",")
            if (key, part) in names
        }
        for region in project.regions
    ]
    options = list(names.values())
    return describe_ticked_by_default(project.path, ticked, by_default or options[:1], options)


def _find_moment(region: ViaRegion, picture_fps: float, start_second: float) -> tuple[str, float]:
    """Returns the video and the annotation time of a box, in seconds."""
    if region.moment is not None:
        return cut_video_suffix(region.file_name), round(region.moment + start_second, 6)
    match = PICTURE.fullmatch(PurePosixPath(region.file_name).stem)
    if match is None or int(match[2]) < 1:
        raise ValueError(
            f"{region.where}: expected a picture named VIDEO_NUMBER, counted from 1, such as "
            f"walk_000031.jpg, found {region.file_name!r}"
        )
    return match[1], round((int(match[2]) - 1) / picture_fps + start_second, 6)


def _read_values(
    region: ViaRegion,
    project: ViaProject,
    names: dict[tuple[str, str], str],
    person: str,
    ignored: Collection[str],
) -> tuple[tuple[str, ...], str | None]:
    """Returns the actions of a box, and who it is; None where the box does not say."""
    actions = []
    who = None
    for attribute_id, value in region.values.items():
        attribute = project.attributes.get(attribute_id)
        if attribute is None:
            project.left_out["value of an attribute the project does not list"] += 1
        elif attribute.name == person and attribute.kind == TEXT:
            who = value.strip() or None
        elif attribute.name == person:
            who = attribute.options.get(value, value)
        elif attribute.kind in (CHECKBOX, RADIO, SELECT) and attribute.is_of_boxes:
            for option_id in filter(None, (part.strip() for part in value.split(","))):
                if option_id not in attribute.options:
                    raise ValueError(
                        f"{region.where}.av.{attribute_id}: expected options of the attribute "
                        f"{attribute.name!r}, found {option_id!r}"
                    )
                if (attribute_id, option_id) in names:
                    actions.append(names[attribute_id, option_id])
        elif attribute.name not in ignored:
            project.left_out[f"value of the attribute {attribute.name!r}, which is no choice"] += 1
    return tuple(dict.fromkeys(actions)), who


def _keep_numbers(boxes: Iterable[LabeledBox], who: dict[tuple[str, str], int]) -> list[LabeledBox]:
    """Gives persons that are called by numbers these as ids, where all of the project are."""
    if not all(name.isascii() and name.isdigit() and len(name) < 10 for _, name in who):
        return list(boxes)
    number_of = {person_id: int(name) for (_, name), person_id in who.items()}
    return [
        box if box.person_id is None else replace(box, person_id=number_of[box.person_id])
        for box in boxes
    ]
