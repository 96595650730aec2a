"""Chooses the keyframes to label next, one after the other, by three reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ava_det.structures import Keyframe
from ava_det.suggest.novelty import Distances
from ava_det.suggest.rarity import ExampleCounts
from ava_det.suggest.uncertainty import count_expected_errors

MAX_SHARE = 2.0  # of the keyframes that each video would give if all gave as many


class Reasons(NamedTuple):
    """Holds what speaks for a keyframe, each summed over its persons.

    Attributes:
        novelty: How far they are from all that is labeled or was chosen before.
        uncertainty: How many of their actions a draft is expected to have wrong.
        rarity: How much they are expected to add to the actions of few examples.
    """

    novelty: float
    uncertainty: float
    rarity: float


# of the reasons, each divided by its highest value at first
WEIGHTS = Reasons(novelty=1.0, uncertainty=0.1, rarity=0.2)


@dataclass(frozen=True)
class Pool:
    """Holds the keyframes to choose from and what a network says of their persons.

    Attributes:
        keyframes: Each with at least one person.
        features: Float32 [N, D], of the persons of all keyframes, in order.
        scores: Float32 [N, C], calibrated.
    """

    keyframes: Sequence[Keyframe]
    features: Tensor
    scores: Tensor


@dataclass(frozen=True)
class Labeled:
    """Holds what is labeled already.

    Attributes:
        features: Float32 [L, D], of the labeled persons.
        counts: Float32 [C], how many of them do each action.
    """

    features: Tensor
    counts: Tensor


@dataclass(frozen=True)
class Suggestion:
    """Describes a keyframe that was chosen.

    Attributes:
        index: Of the keyframe in the pool.
        reasons: What speaks for it, given what was chosen before.
        shares: The same, each relative to the highest of the pool at first: 0..1 for most.
        score: Weighted sum of the shares, by which it was chosen.
    """

    index: int
    reasons: Reasons
    shares: Reasons
    score: float


def choose_keyframes(
    pool: Pool, labeled: Labeled, count: int, weights: Reasons = WEIGHTS
) -> list[Suggestion]:
    """Chooses at most `count` keyframes of a pool, the best first.

    Each in turn has the highest weighted sum of its reasons, given what was chosen before. A video
    gives at most twice an equal share, more only where no other video has a keyframe left.

    Args:
        pool: The keyframes to choose from.
        labeled: What is labeled already.
        count: How many to choose.
        weights: Of the reasons.
    """
    sizes = torch.tensor([len(keyframe.boxes) for keyframe in pool.keyframes])
    owner = torch.arange(len(sizes)).repeat_interleave(sizes)
    rows = torch.arange(len(owner)).split(sizes.tolist())
    distances = Distances(pool.features, labeled.features)
    examples = ExampleCounts(pool.scores, labeled.counts)
    errors = count_expected_errors(pool.scores)

    def compute_reasons() -> Tensor:
        """Returns the three reasons of each keyframe, [K, 3]."""
        of_boxes = torch.stack([distances.values, errors, examples.compute_rarity()], dim=1)
        return torch.zeros(len(sizes), 3).index_add(0, owner, of_boxes)

    highest = compute_reasons().amax(dim=0).clamp_min(1e-12) if len(sizes) else torch.ones(3)
    spread = _Spread([keyframe.video_id for keyframe in pool.keyframes], count)
    chosen: list[Suggestion] = []
    while len(chosen) < min(count, len(sizes)):
        reasons = compute_reasons()
        shares = reasons / highest
        scores = (shares * torch.tensor(weights)).sum(dim=1)
        index = int(torch.where(spread.find_free(), scores, -torch.inf).argmax())
        chosen.append(
            Suggestion(
                index,
                Reasons(*reasons[index].tolist()),
                Reasons(*shares[index].tolist()),
                float(scores[index]),
            )
        )
        spread.take(index)
        distances.take(rows[index])
        examples.take(rows[index])
    return chosen


class _Spread:
    """Says which keyframes may be chosen, so that no video gives too many.

    Args:
        videos: The video of each keyframe.
        count: How many are chosen in all.
    """

    def __init__(self, videos: Sequence[str], count: int) -> None:
        numbers = {video: number for number, video in enumerate(dict.fromkeys(videos))}
        self._videos = torch.tensor([numbers[video] for video in videos], dtype=torch.int64)
        self._taken = torch.zeros(len(numbers), dtype=torch.int64)
        self._is_left = torch.ones(len(videos), dtype=torch.bool)
        self._most = math.ceil(MAX_SHARE * count / max(len(numbers), 1))

    def find_free(self) -> Tensor:
        """Returns which keyframes may be chosen, bool [K]; at least one, where one is left."""
        while True:
            free = self._is_left & (self._taken < self._most)[self._videos]
            if free.any() or not self._is_left.any():
                return free
            self._most += 1

    def take(self, index: int) -> None:
        """Counts a keyframe as chosen."""
        self._is_left[index] = False
        self._taken[self._videos[index]] += 1
