"""Finds which boxes of several result files are of one person, and puts their scores side by side.

Equal boxes of a keyframe are one. Of boxes that differ, the pair of the largest IoU is joined
first, then the next, as long as the joined boxes have at most one box of each file; or they stay
apart, and the pairs that overlap are listed. Which file comes first changes nothing: equal IoUs are
decided by the coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ava_det.evaluation.frame_map import compute_ious
from ava_det.evaluation.keyframe_numbers import KeyframeNumbers, number_keyframes
from ava_det.formats.ava_csv import AvaRows


@dataclass
class Alignment:
    """Holds M result files side by side: B persons' boxes, and R pairs of such a box and an action.

    Attributes:
        video_names: The distinct video ids, sorted.
        videos: int32 [B], indices of `video_names`, in ascending order.
        timestamps: float64 [B], in seconds.
        boxes: float64 [M, B, 4], normalized xyxy, NaN where a file has no such box.
        box_index: int64 [R], the box of each pair, in ascending order.
        action_ids: int64 [R], 1-based.
        scores: float64 [M, R], 0 where a file has no such row.
        overlaps: int64 [P, 2], pairs of boxes that no file has both of and that overlap; None where
            such boxes were joined to one.
    """

    video_names: list[str]
    videos: np.ndarray
    timestamps: np.ndarray
    boxes: np.ndarray
    box_index: np.ndarray
    action_ids: np.ndarray
    scores: np.ndarray
    overlaps: np.ndarray | None = None

    @property
    def num_shared(self) -> int:
        """Returns the number of boxes that every file has."""
        return int((~np.isnan(self.boxes[:, :, 0])).all(0).sum())


@dataclass
class _Runs:
    """Holds the runs of rows that follow each other with one box: H runs of all files.

    Attributes:
        members: int64 [H], the file.
        keyframes: int64 [H], by video id and time.
        boxes: float64 [H, 4].
        lengths: For each file int64, the rows of its runs.
    """

    members: np.ndarray
    keyframes: np.ndarray
    boxes: np.ndarray
    lengths: list[np.ndarray]


def align_members(
    members: Sequence[AvaRows], iou_threshold: float = 0.5, pool: bool = False
) -> Alignment:
    """Puts the rows of result files side by side.

    Args:
        members: Rows of each file, as `check_members` accepts them.
        iou_threshold: From which IoU on two boxes that differ may be of one person.
        pool: Whether such boxes stay apart.

    Returns:
        The files side by side, by video id, time, box and action, whatever their own order.

    Raises:
        ValueError: A file has two rows of one box and action; the sentence names the second.
    """
    frames = number_keyframes([(rows, None) for rows in members])
    names = sorted(frames.video_names)
    place = np.array([names.index(name) for name in frames.video_names])
    order = np.lexsort((frames.timestamps, place[frames.videos]))
    runs = _find_runs(members, frames, np.argsort(order))
    distinct, of_run = _number_distinct(np.column_stack((runs.keyframes, runs.boxes)))
    present = np.zeros((len(members), len(distinct)), dtype=bool)
    present[runs.members, of_run] = True
    pairs = _rank_pairs(distinct[:, 0], distinct[:, 1:], present, iou_threshold)
    joined = np.arange(len(distinct)) if pool else _join_boxes(pairs, present)
    person = joined[of_run]
    count = int(person.max()) + 1
    boxes = np.full((len(members), count, 4), np.nan)
    boxes[runs.members, person] = runs.boxes
    keyframes = np.zeros(count, dtype=np.int64)
    keyframes[person] = runs.keyframes
    of_rows = [
        np.repeat(person[runs.members == member], lengths)
        for member, lengths in enumerate(runs.lengths)
    ]
    box_index, action_ids, scores = _tabulate(members, of_rows, count)
    number = order[keyframes]
    videos = place[frames.videos[number]].astype(np.int32)
    times = frames.timestamps[number]
    overlaps = pairs if pool else None
    return Alignment(names, videos, times, boxes, box_index, action_ids, scores, overlaps)


def _find_runs(members: Sequence[AvaRows], frames: KeyframeNumbers, rank: np.ndarray) -> _Runs:
    """Finds the runs; `rank` int64 [K] gives each keyframe's place by video id and time."""
    keyframes = []
    boxes = []
    lengths = []
    for rows, numbers in zip(members, frames.numbers, strict=True):
        start = np.ones(len(rows), dtype=bool)
        start[1:] = numbers[1:] != numbers[:-1]
        for column in rows.boxes.T:
            start[1:] |= column[1:] != column[:-1]
        head = np.flatnonzero(start)
        keyframes.append(rank[numbers[head]])
        boxes.append(rows.boxes[head])
        lengths.append(np.diff(head, append=len(rows)))
    of_member = np.repeat(np.arange(len(members)), [len(part) for part in keyframes])
    return _Runs(of_member, np.concatenate(keyframes), np.concatenate(boxes), lengths)


def _number_distinct(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct rows of a table [H, C], sorted, and the number of each row's."""
    order = np.lexsort(table.T[::-1])
    ordered = table[order]
    start = np.ones(len(table), dtype=bool)
    start[1:] = (ordered[1:] != ordered[:-1]).any(1)
    number = np.empty(len(table), dtype=np.int64)
    number[order] = np.cumsum(start) - 1
    return ordered[start], number


def _join_boxes(pairs: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Numbers the persons of distinct boxes.

    Args:
        pairs: int64 [P, 2], the boxes that may be of one person, the pair to join first in front.
        present: bool [M, D], the files that have each box.

    Returns:
        int64 [D], 0..B-1 in the order of the first box of each.
    """
    count = present.shape[1]
    root = list(range(count))
    files = [0] * count  # the files of the boxes joined with each root, one bit a file
    for member, has in enumerate(present):
        for box in np.flatnonzero(has).tolist():
            files[box] |= 1 << member
    for first, second in pairs.tolist():
        while root[first] != first:
            first = root[first]
        while root[second] != second:
            second = root[second]
        if not files[first] & files[second]:
            first, second = min(first, second), max(first, second)
            root[second] = first
            files[first] |= files[second]
    for box, above in enumerate(root):
        root[box] = root[above]  # a root stands before the boxes joined with it
    return np.unique(root, return_inverse=True)[1]


def _rank_pairs(
    keyframes: np.ndarray, boxes: np.ndarray, present: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Lists the pairs of boxes that no file has both of, largest IoU first.

    Args:
        keyframes: [D], ascending.
        boxes: float64 [D, 4].
        present: bool [M, D], the files that have each box.
        iou_threshold: From which IoU on pairs are listed.

    Returns:
        int64 [P, 2].
    """
    alone = np.flatnonzero(~present.all(0))
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    for step in range(1, len(alone)):
        near = np.flatnonzero(keyframes[alone[step:]] == keyframes[alone[:-step]])
        if not len(near):
            break
        first, second = alone[near], alone[near + step]
        apart = ~(present[:, first] & present[:, second]).any(0)
        pairs.append(np.column_stack((first[apart], second[apart])))
    found = np.concatenate(pairs)
    ious = compute_ious(*(torch.from_numpy(boxes[column]) for column in found.T)).numpy()
    enough = ious >= iou_threshold
    found, ious = found[enough], ious[enough]
    return found[np.lexsort((found[:, 1], found[:, 0], -ious))]


def _tabulate(
    members: Sequence[AvaRows], of_rows: Sequence[np.ndarray], num_boxes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns `box_index`, `action_ids` and `scores` of an alignment.

    Args:
        members: Rows of each file.
        of_rows: For each file int64 [R], the box of each row, 0..num_boxes-1.
        num_boxes: B.
    """
    actions = np.unique(np.concatenate([np.unique(rows.action_ids) for rows in members]))
    cells = [
        boxes * len(actions) + np.searchsorted(actions, rows.action_ids)
        for rows, boxes in zip(members, of_rows, strict=True)
    ]
    used = np.zeros(num_boxes * len(actions), dtype=bool)
    for rows, cell in zip(members, cells, strict=True):
        _refuse_second_rows(rows, cell, len(used))
        used[cell] = True
    number = np.cumsum(used) - 1
    scores = np.zeros((len(members), int(used.sum())))
    for row_scores, rows, cell in zip(scores, members, cells, strict=True):
        row_scores[number[cell]] = rows.scores
    box_index, action = np.divmod(np.flatnonzero(used), len(actions))
    return box_index, actions[action], scores


def _refuse_second_rows(rows: AvaRows, cells: np.ndarray, num_cells: int) -> None:
    if np.bincount(cells, minlength=num_cells).max() < 2:
        return
    _, first = np.unique(cells, return_index=True)
    second = int(np.setdiff1d(np.arange(len(cells)), first)[0])
    raise ValueError(
        f"{rows.where(second)}: expected one row for each box and action, found a second of action "
        f"{rows.action_ids[second]}"
    )
