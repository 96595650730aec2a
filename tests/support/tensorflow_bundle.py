"""Writes TensorFlow checkpoints as TensorFlow does, but for their checksums, which are zeros."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

_TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9}
MAGIC = bytes.fromhex("57fb808b247547db")


def write_bundle(prefix: Path, tensors: Mapping[str, np.ndarray], per_block: int = 16) -> Path:
    """Writes `prefix`.index and its data file; returns the path of the index."""
    data = b""
    entries = [(b"", _number(1, 1) + _text(3, _number(1, 1)))]
    for name in sorted(tensors):
        tensor = np.asarray(tensors[name])
        shape = b"".join(_text(2, _number(1, side)) for side in tensor.shape)
        value = _number(1, _TYPES[tensor.dtype.name]) + _text(2, shape)
        value += _number(4, len(data)) if data else b""  # zeros are left out
        value += _number(5, tensor.nbytes) + b"\x35" + bytes(4)
        entries.append((name.encode(), value))
        data += tensor.tobytes()
    table, index = b"", []
    for first in range(0, len(entries), per_block):
        block = _block(entries[first : first + per_block])
        index.append((entries[first : first + per_block][-1][0], _place(table, block)))
        table += block + bytes(5)
    meta, last = _block([]), _block(index, restart=1)
    footer = _place(table, meta)
    table += meta + bytes(5)
    footer += _place(table, last)
    table += last + bytes(5) + footer.ljust(40, b"\0") + MAGIC
    path = prefix.with_name(f"{prefix.name}.index")
    path.write_bytes(table)
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
    return path


def _block(entries: list[tuple[bytes, bytes]], restart: int = 16) -> bytes:
    block, restarts, before = b"", [], b""
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % restart == 0:
            restarts.append(len(block))
        else:
            pairs = zip(key, before, strict=False)
            shared = next(
                (i for i, (a, b) in enumerate(pairs) if a != b), min(map(len, (key, before)))
            )
        block += _varint(shared) + _varint(len(key) - shared) + _varint(len(value))
        block += key[shared:] + value
        before = key
    ends = restarts or [0]
    return block + b"".join(end.to_bytes(4, "little") for end in [*ends, len(ends)])


def _place(table: bytes, block: bytes) -> bytes:
    return _varint(len(table)) + _varint(len(block))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
