"""The section `model.vit` of a config: the video transformer."""

from __future__ import annotations

from dataclasses import dataclass

from ava_det.config.checks import KeyChecks


@dataclass
class VitConfig:
    """Describes a plain video transformer.

    S is 384, 12, 6; B 768, 12, 12; L 1024, 24, 16; H 1280, 32, 16 (width, depth, heads).
    """

    width: int = 768  # channels of a token
    depth: int = 12  # blocks
    heads: int = 12  # of the attention
    tubelet: int = 2  # frames of a token
    # sides that are no multiple of 16: cut (MMAction2) or pad with zeros (VideoMAE-AD, UMT)
    border: str = "cut"
    # training: chance to leave out the last block's branches; rises from 0 at the first
    drop_path: float = 0.0
    # training: blocks are computed twice and not kept, for less memory
    checkpoint_activations: bool = False

    def __post_init__(self) -> None:
        check = KeyChecks(self, "model.vit")
        for key in ("width", "depth", "heads", "tubelet"):
            check.require_at_least(key, 1, "a whole number of at least 1")
        divides = self.heads > 0 and self.width % self.heads == 0
        check.require("heads", divides, f"a divisor of model.vit.width = {self.width}")
        check.require_one_of("border", ("cut", "pad"))
        check.require("drop_path", 0 <= self.drop_path < 1, "a fraction in [0, 1)")
