"""Formats timestamps as AVA's files have them; imports nothing, so that renderers start at once."""

from __future__ import annotations


def format_timestamp(timestamp: float) -> str:
    """Formats a timestamp as AVA does: whole seconds in four digits.

    Others get the fewest digits that read back as the same number.
    """
    timestamp = float(timestamp)
    return f"{int(timestamp):04d}" if timestamp.is_integer() else repr(timestamp)
