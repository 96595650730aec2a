"""Turns a CVAT task into labeled boxes: chooses its keyframes and its actions.

A track labeled `person` says who, and its attributes say what: a ticked checkbox is the action of
its name, a select, radio or text attribute the action of its value, `attribute/value` where two
attributes list that value; numbers are no actions. A track with any other label is a person who
does what the label says, and whatever its attributes add.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from ava_det.interchange.action_names import name_values
from ava_det.interchange.clock import FrameClock
from ava_det.interchange.corners import check_shape
from ava_det.interchange.cvat_task import NOTHING_CHOSEN, CvatTask, LeftOut
from ava_det.interchange.drafts import follow_persons
from ava_det.interchange.labeled import LabeledBox


def boxes_from_task(
    task: CvatTask, clock: FrameClock, every: float | None, person: str, ignored: Collection[str]
) -> list[LabeledBox]:
    """Returns the persons on the keyframes of a task.

    Persons of an export for images, which does not say who is who, are followed from keyframe to
    keyframe.

    Args:
        task: The task.
        clock: The clock of its video.
        every: Seconds between keyframes, of which those are taken that the task's frames show; None
            for the frames on which somebody drew a box by hand.
        person: The label that is no action.
        ignored: Labels, attributes and values that are no actions either.

    Raises:
        ValueError: The task and the video differ.
    """
    size = _check_size(task, clock)
    if task.frames is not None:
        # the video has all of the task's frames
        clock.second_of(task.frames[-1] if len(task.frames) else 0)
    if every is None:
        if task.is_of_images:
            raise ValueError(
                f"{task.path}: an export for images does not say which boxes were drawn by hand "
                "(--drawn), expected one as 'CVAT for video 1.1', or --every"
            )
        drawn = sorted(
            {box.frame for track in task.tracks for box in track.boxes if box.is_keyframe}
        )
        moments = {frame: clock.second_of(frame) for frame in drawn}
    else:
        moments = clock.choose_keyframes(every, task.frames or range(len(clock.seconds)))
    labeled = []
    name_of = _name_choices(task, ignored)
    for track in task.tracks:
        for box in track.boxes:
            if box.frame in moments:
                x1, y1, x2, y2 = box.corners
                corners = (x1 / size[0], y1 / size[1], x2 / size[0], y2 / size[1])
                actions = _find_actions(task, track.label, box.attributes, person, ignored, name_of)
                which = "frame" if track.track_id is None else "track"
                number = box.frame if track.track_id is None else track.track_id
                where = f"{task.path}, line {box.line}: {which} {number}"
                labeled.append(
                    LabeledBox(
                        task.video_id, moments[box.frame], corners, actions, track.track_id, where
                    )
                )
    return follow_persons(labeled) if task.is_of_images else labeled


def choose_tracks(task: CvatTask, persons: Collection[str], ignored: Collection[str]) -> LeftOut:
    """Leaves the tracks that are no persons out of a task.

    Args:
        task: Loses tracks and labels.
        persons: The labels whose tracks are persons; all where it is empty.
        ignored: Labels whose tracks are none in any case.

    Returns:
        (kind of shape, label) -> how many are left out, with those that the export's reader left.
    """
    left_out = Counter(task.left_out)

    def is_chosen(label: str) -> bool:
        return label not in ignored and (not persons or label in persons)

    for track in task.tracks:
        if not is_chosen(track.label):
            left_out["box", track.label] += len(track.boxes)
    task.tracks = [track for track in task.tracks if is_chosen(track.label)]
    task.labels = [label for label in task.labels if is_chosen(label)]
    return left_out


def describe_left_out(left_out: LeftOut) -> str:
    """Describes in one sentence which tracks are no persons; empty where all are persons."""
    parts = []
    for (kind, label), count in sorted(left_out.items()):
        plural = "es" if kind.endswith("box") and count > 1 else "s" if count > 1 else ""
        kind = kind.removesuffix("s") if kind == "points" and count > 1 else kind
        parts.append(f"{count} {kind}{plural} of {label!r}")
    return f"left out, being no persons: {', '.join(parts)}" if parts else ""


def names_a_person(label: str, person: str) -> bool:
    """Returns whether a label names a person and no action; upper and lower case are the same."""
    return label.strip().casefold() == person.casefold()


def find_doubtful_labels(task: CvatTask, person: str) -> list[str]:
    """Finds labels that are taken as actions though they have actions as attributes."""
    owners = {owner for (owner, _), one in task.attributes.items() if one.kind == "checkbox"}
    return [label for label in task.labels if label in owners and not names_a_person(label, person)]


def default_actions(task: CvatTask, person: str, ignored: Collection[str]) -> list[str]:
    """Lists the actions of attributes on a box about which nobody has said anything."""
    name_of = _name_choices(task, ignored)
    names: list[str] = []
    for label in task.labels:
        untouched = [
            (name, one.default) for (owner, name), one in task.attributes.items() if owner == label
        ]
        found = _find_actions(task, label, untouched, person, ignored, name_of)
        names += [name for name in found if name != label]
    return list(dict.fromkeys(names))


def _check_size(task: CvatTask, clock: FrameClock) -> tuple[int, int]:
    """Returns the frame size the boxes were drawn at; a rescaled copy of the video has another."""
    size = task.size or clock.size
    if size is None:
        raise ValueError(f"{task.path}: expected original_size in its <meta>, or the videos")
    check_shape(task.path, size, clock)
    return size


def _name_choices(task: CvatTask, ignored: Collection[str]) -> dict[tuple[str, str], str]:
    """Names the action of each value that the task's selects and radio buttons declare."""
    return name_values(
        (attribute, value)
        for (_, attribute), one in task.attributes.items()
        if one.kind not in ("checkbox", "number", "text") and attribute not in ignored
        for value in one.values
        if value not in NOTHING_CHOSEN
    )


def _find_actions(
    task: CvatTask,
    label: str,
    said: Iterable[tuple[str, str]],
    person: str,
    ignored: Collection[str],
    name_of: Mapping[tuple[str, str], str],
) -> tuple[str, ...]:
    actions = [] if names_a_person(label, person) else [label]
    for name, value in said:
        declared = task.attributes.get((label, name))
        kind = declared.kind if declared else ""
        if name in ignored or kind == "number":
            continue
        if kind == "checkbox" or (not kind and value.lower() in ("true", "false")):
            actions += [name] if value.lower() == "true" else []
        elif value not in NOTHING_CHOSEN and value not in ignored:
            actions.append(name_of.get((name, value), value))
    return tuple(dict.fromkeys(action for action in actions if action not in ignored))


def declared_actions(task: CvatTask, person: str, ignored: Collection[str]) -> list[str]:
    """Lists every action that the task's labels can say, in the file's order, done or not."""
    names = []
    name_of = _name_choices(task, ignored)
    for label in task.labels:
        names += [] if names_a_person(label, person) else [label]
        for (owner, attribute), one in task.attributes.items():
            if owner == label and attribute not in ignored and one.kind not in ("number", "text"):
                names += (
                    [attribute]
                    if one.kind == "checkbox"
                    else [
                        name_of[attribute, value]
                        for value in one.values
                        if value not in NOTHING_CHOSEN and value not in ignored
                    ]
                )
    return [name for name in dict.fromkeys(names) if name not in ignored]
