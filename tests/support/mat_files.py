"""Writes MATLAB files of version 5 from plain values, as MATLAB's `save` does."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

_KINDS = {"u1": (9, 2), "u2": (11, 4), "u4": (13, 6), "f4": (7, 7), "f8": (6, 9)}  # class, type


def write_mat(path: Path, variables: dict[str, Any], order: str = "<", packed: bool = True) -> Path:
    """Writes variables: arrays, text, lists (cells), and lists of dictionaries (1 x n structs)."""
    header = b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(124)
    header += struct.pack(f"{order}H", 0x0100) + (b"IM" if order == "<" else b"MI")
    content = header
    for name, value in variables.items():
        element = _matrix(value, order, name)
        if packed:
            data = zlib.compress(element)
            element = struct.pack(f"{order}II", 15, len(data)) + data
        content += element
    path.write_bytes(content)
    return path


def _element(kind: int, data: bytes, order: str) -> bytes:
    if 0 < len(data) <= 4:
        return struct.pack(f"{order}I", len(data) << 16 | kind) + data.ljust(4, b"\0")
    return struct.pack(f"{order}II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def _numbers(array: np.ndarray, order: str) -> bytes:
    name = array.dtype.str[1:]
    data = array.astype(order + name).tobytes(order="F")
    return _element(_KINDS[name][1], data, order)


def _matrix(value: Any, order: str, name: str = "") -> bytes:
    if isinstance(value, str):
        kind, shape = 4, (1, len(value))
        encoding = "utf-16-le" if order == "<" else "utf-16-be"
        content = _element(4, value.encode(encoding), order)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        kind, shape = 2, (1, len(value))
        names = b"".join(key.encode().ljust(32, b"\0") for key in value[0])
        content = _element(5, struct.pack(f"{order}i", 32), order) + _element(1, names, order)
        content += b"".join(_matrix(field, order) for row in value for field in row.values())
    elif isinstance(value, list):
        kind, shape = 1, (1, len(value))
        content = b"".join(_matrix(cell, order) for cell in value)
    else:
        value = np.atleast_2d(value)
        kind, shape = _KINDS[value.dtype.str[1:]][0], value.shape
        content = _numbers(value, order)
    head = _element(6, struct.pack(f"{order}II", kind, 0), order)
    head += _element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    data = head + _element(1, name.encode(), order) + content
    return struct.pack(f"{order}II", 14, len(data)) + data
