"""The head with a long-term feature bank (Wu et al., CVPR 2019): persons compared over minutes.

    RoI features [K, D] ---------------------------+------------> concatenate -> dropout -> linear
             |                                     |                   ^
             +-> theta -> attention over the bank -+-> non-local layers
    bank [B, L, D'] -> phi, g ---^

The bank holds the features of the persons in the seconds around each keyframe, computed before by
a network that is not trained any more; places without a person hold zeros. Layers and order are
those of MMAction2, whose weights fit; max and avg replace attention by a pool over the bank.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.models.action_detector import ActionDetector
from ava_det.models.precision import full_precision
from ava_det.models.roi_head import RoIHead

OPERATORS = ("non_local", "avg", "max")


class BankAttention(nn.Module):
    """Adds features of the bank to each person's, by one layer of attention.

    q + out(ReLU(LayerNorm(softmax(theta(q) phi(bank) / sqrt(channels)) g(bank))))

    Args:
        channels: Of persons and of bank.
        dropout: Share of the added features that training drops.
    """

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.theta = nn.Linear(channels, channels)
        self.phi = nn.Linear(channels, channels)
        self.g = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.out = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, persons: Tensor, bank: Tensor, clips: Tensor) -> Tensor:
        """Returns persons [K, C] with what their clip's bank [B, L, C] adds; clips: int64 [K]."""
        # one head, which has a dimension of its own: ONNX's exporter takes no less than four
        keys = self.phi(bank)[clips][:, None]
        values = self.g(bank)[clips][:, None]
        query = self.theta(persons)[:, None, None, :]
        # Places without a person take part too: their keys are phi's bias, as in MMAction2.
        attended = F.scaled_dot_product_attention(query, keys, values)[:, 0, 0]
        added: Tensor = self.dropout(self.out(F.relu(self.norm(attended))))
        return persons + added


class NonLocalFusion(nn.Module):
    """Compares each person with the bank in several layers of attention.

    Args:
        person_channels: Of the persons' features.
        bank_channels: Of the bank's features.
        channels: That both are reduced to.
        num_layers: Of attention.
        dropout: Of the reduced features and of each layer, in training.
    """

    def __init__(
        self,
        person_channels: int,
        bank_channels: int,
        *,
        channels: int,
        num_layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.out_channels = channels
        self.short = nn.Linear(person_channels, channels)
        self.long = nn.Linear(bank_channels, channels)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(BankAttention(channels, dropout) for _ in range(num_layers))

    def forward(self, persons: Tensor, bank: Tensor, clips: Tensor) -> Tensor:
        """Maps persons [K, D] and the bank [B, L, D'] to [K, channels]; clips: int64 [K]."""
        persons = self.dropout(self.short(persons))
        bank = self.dropout(self.long(bank))
        for layer in self.layers:
            persons = layer(persons, bank, clips)
        return persons


class PooledFusion(nn.Module):
    """Pools the whole bank of a clip, the same for each of its persons.

    Args:
        bank_channels: Of the bank's features.
        operator: avg or max; places without a person count as zeros, as in MMAction2.
    """

    def __init__(self, bank_channels: int, operator: str) -> None:
        super().__init__()
        self.out_channels = bank_channels
        self.operator = operator

    def forward(self, persons: Tensor, bank: Tensor, clips: Tensor) -> Tensor:
        """Maps the bank [B, L, D'] to [K, D']; persons are not read; clips: int64 [K]."""
        pooled = bank.mean(dim=1) if self.operator == "avg" else bank.amax(dim=1)
        return pooled[clips]


class LongTermHead(RoIHead):
    """Classifies the actions of each box from its features and the bank around its keyframe.

    Args:
        in_channels: See `RoIHead`.
        num_classes: See `RoIHead`.
        feature_stride: See `RoIHead`.
        operator: non_local, avg or max.
        bank_channels: Of the bank's features.
        num_places: Largest number of persons in the bank around a clip; it alone sets the cost.
        fusion_channels: That persons and bank are reduced to; non_local alone.
        num_layers: Of attention; non_local alone.
        fusion_dropout: Of non_local, in training.
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
        operator: str,
        bank_channels: int,
        num_places: int = 300,
        fusion_channels: int = 512,
        num_layers: int = 2,
        fusion_dropout: float = 0.2,
        aligned: bool = True,
        resolution: int = 7,
        dropout: float = 0.5,
        time_pool: str = "mean",
    ) -> None:
        if operator not in OPERATORS:
            raise ValueError(f"operator is {operator!r}, expected one of {', '.join(OPERATORS)}")
        super().__init__(
            in_channels,
            num_classes,
            feature_stride,
            aligned=aligned,
            resolution=resolution,
            dropout=dropout,
            time_pool=time_pool,
        )
        width = sum(in_channels)
        self.bank_channels = bank_channels
        self.num_places = num_places
        self.fusion: NonLocalFusion | PooledFusion
        if operator == "non_local":
            self.fusion = NonLocalFusion(
                width,
                bank_channels,
                channels=fusion_channels,
                num_layers=num_layers,
                dropout=fusion_dropout,
            )
        else:
            self.fusion = PooledFusion(bank_channels, operator)
        self.projection = nn.Linear(width + self.fusion.out_channels, num_classes)
        nn.init.normal_(self.projection.weight, std=0.01)
        nn.init.zeros_(self.projection.bias)

    def forward(
        self, features: Sequence[Tensor], rois: Tensor | None, long_term: Tensor | None = None
    ) -> Tensor:
        """Classifies the boxes of a batch of clips.

        Args:
            features: A tensor [B, C_i, T_i, h, w] per pathway.
            rois: Float [K, 5] = (clip index, x1, y1, x2, y2) in clip pixels.
            long_term: Float [B, L, bank_channels], the bank around each clip's keyframe.

        Returns:
            Logits [K, num_classes].

        Raises:
            ValueError: rois or the bank are missing or have another shape.
        """
        vectors = self.pool(features, rois)
        assert rois is not None
        return self.classify(vectors, long_term, rois[:, 0].long())

    def classify(
        self, vectors: Tensor, long_term: Tensor | None = None, clips: Tensor | None = None
    ) -> Tensor:
        """Turns the vectors [K, width] of `pool` into logits [K, num_classes].

        Args:
            vectors: One for each box.
            long_term: See `forward`.
            clips: Int64 [K], the clip of each box.

        Raises:
            ValueError: The bank is missing or has another shape.
        """
        if long_term is None or long_term.ndim != 3 or long_term.shape[2] != self.bank_channels:
            received = "None" if long_term is None else f"shape {list(long_term.shape)}"
            raise ValueError(
                "long_term: expected the features of the persons in the seconds around each "
                f"clip, [B, L, {self.bank_channels}], got {received}"
            )
        assert clips is not None
        with full_precision(vectors):
            dtype = self.projection.weight.dtype
            persons = vectors.to(dtype)
            added = self.fusion(persons, long_term.to(dtype), clips)
            logits: Tensor = self.projection(self.dropout(torch.cat([persons, added], dim=1)))
            return logits


class LongTermDetector(ActionDetector):
    """Scores what each person of a clip does, knowing the persons of the seconds around it."""

    head: LongTermHead

    def forward(
        self,
        slow: Tensor | None = None,
        fast: Tensor | None = None,
        rois: Tensor | None = None,
        long_term: Tensor | None = None,
    ) -> Tensor:
        """Scores the boxes of a batch of clips.

        Args:
            slow: See `ActionDetector`.
            fast: See `ActionDetector`.
            rois: See `ActionDetector`.
            long_term: Float [B, L, D], the bank around each clip's keyframe.

        Returns:
            Logits [K, num_classes].
        """
        logits: Tensor = self.head(self.backbone(slow, fast), rois, long_term)
        return logits
