"""Pools the boxes of result files, and removes those that overlap a surer one, class by class.

What is equal in several files is one box with the mean of their scores. A box that a file lacks
loses nothing by it. Boxes of one file stay side by side, however they overlap: its own detector has
removed what was to be removed.
"""

from __future__ import annotations

import numpy as np

from ava_det.ensembles.alignment import Alignment


def find_kept(aligned: Alignment, scores: np.ndarray) -> np.ndarray:
    """Finds the rows that no surer row of the same action and an overlapping box removes.

    The surest row removes first, as in non-maximum suppression; what is removed removes nothing. Of
    equal scores the first row stays.

    Args:
        aligned: Files whose overlapping boxes stayed apart.
        scores: float64 [R].

    Returns:
        bool [R].
    """
    winners, losers = _list_contests(aligned, scores)
    removed = np.zeros(len(scores), dtype=bool)
    while len(winners):
        contested = np.zeros(len(scores), dtype=bool)
        contested[losers] = True
        decided = ~contested[winners]
        removed[losers[decided]] = True
        open_ = ~(decided | removed[winners] | removed[losers])
        winners, losers = winners[open_], losers[open_]
    return ~removed


def _list_contests(aligned: Alignment, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lists the pairs of rows of which the first removes the second, if it stays itself."""
    assert aligned.overlaps is not None
    actions, column = np.unique(aligned.action_ids, return_inverse=True)
    rows = np.full((aligned.boxes.shape[1], len(actions)), -1, dtype=np.int64)
    rows[aligned.box_index, column] = np.arange(len(scores))
    first, second = (rows[boxes].ravel() for boxes in aligned.overlaps.T)
    both = (first >= 0) & (second >= 0)
    first, second = np.sort(np.stack((first[both], second[both])), axis=0)
    is_surer = scores[first] >= scores[second]
    return np.where(is_surer, first, second), np.where(is_surer, second, first)
