"""Reads the options that hold scores of actions, such as --threshold of the demo."""

from __future__ import annotations

import argparse
import math


def parse_thresholds(text: str) -> tuple[float | None, dict[str, float]]:
    """Parses a text such as `0.4,walk=0.7,12=0.6`.

    Returns:
        The score for all actions, None where it is not given, and those of single actions.

    Raises:
        ValueError: A part is not a score in 0..1, alone or as ACTION=SCORE.
    """
    overall = None
    single = {}
    for part in text.split(","):
        action, equals, score = part.rpartition("=")
        try:
            value = float(score)
        except ValueError:
            value = math.nan
        if not 0 <= value <= 1:
            raise ValueError(f"expected a score 0..1, alone or as ACTION=SCORE, received {part!r}")
        if equals:
            single[action] = value
        else:
            overall = value
    return overall, single


def scores(text: str) -> str:
    """Parses an argument of that form, and returns it as it is: ids and names are checked later."""
    try:
        parse_thresholds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
