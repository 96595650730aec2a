"""The section `detector` of a config: the person detector that training makes."""

from __future__ import annotations

from dataclasses import dataclass, field

from ava_det.config.checks import KeyChecks


@dataclass
class DetectorConfig:
    """Describes the person detector that `ava-det train-detector` trains from random weights.

    It is Faster R-CNN with a feature pyramid; the defaults are R50-FPN, with a norm that can be
    trained. With `weights`, training takes the network of that file instead.
    """

    depth: int = 50  # of the ResNet: 18, 34 (basic blocks), 50, 101, 152
    width: int = 64  # channels of its stem
    norm: str = "bn"  # bn or gn
    channels: int = 256  # of the pyramid's maps
    hidden: int = 1024  # of the box head's layers
    # pixels, by level
    anchor_sizes: list[float] = field(default_factory=lambda: [32.0, 64.0, 128.0, 256.0, 512.0])

    def __post_init__(self) -> None:
        check = KeyChecks(self, "detector")
        known = self.depth in (18, 34, 50, 101, 152)
        check.require("depth", known, "18, 34, 50, 101 or 152")
        check.require_one_of("norm", ("bn", "gn"))
        for key in ("width", "channels", "hidden"):
            check.require_at_least(key, 1, "a whole number of at least 1")
        self.anchor_sizes = list(self.anchor_sizes)
        good = len(self.anchor_sizes) == 5 and min(self.anchor_sizes) > 0
        check.require("anchor_sizes", good, "five positive numbers, one for each level")
