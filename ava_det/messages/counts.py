"""Formats how many there are of something, for people."""

from __future__ import annotations


def format_count(number: int, noun: str) -> str:
    """Formats a number with its noun, such as `1 video`, `2 boxes` or `1,200 keyframes`.

    Args:
        number: How many there are.
        noun: The singular; its plural ends with s, or with es where the noun ends with x.
    """
    plural = f"{noun}es" if noun.endswith("x") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
