"""Makes annotation rows of what was decided."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ava_det.formats.ava_csv import AvaRows
from ava_det.review.candidates import Box, Candidate
from ava_det.review.decisions import REJECTED


def make_rows(candidates: Sequence[Candidate], action_ids: Sequence[int | None]) -> AvaRows:
    """Makes the rows of annotations, by video, timestamp, person and action.

    A person of whom an action was accepted has a row for it on every keyframe from the segment's
    start to its end on which the person is seen. A person all of whose segments on a keyframe were
    rejected has a row with an empty action there: one who does none of the actions. What nobody has
    decided yet has no row.

    Args:
        candidates: The segments.
        action_ids: Of each what was decided, see `Decisions`.
    """
    videos: dict[str, int] = {}
    decided: dict[tuple[int, float, int, Box], set[int | None]] = {}
    for one, action_id in zip(candidates, action_ids, strict=True):
        video = videos.setdefault(one.segment.video, len(videos))
        for timestamp, box in one.seen:
            decided.setdefault((video, timestamp, one.segment.track, box), set()).add(action_id)
    rows: list[tuple[int, float, int, Box, int]] = []
    for key, found in sorted(decided.items(), key=lambda item: item[0]):
        accepted = sorted(action_id for action_id in found if action_id)
        nothing = [REJECTED] if found == {REJECTED} else []
        rows += [(*key, action_id) for action_id in accepted or nothing]
    return AvaRows(
        list(videos),
        np.array([video for video, *_ in rows], dtype=np.int32),
        np.array([timestamp for _, timestamp, *_ in rows], dtype=np.float64),
        np.array([box for *_, box, _ in rows], dtype=np.float64).reshape(-1, 4),
        np.array([action_id for *_, action_id in rows], dtype=np.int64),
        np.array([track for _, _, track, *_ in rows], dtype=np.float64),
        path="the reviewed segments",
    )
