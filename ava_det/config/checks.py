"""Checks the values of a config's sections; a wrong one is a `ConfigError` that names its key."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any


class ConfigError(ValueError):
    """Reports to the user which file, override or key is wrong and what was expected there."""


class KeyChecks:
    """Checks the values of one section of a config, key by key.

    Args:
        values: The section: a dataclass with one field a key.
        section: Its name, such as `train`; empty for the keys outside every section.
    """

    def __init__(self, values: Any, section: str = "") -> None:
        self.values = values
        self.prefix = f"{section}." if section else ""

    def require(self, key: str, condition: bool, expected: str) -> None:
        """Refuses the value of a key where a condition does not hold.

        Args:
            key: Without its section.
            condition: Whether the value is accepted.
            expected: What the key takes, for a sentence that goes on after "expected".

        Raises:
            ConfigError: The condition does not hold.
        """
        if not condition:
            received = getattr(self.values, key)
            raise ConfigError(f"{self.prefix}{key}: expected {expected}, received {received!r}")

    def require_one_of(self, key: str, allowed: Sequence[str]) -> None:
        """Refuses a text that is none of those allowed, and suggests the most similar one."""
        received = getattr(self.values, key)
        near = difflib.get_close_matches(str(received), allowed, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        self.require(key, received in allowed, f"one of {', '.join(allowed)}{hint}")

    def require_at_least(self, key: str, least: float, expected: str) -> None:
        """Refuses a number below the least one that the key takes."""
        self.require(key, getattr(self.values, key) >= least, expected)
