"""Opens CSV files, compressed by gzip or not; their first bytes decide."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

GZIP = b"\x1f\x8b"
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)  # what reading a cut or damaged file raises


def open_bytes(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """Opens a file to read its bytes, unpacked where it is compressed."""
    with path.open("rb") as file:
        is_compressed = file.read(2) == GZIP
    return gzip.open(path) if is_compressed else path.open("rb")


def open_text(path: Path) -> io.TextIOWrapper:
    """Opens a file to read its UTF-8 text, with or without a mark, as the csv module needs it."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", newline="")
