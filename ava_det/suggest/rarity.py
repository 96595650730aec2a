"""Says how much a keyframe is expected to add to the actions of which few examples are labeled."""

from __future__ import annotations

from torch import Tensor


class ExampleCounts:
    """Holds how many examples of each action are labeled, or expected where keyframes were taken.

    Args:
        scores: Float32 [N, C], calibrated, of the boxes to choose from.
        labeled: Float32 [C], examples that are labeled.
    """

    def __init__(self, scores: Tensor, labeled: Tensor) -> None:
        self._scores = scores
        self._counts = labeled.clone()

    def compute_rarity(self) -> Tensor:
        """Computes for each box the share of all its actions' examples that it is expected to be.

        An action with n examples counts 1 / (1 + n) times its score.

        Returns:
            Float32 [N].
        """
        return self._scores @ (1 / (1 + self._counts))

    def take(self, boxes: Tensor) -> None:
        """Counts boxes as labeled from now on: by their scores, as nobody labeled them yet.

        Args:
            boxes: Int64 [K], their rows.
        """
        self._counts += self._scores[boxes].sum(dim=0)
