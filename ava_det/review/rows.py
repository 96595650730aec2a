"""Makes annotation rows of what was decided."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ava_det.formats.ava_csv import AvaRows
from ava_det.review.candidates import Box, Candidate
from ava_det.review.decisions import REJECTED

UNDECIDED = -1  # in place of None, in arrays


class RowMaker:
    """Makes the rows of annotations, by video, timestamp, person and action.

    A person of whom an action was accepted has a row for it on every keyframe from the segment's
    start to its end on which the person is seen. A person all of whose segments on a keyframe were
    rejected has a row with an empty action there: one who does none of the actions.

    A keyframe has rows once every segment that goes on there is decided: training reads an action
    that is missing beside others as one that is not done.

    Args:
        candidates: The segments.
    """

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        videos: dict[str, int] = {}
        owners: dict[tuple[int, float, int, Box], list[int]] = {}
        for number, one in enumerate(candidates):
            video = videos.setdefault(one.segment.video, len(videos))
            for timestamp, box in one.seen:
                owners.setdefault((video, timestamp, one.segment.track, box), []).append(number)
        persons = sorted(owners)
        keyframes: dict[tuple[int, float], int] = {}
        places = [keyframes.setdefault(one[:2], len(keyframes)) for one in persons]
        self._keyframe = np.array(places, dtype=np.int64)  # of each person
        self._video_names = list(videos)
        self._video_index = np.array([video for video, *_ in persons], dtype=np.int32)
        self._timestamps = np.array([timestamp for _, timestamp, *_ in persons], dtype=np.float64)
        self._tracks = np.array([track for _, _, track, _ in persons], dtype=np.float64)
        boxes = np.array([box for *_, box in persons], dtype=np.float64)
        self._boxes = boxes.reshape(-1, 4)
        # of every person on every keyframe the segments that go on there
        self._person = np.repeat(np.arange(len(persons)), [len(owners[one]) for one in persons])
        numbers = [number for one in persons for number in owners[one]]
        self._segment = np.array(numbers, dtype=np.int64)

    def make(self, action_ids: Sequence[int | None]) -> AvaRows:
        """Makes the rows.

        Args:
            action_ids: Of each segment what was decided, see `Decisions`.
        """
        decided = [UNDECIDED if action_id is None else action_id for action_id in action_ids]
        action_of_pair = np.array(decided, dtype=np.int64)[self._segment]
        pairs = np.stack([self._person, action_of_pair], axis=1)
        all_rejected = np.ones(len(self._tracks), dtype=bool)
        all_rejected[self._person[action_of_pair != REJECTED]] = False
        open_keyframes = self._keyframe[self._person[action_of_pair == UNDECIDED]]
        is_whole = ~np.isin(self._keyframe, open_keyframes)
        kept = ((action_of_pair > 0) | all_rejected[self._person]) & is_whole[self._person]
        person, action = np.unique(pairs[kept], axis=0).T
        return AvaRows(
            self._video_names,
            self._video_index[person],
            self._timestamps[person],
            self._boxes[person],
            action,
            self._tracks[person],
            path="the reviewed segments",
        )
