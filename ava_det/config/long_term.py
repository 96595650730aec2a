"""The section `model.long_term` of a config: a head with a feature bank."""

from __future__ import annotations

from dataclasses import dataclass

from ava_det.config.checks import KeyChecks

OPERATORS = ("none", "non_local", "avg", "max")


@dataclass
class LongTermConfig:
    """Describes a long-term feature bank and the head that reads it; see docs/long_term.md.

    Defaults are those of MMAction2's weights. A comment beside each key says what it means;
    `ava-det config --keys` prints them.
    """

    # how the head reads the bank: non_local, avg, max, or none for a head without a bank
    operator: str = "none"
    # the network whose box features fill the bank: a file, or a name of the model zoo
    bank_weights: str | None = None
    # its config; null: the one that belongs to these weights
    bank_config: str | None = None
    # the folder that keeps the banks of a data set's videos, so that they are computed once
    bank_dir: str = "outputs/feature_banks"
    bank_channels: int = 2048  # of a box's features in the bank
    window_seconds: int = 60  # of the bank that are seen, half before and half after the keyframe
    persons_per_second: int = 5  # the surest ones of each second
    channels: int = 512  # of non_local: what persons and bank are reduced to
    layers: int = 2  # of non_local
    dropout: float = 0.2  # of non_local, in training

    def __post_init__(self) -> None:
        check = KeyChecks(self, "model.long_term")
        check.require_one_of("operator", OPERATORS)
        for key in ("bank_channels", "window_seconds", "persons_per_second", "channels", "layers"):
            check.require_at_least(key, 1, "a whole number of at least 1")
        check.require("dropout", 0 <= self.dropout < 1, "a fraction in [0, 1)")

    @property
    def is_used(self) -> bool:
        """Returns whether the head reads a bank."""
        return self.operator != "none"
