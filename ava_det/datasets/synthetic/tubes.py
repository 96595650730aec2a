"""Annotates every frame of a rendered video, and joins the frames to tubes.

A tube is one action of one figure over the frames in which its timetable has it, from the first
frame of the video to the last. A figure that is mostly hidden has the box of its whole outline
there, so that a tube has a box on every frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ava_det.datasets.synthetic import actions
from ava_det.datasets.synthetic.figure import compute_mask
from ava_det.datasets.synthetic.scene import FPS, MIN_VISIBLE, START_SECOND, Actor
from ava_det.formats.timestamps import format_timestamp
from ava_det.formats.tubes import Tube


class FrameRow(NamedTuple):
    """Describes one figure on one frame.

    Attributes:
        frame: Its number, from 1.
        box: (x1, y1, x2, y2) in pixels, around whole pixels.
        action_ids: What the figure does.
        person_id: The figure.
    """

    frame: int
    box: tuple[int, int, int, int]
    action_ids: tuple[int, ...]
    person_id: int


def annotate_frames(actors: Sequence[Actor], width: int, height: int) -> list[FrameRow]:
    """Computes the rows of all figures on every frame, by rising frame."""
    rows: list[FrameRow] = []
    for index in range(len(actors[0].joints)):
        masks = [
            compute_mask(
                (height, width),
                actor.joints[index],
                actor.facing[index],
                actor.role.appearance,
                actor.held[index],
                actor.held_size[index],
            )
            for actor in actors
        ]
        for person_id, actor in enumerate(actors):
            visible = masks[person_id].copy()
            for nearer in masks[person_id + 1 :]:
                visible &= ~nearer
            if visible.sum() < MIN_VISIBLE * masks[person_id].sum():
                visible = masks[person_id]
            ys = np.flatnonzero(visible.any(axis=1))
            xs = np.flatnonzero(visible.any(axis=0))
            box = (int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1)
            segment = actions.find_segment(actor.role.segments, index / FPS)
            rows.append(FrameRow(index + 1, box, segment.action_ids, person_id))
    return rows


def format_rows(video_id: str, rows: Sequence[FrameRow], width: int, height: int) -> str:
    """Formats rows as an annotation CSV: the time of frame n is START_SECOND + (n - 1) / FPS."""
    size = np.array([width, height, width, height])
    lines: list[str] = []
    for row in rows:
        timestamp = format_timestamp(round(START_SECOND + (row.frame - 1) / FPS, 6))
        box = ",".join(f"{value:.4f}" for value in row.box / size)
        lines += [
            f"{video_id},{timestamp},{box},{action},{row.person_id}\n" for action in row.action_ids
        ]
    return "".join(lines)


def join_frames(video_id: str, rows: Sequence[FrameRow], labels: Mapping[int, int]) -> list[Tube]:
    """Joins rows on successive frames to tubes.

    Args:
        video_id: The video.
        rows: Of `annotate_frames`.
        labels: The label of each action id, from 0.

    Returns:
        By rising label, then in the order in which they begin.
    """
    open_tubes: dict[tuple[int, int], list[FrameRow]] = {}
    joined: list[tuple[int, list[FrameRow]]] = []
    for row in rows:
        for action in row.action_ids:
            key = row.person_id, action
            if key not in open_tubes or open_tubes[key][-1].frame != row.frame - 1:
                open_tubes[key] = []
                joined.append((labels[action], open_tubes[key]))
            open_tubes[key].append(row)
    joined.sort(key=lambda pair: pair[0])
    return [
        Tube(
            video_id,
            label,
            np.array([row.frame for row in parts], dtype=np.int64),
            np.array([row.box for row in parts], dtype=np.float32),
        )
        for label, parts in joined
    ]
