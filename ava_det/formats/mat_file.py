"""Reads variables of MATLAB files of version 5 (`save` before 7.3), as plain values.

scipy.io.loadmat reads these files too, but it crashes the process on damaged ones (a segmentation
fault in scipy 1.17.1, at one of some hundred files with a changed byte), and it would be by far the
largest dependency for one small file. Here every wrong byte ends in a ValueError, nothing of a file
is run, and functions, objects, sparse and complex arrays are refused.

A file is a header of 128 bytes and elements: a tag (type, bytes) and its data, padded to 8 bytes.
The MATLAB 5 MAT-file format document of MathWorks has the numbers.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = b"MATLAB"
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_ENCODINGS = {1: "utf-8", 2: "utf-8", 16: "utf-8", 4: "utf-16", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC = range(6, 16)  # float64, float32, and integers of 8 to 64 bits
_COMPLEX = 0x0800  # of the array flags

Element = tuple[int, memoryview]  # type and data


def is_mat(path: str | Path) -> bool:
    """Returns whether a file is MATLAB's, of version 5 or 7.3."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_variable(path: str | Path, name: str) -> Any:
    """Reads one variable.

    Args:
        path: The file.
        name: Of the variable.

    Returns:
        A numeric or logical array as an array in the type that it is stored in, text as a string, a
        cell array as a list, a struct array of any size as a list of dictionaries, both in
        MATLAB's order (down the columns).

    Raises:
        ValueError: The file is damaged, of another version, or has no such variable of such types.
    """
    content = memoryview(Path(path).read_bytes())
    if len(content) < _HEADER or content[: len(MAGIC)] != MAGIC:
        raise ValueError(f"{path}: expected a MATLAB file")
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[126:128]), "")
    if not order or int.from_bytes(content[124:126], _byte_order(order)) != 0x0100:
        raise ValueError(f"{path}: expected MATLAB's file version 5, found another (7.3?)")
    try:
        for kind, data in _split(content[_HEADER:], order):
            if kind == _COMPRESSED:
                [(kind, data)] = _split(memoryview(zlib.decompress(data)), order)
            if kind == _MATRIX and _name(data, order) == name:
                return _read_matrix(data, order)
    except (ValueError, IndexError, RecursionError, zlib.error) as error:
        raise ValueError(f"{path}: the file is truncated or damaged ({error})") from None
    raise ValueError(f"{path}: expected a variable {name}, found none")


def _byte_order(order: str) -> Any:
    return "little" if order == "<" else "big"


def _split(data: memoryview, order: str) -> Iterator[Element]:
    """Yields the elements of a sequence of them."""
    place = 0
    while place < len(data):
        first, size = np.frombuffer(data[place : place + 8], f"{order}u4").tolist()
        start, padding = place + 8, 8
        if first >> 16:  # a small element: size and type share a word, the data is the other one
            first, size, start, padding = first & 0xFFFF, first >> 16, place + 4, 4
        if size > len(data) - start or (padding == 4 and size > 4):
            raise ValueError(f"expected {size} more bytes")
        yield first, data[start : start + size]
        # only compressed elements, which stand at the top, are not padded
        place = start + (size if first == _COMPRESSED else -(-size // padding) * padding)


def _name(data: memoryview, order: str) -> str:
    """Reads the name of a matrix: its third element, after the flags and the dimensions."""
    elements = list(islice(_split(data, order), 3))
    return bytes(elements[2][1]).decode("utf-8")


def _read_matrix(data: memoryview, order: str) -> Any:
    """Reads the value of a matrix element."""
    if not len(data):
        return np.zeros((0, 0))
    elements = list(_split(data, order))
    flags = int(_read_numbers(elements[0], order)[0])
    shape = [int(size) for size in _read_numbers(elements[1], order)]
    kind, rest = flags & 0xFF, elements[3:]
    if min(shape, default=-1) < 0:
        raise ValueError(f"dimensions {shape}")
    if kind == _STRUCT:
        return _read_struct(rest, math.prod(shape), order)
    if kind == _CELL:
        return [_read_matrix(cell, order) for cell in _matrices(rest, math.prod(shape))]
    [element] = rest
    if kind == _CHAR:
        return bytes(element[1]).decode(_find_encoding(element[0], order))
    if kind not in _NUMERIC or flags & _COMPLEX:
        raise ValueError(f"an array of class {kind} with flags {flags:#x}")
    return _read_numbers(element, order).reshape(shape, order="F")


def _read_struct(elements: list[Element], count: int, order: str) -> list[dict[str, Any]]:
    """Reads a struct array: the length of names, the names, and each struct's values."""
    length = int(_read_numbers(elements[0], order)[0])
    names = bytes(elements[1][1])
    if length <= 0 or len(names) % length:
        raise ValueError(f"names of {length} bytes in {len(names)}")
    starts = range(0, len(names), length)
    fields = [names[i : i + length].partition(b"\0")[0].decode("utf-8") for i in starts]
    values = _matrices(elements[2:], count * len(fields))
    return [
        {
            field: _read_matrix(value, order)
            for field, value in zip(fields, values[i : i + len(fields)], strict=True)
        }
        for i in range(0, len(values), max(len(fields), 1))
    ]


def _matrices(elements: list[Element], count: int) -> list[memoryview]:
    if len(elements) != count or any(kind != _MATRIX for kind, _ in elements):
        raise ValueError(f"expected {count} values, found {len(elements)}")
    return [data for _, data in elements]


def _read_numbers(element: Element, order: str) -> np.ndarray:
    kind, data = element
    if kind not in _TYPES:
        raise ValueError(f"numbers of type {kind}")
    return np.frombuffer(data, order + _TYPES[kind])


def _find_encoding(kind: int, order: str) -> str:
    if kind not in _ENCODINGS:
        raise ValueError(f"text of type {kind}")
    name = _ENCODINGS[kind]
    return name if name == "utf-8" else f"{name}-{'le' if order == '<' else 'be'}"
