"""Writes small files at once, whole or not at all, and hashes files."""

from __future__ import annotations

import hashlib
import json
from errno import EDQUOT, EFBIG, ENOSPC, EROFS
from pathlib import Path
from typing import Any

from ava_det.files.atomic import atomic_path


def write_text(path: str | Path, text: str) -> None:
    """Writes a UTF-8 file with the line ends of `text`; a crash leaves the old file or the new."""
    with atomic_path(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8", newline="")


def write_json(path: str | Path, value: Any) -> None:
    """Writes a JSON file, indented by 2, as `write_text` does.

    Raises:
        ValueError: `value` holds NaN or infinity, which JSON cannot express.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def hash_file(path: str | Path) -> str:
    """Computes the SHA-256 of a file's bytes, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_full(error: OSError) -> bool:
    """Returns whether an error says that a disk takes nothing more, whatever is written."""
    return error.errno in (EDQUOT, EFBIG, ENOSPC, EROFS)
