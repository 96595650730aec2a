"""The section `model.flow` of a config: the stream of optical flow, and how it joins RGB's."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ava_det.config.checks import KeyChecks

STREAMS = ("rgb", "flow", "two_stream")
FUSIONS = ("late", "map")
FUSED_SCORES = ("logits", "softmax", "sigmoid")


@dataclass
class FlowStreamConfig:
    """Describes the stream of optical flow of `model.streams: flow` and `two_stream`.

    Where a key is null, the stream has what RGB's has. A comment beside each key says what it
    means; `ava-det config --keys` prints them.
    """

    backbone: str | None = None  # its network, of those that read the clip slow alone
    num_frames: int | None = None  # its T
    stride: int | None = None  # ticks between its frames
    # L: fields of flow of a frame, which has 2 L channels; 10 for the Two-Stream CNN
    stack: int = 1
    # late joins the scores of two whole networks, map the last feature maps of two backbones
    fusion: str = "late"
    weights: list[float] = field(default_factory=lambda: [1.0, 1.0])  # of RGB and of flow
    # what late fusion joins: the weighted sum of logits (I3D), or the weighted mean of softmax
    # (Two-Stream CNN, R(2+1)D) or sigmoid (AVA) scores
    scores: str = "logits"

    def __post_init__(self) -> None:
        check = KeyChecks(self, "model.flow")
        for key in ("num_frames", "stride"):
            value = getattr(self, key)
            fits = value is None or value >= 1
            check.require(key, fits, "null or a whole number of at least 1")
        check.require_at_least("stack", 1, "a whole number of at least 1")
        check.require_one_of("fusion", FUSIONS)
        check.require_one_of("scores", FUSED_SCORES)
        alone = self.fusion == "late" or self.scores == "logits"
        check.require(
            "scores", alone, "logits for model.flow.fusion map, whose one head gives them"
        )
        weights = self.weights = list(self.weights)
        fits = (
            len(weights) == 2 and all(0 <= one < math.inf for one in weights) and sum(weights) > 0
        )
        check.require("weights", fits, "two numbers (RGB, flow) of at least 0, not both 0")
