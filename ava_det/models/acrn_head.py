"""ACRN's head (Sun et al., ECCV 2018): relates each person to the map around it.

    maps [B, C, h, w] of a clip          box k: RoIAlign, spatial max -> [C]
              |                                      |
              |          repeated over the map <-----+
              +--> [person, context] 2C -> 1x1, C, BN, ReLU -> 3x3, C, BN, ReLU    for every box
                                                                     |
                                                  spatial max, dropout, linear

The layers are those of MMAction2's ACRNHead; the authors published none.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.models.roi_head import RoIHead


class ACRNHead(RoIHead):
    """Classifies the actions of each box by its relations to the whole map; gives logits.

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
        self.relate = nn.Conv3d(2 * channels, channels, 1, bias=False)
        self.relate_bn = nn.BatchNorm3d(channels)
        self.refine = nn.Conv3d(channels, channels, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.refine_bn = nn.BatchNorm3d(channels)
        for conv in (self.relate, self.refine):
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")

    def compute_relations(self, maps: Tensor, persons: Tensor, clips: Tensor) -> Tensor:
        """Computes the relation of each cell of a clip's map to each person.

        Args:
            maps: Float [B, C, h, w].
            persons: Float [K, C], the pooled features of each box.
            clips: Int [K], the clip of each box.

        Returns:
            Float [K, C, h, w].
        """
        # A convolution of two things side by side is the sum of one of each: the map's is the
        # same for all boxes of a clip, the person's is the same at all cells.
        of_person, of_context = self.relate.weight[:, :, 0].chunk(2, dim=1)
        context = F.conv2d(maps, of_context)
        person = F.linear(persons, of_person[:, :, 0, 0])
        together = (context[clips] + person[:, :, None, None]).unsqueeze(2)
        related = F.relu(_normalize(self.relate_bn, together), inplace=True)
        refined = _normalize(self.refine_bn, self.refine(related))
        return F.relu(refined, inplace=True).squeeze(2)

    def _pool(self, features: Sequence[Tensor], rois: Tensor) -> Tensor:
        """Pools one float32 vector per box, [K, C]."""
        maps, aligned = self._align(features, rois)
        persons = aligned.flatten(2).amax(dim=2)
        relations = self.compute_relations(maps, persons, rois[:, 0].long())
        return relations.flatten(2).amax(dim=2)


def _normalize(norm: nn.BatchNorm3d, x: Tensor) -> Tensor:
    """Applies the norm; without boxes it keeps the running statistics, which would become NaN."""
    if norm.training and not len(x):
        return F.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
    normalized: Tensor = norm(x)
    return normalized
