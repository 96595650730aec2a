"""Says how unlike all labeled persons those of a keyframe are, as k-centre greedy does.

Source: Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach"
(ICLR 2018). Its greedy algorithm takes, again and again, what is farthest from all that was taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 2048  # boxes that are computed with at a time
NUM_COMPONENTS = 20  # directions of small variance are mostly noise


class Distances:
    """Holds the distance of each box to the nearest one that is labeled or was taken.

    Distances are Euclidean, between the first principal components of the features, which are first
    brought to mean 0 and variance 1 over all boxes, so that none counts more for its scale.

    Args:
        features: Float32 [N, D], of the boxes to choose from.
        labeled: Float32 [L, D], of the labeled ones. Where there are none, a box is as far as it
            is from the mean of all.

    Attributes:
        values: Float32 [N].
    """

    def __init__(self, features: Tensor, labeled: Tensor) -> None:
        places = _compute_components(torch.cat((features, labeled)))
        self._places, centers = places.split((len(features), len(labeled)))
        self.values = self._places.norm(dim=1)
        if len(labeled):
            parts = self._places.split(CHUNK)
            self.values = torch.cat([torch.cdist(part, centers).amin(dim=1) for part in parts])

    def take(self, boxes: Tensor) -> None:
        """Counts boxes as labeled from now on.

        Args:
            boxes: Int64 [K], their rows.
        """
        near = torch.cdist(self._places, self._places[boxes]).amin(dim=1)
        self.values = torch.minimum(self.values, near)


def _compute_components(features: Tensor) -> Tensor:
    """Computes coordinates along the directions of largest variance, float32 [N, at most 20]."""
    std = features.std(dim=0, correction=0)
    # a constant feature carries no information
    scale = torch.where(std > 1e-6 * std.max().clamp_min(1e-12), std, torch.inf)
    scaled = (features - features.mean(dim=0)) / scale
    products = torch.zeros(scaled.shape[1], scaled.shape[1], dtype=torch.float64)
    for part in scaled.split(CHUNK):
        products += part.double().T @ part.double()
    directions = torch.linalg.eigh(products).eigenvectors[:, -NUM_COMPONENTS:]
    components: Tensor = scaled @ directions.float()
    return components
