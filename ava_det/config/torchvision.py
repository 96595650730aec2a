"""The section `model.torchvision` of a config: video transformers of torchvision."""

from __future__ import annotations

from dataclasses import dataclass

from ava_det.config.checks import KeyChecks


@dataclass
class TorchvisionConfig:
    """Describes mvit_v2_s and swin3d_{t,s,b}, whose layers torchvision provides.

    A comment beside each key says what it means; `ava-det config --keys` prints them.
    """

    # channels of the first stage, a multiple of its heads; null: as published
    width: int | None = None
    # training: share of residual branches skipped in the last block, fewer in those before
    drop_path: float = 0.2

    def __post_init__(self) -> None:
        check = KeyChecks(self, "model.torchvision")
        wide = self.width is None or self.width >= 1
        check.require("width", wide, "null or a whole number of at least 1")
        check.require("drop_path", 0 <= self.drop_path < 1, "a fraction in [0, 1)")
