"""Turns AVA's files into labeled boxes, to be corrected by hand."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import torch

from ava_det.formats.annotations import AvaRows, format_timestamp
from ava_det.interchange.clock import FrameClock
from ava_det.interchange.labeled import Corners, LabeledBox
from ava_det.structures import Detections, Keyframe, PersonBoxes
from ava_det.tracking.linker import TrackLinker

DRAWN_SECONDS = 1.0  # between two keyframes that `ava-det import` reads, unless it is told others


class WriteDraft(Protocol):
    """Writes the boxes of one video as a file of an annotation tool."""

    def __call__(
        self,
        path: Path,
        source: str,
        clock: FrameClock,
        boxes: Sequence[LabeledBox],
        actions: Sequence[str],
    ) -> None:
        """Writes the file, whole or not at all.

        Args:
            path: The file.
            source: The file name of the video.
            clock: Of this video, with its size.
            boxes: Its persons.
            actions: All names, in the order in which the tool lists them.

        Raises:
            ValueError: Two timestamps fall on one frame, or the video lacks one.
        """


def boxes_from_annotations(rows: AvaRows, label_map: Mapping[int, str]) -> list[LabeledBox]:
    """Turns ground truth into labeled boxes.

    Column 8 is the person id; where it is empty, persons are followed from keyframe to keyframe.
    """
    persons: dict[tuple[str, float, Corners, float], tuple[int, list[str]]] = {}
    columns = (rows.video_index, rows.timestamps, rows.boxes, rows.action_ids, rows.ids_or_scores)
    for row, (video, timestamp, box, action_id, person) in enumerate(
        zip(*(c.tolist() for c in columns), strict=True)
    ):
        if not math.isnan(box[0]):
            key = (
                rows.video_names[video],
                timestamp,
                tuple(box),
                -1.0 if math.isnan(person) else person,
            )
            _, actions = persons.setdefault(key, (row, []))
            actions += [_name_of(rows, row, action_id, label_map)] if action_id else []
    boxes = [
        LabeledBox(
            video_id,
            timestamp,
            box,
            tuple(actions),
            None if person < 0 else int(person),
            rows.where(row),
        )
        for (video_id, timestamp, box, person), (row, actions) in persons.items()
    ]
    return boxes if all(box.person_id is not None for box in boxes) else follow_persons(boxes)


def boxes_from_detections(
    rows: AvaRows, label_map: Mapping[int, str], min_score: float
) -> list[LabeledBox]:
    """Turns a model's results, whose column 8 is the action's score, into labeled boxes.

    Every detected person is there, with the actions that have a score of at least `min_score`.
    """
    persons: dict[tuple[str, float, Corners], tuple[int, list[str]]] = {}
    columns = (rows.video_index, rows.timestamps, rows.boxes, rows.action_ids, rows.ids_or_scores)
    for row, (video, timestamp, box, action_id, score) in enumerate(
        zip(*(c.tolist() for c in columns), strict=True)
    ):
        _, actions = persons.setdefault((rows.video_names[video], timestamp, tuple(box)), (row, []))
        actions += [_name_of(rows, row, action_id, label_map)] if score >= min_score else []
    return follow_persons(
        LabeledBox(video_id, timestamp, box, tuple(actions), None, rows.where(row))
        for (video_id, timestamp, box), (row, actions) in persons.items()
    )


def boxes_from_persons(persons: PersonBoxes, path: str) -> list[LabeledBox]:
    """Returns the persons of a box file (from `load_boxes`), without an action."""
    boxes = []
    for (video_id, key), (corners, _) in persons.items():
        where = f"{path}, keyframe {video_id} {format_timestamp(float(key))}"
        for x1, y1, x2, y2 in corners.tolist():
            boxes.append(LabeledBox(video_id, float(key), (x1, y1, x2, y2), (), None, where))
    return follow_persons(boxes)


def follow_persons(boxes: Iterable[LabeledBox]) -> list[LabeledBox]:
    """Gives boxes person ids by where they are from one keyframe to the next.

    Returns:
        The same boxes, ordered by video and time.
    """
    keyframes: dict[tuple[str, float], list[LabeledBox]] = {}
    for box in boxes:
        keyframes.setdefault((box.video_id, box.timestamp), []).append(box)
    linkers: dict[str, TrackLinker] = {}
    followed = []
    for (video_id, timestamp), present in sorted(keyframes.items()):
        corners = torch.tensor([box.corners for box in present], dtype=torch.float32).reshape(-1, 4)
        keyframe = Keyframe(video_id, timestamp, corners, None, torch.ones(len(corners)))
        detections = Detections(
            corners, torch.zeros(len(corners), 0), keyframe.person_scores, None, keyframe
        )
        ids = linkers.setdefault(video_id, TrackLinker()).link(detections).track_ids
        assert ids is not None
        followed += [
            replace(box, person_id=person)
            for box, person in zip(present, ids.tolist(), strict=True)
        ]
    return followed


def tracks_of(boxes: Iterable[LabeledBox]) -> dict[int, list[LabeledBox]]:
    """Sorts the boxes of one video into tracks, which have one box on a keyframe.

    Where a person has several boxes on a keyframe, the second ones are another track, and so on.
    Boxes without a person id are sorted as if they were of one more person.

    Returns:
        Person id -> boxes by time; tracks that had none get ids after the largest.
    """
    ordered = sorted(boxes, key=lambda box: box.timestamp)
    following = 1 + max((box.person_id for box in ordered if box.person_id is not None), default=-1)
    new_ids: dict[tuple[int | None, int], int] = {}
    seen: Counter[tuple[float, int | None]] = Counter()
    tracks: dict[int, list[LabeledBox]] = {}
    for box in ordered:
        person_id, copy = box.person_id, seen[box.timestamp, box.person_id]
        seen[box.timestamp, box.person_id] += 1
        if person_id is None or copy:
            person_id = new_ids.setdefault((person_id, copy), following + len(new_ids))
        tracks.setdefault(person_id, []).append(box)
    return dict(sorted(tracks.items()))


def frames_of(clock: FrameClock, boxes: Iterable[LabeledBox]) -> dict[float, int]:
    """Finds the frame that is read for each timestamp of one video's boxes.

    Args:
        clock: Of the video.
        boxes: Its boxes.

    Raises:
        ValueError: The video lacks a timestamp, or two of them fall on one frame.
    """
    frames: dict[float, int] = {}
    moment_of: dict[int, float] = {}
    for box in boxes:
        frame = clock.frame_showing(box.timestamp, box.where)
        if moment_of.setdefault(frame, box.timestamp) != box.timestamp:
            raise ValueError(
                f"{box.where}: expected keyframes on frames of their own, found "
                f"{moment_of[frame]:g} and "
                f"{box.timestamp:g} on frame {frame}"
            )
        frames[box.timestamp] = frame
    return frames


def pair_keyframes(timestamps: Iterable[float]) -> dict[float, float]:
    """Pairs each keyframe of one video with the next, where a tool may draw the boxes in between.

    Where the next one is later than `DRAWN_SECONDS`, what a tool draws in between would be read
    back as labels of a keyframe that had none.

    Args:
        timestamps: Of its keyframes, in seconds.
    """
    keyframes = itertools.pairwise(sorted(set(timestamps)))
    return {one: other for one, other in keyframes if other - one <= DRAWN_SECONDS + 1e-6}


def _name_of(rows: AvaRows, row: int, action_id: int, label_map: Mapping[int, str]) -> str:
    if action_id not in label_map:
        raise ValueError(
            f"{rows.where(row)}: expected an action id of the label map, found {action_id}"
        )
    return label_map[action_id]
