"""An actor-target relation head, after ATR (Jiang et al., AVA challenge 2018).

    maps [B, C, h, w] of a clip              box k: RoIAlign -> [C, r, r]
              |                                         |
              +--> phi, g: C/2 at every cell            +--> theta: C/2 at every cell of the box
                       |                                             |
                       +--> softmax(theta phi / sqrt(C/2)) g <-------+
                                            |
                              out: C, added to the box's cells
                                            |
                              spatial max, dropout, linear

What is known of ATR is that the relation of a person to what the person acts on is a non-local
operation between the aligned box and the regions around it. The layers are ours, since the
authors' are not public: the queries are the cells of the box, the regions are all cells of its
clip's map, the products are scaled as in `non_local`, and there is no norm, so that the number of
boxes in a batch changes no box.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ava_det.models.roi_head import RoIHead


class ATRHead(RoIHead):
    """Classifies the actions of each box by what its cells find around it; gives logits.

    Args:
        in_channels: Channels of each pathway's features; together C.
        num_classes: Columns of the logits.
        feature_stride: Clip pixels per feature cell.
        aligned: See `RoIHead`.
        resolution: See `RoIHead`.
        dropout: See `RoIHead`.
        time_pool: See `RoIHead`.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        feature_stride: int,
        *,
        aligned: bool = True,
        resolution: int = 7,
        dropout: float = 0.5,
        time_pool: str = "mean",
    ) -> None:
        channels = sum(in_channels)
        super().__init__(
            [channels],
            num_classes,
            feature_stride,
            aligned=aligned,
            resolution=resolution,
            dropout=dropout,
            time_pool=time_pool,
        )
        inner = max(1, channels // 2)
        self.theta, self.phi, self.g = (nn.Linear(channels, inner) for _ in range(3))
        self.out = nn.Linear(inner, channels)
        for linear in (self.theta, self.phi, self.g, self.out):
            # Small, so that a pretrained network's features hardly change at first.
            nn.init.normal_(linear.weight, std=0.01)
            nn.init.zeros_(linear.bias)

    def relate(self, boxes: Tensor, maps: Tensor, clips: Tensor) -> Tensor:
        """Adds to each cell of a box what it finds in the map of its clip.

        Args:
            boxes: Float [K, C, r, r], the aligned boxes.
            maps: Float [B, C, h, w].
            clips: Int [K], the clip of each box.

        Returns:
            Float [K, r * r, C].
        """
        cells = boxes.flatten(2).transpose(1, 2)
        regions = maps.flatten(2).transpose(1, 2)
        keys, values = self.phi(regions)[clips], self.g(regions)[clips]
        queries = self.theta(cells) * keys.shape[2] ** -0.5
        found = torch.bmm(torch.bmm(queries, keys.transpose(1, 2)).softmax(dim=2), values)
        related: Tensor = cells + self.out(found)
        return related

    def _pool(self, features: Sequence[Tensor], rois: Tensor) -> Tensor:
        """Pools one float32 vector per box, [K, C]."""
        maps, boxes = self._align(features, rois)
        return self.relate(boxes, maps, rois[:, 0].long()).amax(dim=1)
