"""Labeled boxes between the formats: action names, fractions of the frame, seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ava_det.formats.annotations import AvaRows
from ava_det.interchange.action_names import (
    by_value_and_alphabet,
    hint_unknown_action,
    ids_of_numbers,
)

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class LabeledBox:
    """Holds one person on one keyframe.

    timestamp: seconds as annotations count them. corners: xyxy in fractions of the frame; None for
    a keyframe that nobody is on. actions: names. person_id: the same for one person in all of a
    video; None where nobody knows. where: the file and the line it comes from, for messages.
    """

    video_id: str
    timestamp: float
    corners: Corners | None
    actions: tuple[str, ...]
    person_id: int | None
    where: str


def number_actions(
    boxes: Iterable[LabeledBox], declared: Sequence[str], label_map: Mapping[int, str] | None
) -> dict[int, str]:
    """Returns the label map of these boxes: `label_map` if it is given, else ids from 1.

    New ids go to `declared` in that order, then to the names nobody declared, numbers by their
    value and the rest by alphabet, so that the same sources always give the same ids. Names that
    are all numbers from 1 on are their own ids. Raises ValueError for an action that a given label
    map does not have.
    """
    boxes = list(boxes)
    if label_map is None:
        used = {action for box in boxes for action in box.actions}
        names = [*dict.fromkeys(declared), *sorted(used - set(declared), key=by_value_and_alphabet)]
        if not names:
            raise ValueError(
                f"{boxes[0].where if boxes else 'the input'}: expected boxes with actions, "
                "found none"
            )
        return ids_of_numbers(names) or dict(enumerate(names, 1))
    for box in boxes:
        for action in box.actions:
            if action not in label_map.values():
                hint = hint_unknown_action(action, label_map)
                raise ValueError(
                    f"{box.where}: expected an action of the label map, found {action!r}{hint}"
                )
    return dict(label_map)


def rows_from_labeled(
    boxes: Iterable[LabeledBox], label_map: Mapping[int, str], keep_unlabeled: bool = True
) -> AvaRows:
    """Returns ground-truth rows, one for each box and action, by video, timestamp and person.

    A person without an action keeps one row with an empty action; with `keep_unlabeled` false it
    has none, as in AVA, and a keyframe with such persons only becomes `video_id,timestamp`. Persons
    without an id get one of their own.
    """
    ids = {name: action_id for action_id, name in label_map.items()}
    ordered = sorted(
        number_persons(boxes), key=lambda box: (box.video_id, box.timestamp, box.person_id or 0)
    )
    labeled = {(box.video_id, box.timestamp) for box in ordered if box.actions}
    listed: dict[tuple[str, float, Corners | None, int, float], None] = {}
    for box in ordered:
        if box.corners is not None and (box.actions or keep_unlabeled):
            person = math.nan if box.person_id is None else float(box.person_id)
            for action_id in sorted(ids[action] for action in box.actions) or [0]:
                listed[box.video_id, box.timestamp, box.corners, action_id, person] = None
        elif (box.video_id, box.timestamp) not in labeled:
            listed[box.video_id, box.timestamp, None, 0, -1.0] = None
    names = sorted({key[0] for key in listed})
    index = {name: number for number, name in enumerate(names)}
    return AvaRows(
        names,
        np.array([index[key[0]] for key in listed], dtype=np.int32),
        np.array([key[1] for key in listed], dtype=np.float64),
        np.array([key[2] or [math.nan] * 4 for key in listed], dtype=np.float64).reshape(-1, 4),
        np.array([key[3] for key in listed], dtype=np.int64),
        np.array([key[4] for key in listed], dtype=np.float64),
        path="the imported boxes",
    )


def number_persons(boxes: Iterable[LabeledBox]) -> list[LabeledBox]:
    """Gives boxes without a person id one that nobody else in their video has."""
    boxes = list(boxes)
    following: dict[str, int] = {}
    for box in boxes:
        following[box.video_id] = max(
            following.get(box.video_id, 0), -1 if box.person_id is None else box.person_id + 1
        )
    numbered = []
    for box in boxes:
        if box.person_id is None and box.corners is not None:
            numbered.append(replace(box, person_id=following[box.video_id]))
            following[box.video_id] += 1
        else:
            numbered.append(box)
    return numbered


def join_exports(exports: Iterable[Sequence[LabeledBox]]) -> list[LabeledBox]:
    """Joins the boxes of several files whose person ids are each file's own.

    Ids of later files are shifted beyond those of the earlier.

    Raises:
        ValueError: Two files have boxes on one keyframe of one video, as overlapping jobs do.
    """
    joined: list[LabeledBox] = []
    owner: dict[tuple[str, float], tuple[int, str]] = {}
    following: dict[str, int] = {}
    for number, export in enumerate(exports):
        before = dict(following)
        for box in export:
            first, where = owner.setdefault((box.video_id, box.timestamp), (number, box.where))
            if first != number:
                raise ValueError(
                    f"{box.where}: expected each keyframe in one export, found {box.video_id} "
                    f"{box.timestamp:g} in "
                    f"{where} too"
                )
            if box.person_id is None:
                joined.append(box)
                continue
            person_id = before.get(box.video_id, 0) + box.person_id
            following[box.video_id] = max(following.get(box.video_id, 0), person_id + 1)
            joined.append(replace(box, person_id=person_id))
    return joined


def choose_val_videos(video_ids: Iterable[str], share: float, seed: int) -> set[str]:
    """Chooses a random share of the videos for validation.

    Whole videos are chosen, because keyframes of one video are nearly the same picture. With a
    share strictly between 0 and 1 at least one video goes to each side.

    Raises:
        ValueError: There is only one video to split.
    """
    names = sorted(set(video_ids))
    count = round(share * len(names))
    if 0 < share < 1:
        if len(names) < 2:
            raise ValueError(
                f"--val-share {share:g}: expected at least two videos to split, found {len(names)}"
            )
        count = min(max(count, 1), len(names) - 1)
    return set(np.random.default_rng(seed).permutation(names)[:count].tolist())
