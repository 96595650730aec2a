"""Reads TensorFlow's checkpoints of version 2 without TensorFlow: an index and its data file.

`model.ckpt.index` is a table of sorted keys, as LevelDB writes it:

    data blocks, each with a byte of compression and a checksum behind it
    an index block: the last key of each data block -> its place and size
    the last 48 bytes: places of two blocks (the second is the index block), and 8 fixed bytes

A block is a list of entries whose keys leave out what they share with the key before, then the
places of the entries that share nothing. The value of a tensor's name is a message in protobuf:
type (1), shape (2), shard (3), place (4) and size (5) in `model.ckpt.data-SSSSS-of-NNNNN`. Formats
as in TensorFlow's tensor_bundle.proto and LevelDB's table_format.md; checksums are not compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER = 48
# TensorFlow's numbers of types; tensors of others, such as text, carry no weights.
_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}


def is_index(path: Path) -> bool:
    """Returns whether a file ends as the index of a checkpoint does."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - len(MAGIC)))
        return size >= _FOOTER and file.read() == MAGIC


def read_bundle(index: Path) -> dict[str, Tensor]:
    """Reads the tensors of a checkpoint.

    Args:
        index: The file `NAME.index`; its data files stand beside it.

    Returns:
        TensorFlow's name -> tensor, in TensorFlow's layout.

    Raises:
        ValueError: The files are damaged, a data file is missing, or blocks are compressed, which
            TensorFlow does not do by itself.
    """
    table = index.read_bytes()
    try:
        entries = dict(_list_entries(table))
        header = dict(_list_fields(entries.pop(b"")))
        shards = int(header.get(1, 1))
        described = {name.decode(): _describe(value) for name, value in entries.items()}
    except (IndexError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"a damaged index of a TensorFlow checkpoint ({error!r})") from None
    if header.get(2, 0):
        raise ValueError("a TensorFlow checkpoint of a big-endian machine, which is not read")
    stem = index.name.removesuffix(".index")
    files = [index.with_name(f"{stem}.data-{n:05d}-of-{shards:05d}") for n in range(shards)]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise ValueError(f"the index of a TensorFlow checkpoint, beside it expected {missing.name}")
    data = [np.memmap(file, dtype=np.uint8, mode="r") for file in files]
    tensors = {}
    for name, (kind, shape, shard, place, size) in described.items():
        if kind not in _TYPES:
            continue
        dtype = np.dtype(_TYPES[kind])
        fits = shard < shards and place + size <= len(data[shard])
        if not fits or size != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{name} is not whole in {stem}.data-*: the checkpoint is damaged")
        values = np.array(data[shard][place : place + size]).view(dtype).reshape(shape)
        tensors[name] = torch.from_numpy(values)
    return tensors


def _list_entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields all keys and values of a table."""
    position = len(table) - _FOOTER
    handles = []
    for _ in range(4):  # place and size of the metaindex block, then of the index block
        number, position = _read_varint(table, position)
        handles.append(number)
    for _, handle in _list_block(table, *handles[2:]):
        place, after = _read_varint(handle, 0)
        size, _ = _read_varint(handle, after)
        yield from _list_block(table, place, size)


def _list_block(table: bytes, place: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yields the keys and values of one block."""
    block = table[place : place + size]
    if len(block) != size or size < 4:
        raise IndexError("a block is cut off")
    if table[place + size]:
        raise ValueError("a TensorFlow checkpoint with compressed blocks, which is not read")
    end = size - 4 - 4 * int.from_bytes(block[-4:], "little")
    position, key = 0, b""
    while position < end:
        shared, position = _read_varint(block, position)
        own, position = _read_varint(block, position)
        length, position = _read_varint(block, position)
        if position + own + length > end or shared > len(key):
            raise IndexError("an entry is cut off")
        key = key[:shared] + block[position : position + own]
        position += own
        yield key, block[position : position + length]
        position += length


def _describe(message: bytes) -> tuple[int, list[int], int, int, int]:
    """Returns type, shape, shard, place and size of a tensor."""
    fields = list(_list_fields(message))
    numbers = {number: value for number, value in fields if isinstance(value, int)}
    (shape,) = [value for number, value in fields if number == 2] or [b""]
    if not isinstance(shape, bytes):
        raise TypeError("a shape is a number")
    sides = [
        next((side for number, side in _list_fields(dim) if number == 1), 0)
        for number, dim in _list_fields(shape)
        if number == 2 and isinstance(dim, bytes)
    ]
    if any(number == 7 for number, _ in fields):
        raise TypeError("a tensor is stored in slices")
    places = (numbers.get(number, 0) for number in (3, 4, 5))
    shard, place, size = places
    return numbers.get(1, 0), [int(side) for side in sides], shard, place, size


def _list_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yields number and value of each field of a message in protobuf."""
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        kind = key & 7
        if kind == 0:
            value, position = _read_varint(message, position)
            yield key >> 3, value
            continue
        length = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            length, position = _read_varint(message, position)
        if length is None or position + length > len(message):
            raise IndexError("a field is cut off")
        yield key >> 3, message[position : position + length]
        position += length


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Returns a number of seven bits a byte, and the position behind it."""
    number = 0
    for shift in range(0, 64, 7):
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, position
    raise IndexError("a number has more than 64 bits")
