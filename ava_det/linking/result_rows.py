"""Makes detections of the rows of a result CSV, for the linkers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ava_det.formats.ava_csv import AvaRows
from ava_det.structures import Detections, Keyframe

LARGEST_FRACTION = 2.0  # boxes may leave the frame a little; pixels are beyond this at once


def detections_from_rows(rows: AvaRows, action_ids: Sequence[int]) -> Iterator[Detections]:
    """Yields the detections of each keyframe, by rising video and time.

    Rows of one keyframe with the same four corners are one person.

    Args:
        rows: A result CSV.
        action_ids: The id of each column, from 1; rows of other ids are left out.

    Yields:
        Detections whose scores have a column for each of `action_ids`, 0 where a row is missing.

    Raises:
        ValueError: A row has a score outside 0..1 or a box that is none, or no row has one of
            `action_ids`; the sentence names a line.
    """
    _require_linkable(rows, action_ids)
    ids = np.asarray(action_ids)
    position = np.full(max(int(rows.action_ids.max(initial=0)), int(ids.max())) + 1, -1)
    position[ids] = np.arange(len(ids))
    columns = position[rows.action_ids]
    order = np.lexsort((rows.timestamps, rows.video_index))
    order = order[columns[order] >= 0]
    times = rows.timestamps[order]
    videos = rows.video_index[order]
    starts = np.flatnonzero(
        (np.diff(times, prepend=np.nan) != 0) | (np.diff(videos, prepend=-1) != 0)
    )
    for part in np.split(order, starts[1:]) if len(order) else []:
        boxes, person = np.unique(rows.boxes[part], axis=0, return_inverse=True)
        scores = np.zeros((len(boxes), len(ids)), dtype=np.float32)
        np.maximum.at(scores, (person.reshape(-1), columns[part]), rows.scores[part])
        keyframe = Keyframe(
            rows.video_names[rows.video_index[part[0]]],
            float(rows.timestamps[part[0]]),
            torch.from_numpy(boxes.astype(np.float32)),
            None,
            torch.ones(len(boxes)),
        )
        yield Detections(
            keyframe.boxes, torch.from_numpy(scores), keyframe.person_scores, None, keyframe
        )


def _require_linkable(rows: AvaRows, action_ids: Sequence[int]) -> None:
    """Refuses rows that linkers would make nonsense of, silently."""
    boxes = rows.boxes
    good = (boxes[:, :2] <= boxes[:, 2:]).all(axis=1) & (np.abs(boxes) <= LARGEST_FRACTION).all(1)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(
            f"{rows.where(row)}: expected a box x1,y1,x2,y2 in fractions of the frame, found "
            f"{','.join(f'{value:g}' for value in boxes[row])}"
        )
    good = (rows.scores >= 0) & (rows.scores <= 1)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(
            f"{rows.where(row)}: expected a score from 0 to 1 in column 8, found "
            f"{rows.scores[row]:g}"
        )
    if len(rows) and not np.isin(rows.action_ids, action_ids).any():
        raise ValueError(
            f"{rows.path}: expected rows of the label map's actions, ids {min(action_ids)} to "
            f"{max(action_ids)}, found none; {rows.where(0)} has id {rows.action_ids[0]}"
        )
