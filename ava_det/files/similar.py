"""Suggests a file for a name that does not exist."""

from __future__ import annotations

import difflib
import os
from pathlib import Path


def suggest_file(path: str | Path) -> str:
    """Finds a file of nearly this name, or of this name in another case, in the same folder.

    Args:
        path: Of a file that does not exist.

    Returns:
        "; did you mean NAME?", to end a sentence with, or an empty text.
    """
    path = Path(path)
    try:
        names = sorted(os.listdir(path.parent))
    except OSError:
        return ""
    same = [name for name in names if name.casefold() == path.name.casefold()]
    near = same or difflib.get_close_matches(path.name, names, n=1, cutoff=0.8)
    return f"; did you mean {path.with_name(near[0])}?" if near else ""
