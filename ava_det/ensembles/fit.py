"""Searches the weights of an ensemble that give the largest frame mAP on a labeled set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from ava_det.ensembles.alignment import Alignment, align_members
from ava_det.ensembles.fusion import fuse_aligned
from ava_det.formats.ava_csv import AvaRows

GRID = (0.0, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1.0, 1.5, 2.0, 3.0, 4.0)
MAX_ROUNDS = 5  # over all files; two mostly do

Score = Callable[[AvaRows], float]


@dataclass(frozen=True)
class Fit:
    """Holds the weights that a search found.

    Attributes:
        weights: One of each file, the largest 1.
        score: What the ensemble reaches with them.
        num_tried: How many different ensembles were scored.
    """

    weights: tuple[float, ...]
    score: float
    num_tried: int


def fit_weights(
    members: Sequence[AvaRows], score: Score, iou_threshold: float = 0.5, pool: bool = False
) -> Fit:
    """Searches weights file by file, until no change raises the score.

    Each time the weight of one file is tried at each multiple in `GRID` of the largest weight of
    the others. The search starts at the best of equal weights and every file alone, so on the set
    it is fitted on it ends at least as high. Of equal scores the first found stays. Of two files
    it tries every ratio in `GRID`; of more it is not exhaustive.

    Args:
        members: Rows of each file, as `check_members` accepts them.
        score: Scores the rows of an ensemble; higher is better.
        iou_threshold: From which IoU on two boxes that differ may be of one person.
        pool: Whether the surer of such boxes stays, class by class, instead of their mean.
    """

    @lru_cache(maxsize=2)  # neighbors in the search mostly use the same files, and rows are large
    def align(used: tuple[int, ...]) -> Alignment:
        return align_members([members[place] for place in used], iou_threshold, pool)

    @cache
    def reach(weights: tuple[float, ...]) -> float:
        used = tuple(place for place, weight in enumerate(weights) if weight > 0)
        return score(fuse_aligned(align(used), [weights[place] for place in used]))

    places = range(len(members))
    starts = [tuple(1.0 for _ in places)]
    starts += [tuple(float(place == alone) for place in places) for alone in places]
    best = max(starts, key=reach)
    for _ in range(MAX_ROUNDS):
        before = best
        for place in places:
            best = max([best, *_vary(best, place)], key=reach)
        if best == before:
            break
    return Fit(best, reach(best), reach.cache_info().currsize)


def _vary(weights: tuple[float, ...], place: int) -> list[tuple[float, ...]]:
    """Lists the weights to try where the one at `place` changes, the largest of each 1."""
    others = (*weights[:place], *weights[place + 1 :])
    unit = max(others) or 1.0
    tried = [(*weights[:place], unit * ratio, *weights[place + 1 :]) for ratio in GRID]
    return [tuple(weight / max(row) for weight in row) for row in tried if any(row)]
