"""CSV files as bytes and as text, whether compressed by gzip or not: told by their first bytes."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

GZIP = b"\x1f\x8b"
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)  # what reading a cut or damaged file raises


def open_bytes(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """Opens a file for its bytes, unpacked where it is compressed."""
    with path.open("rb") as file:
        is_compressed = file.read(2) == GZIP
    return gzip.open(path) if is_compressed else path.open("rb")


def open_text(path: Path) -> io.TextIOWrapper:
    """Opens a file for its text, as the csv module wants it: UTF-8, with or without its mark."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", newline="")
