"""Checks that the weights in an exported file are finite numbers.

A runtime would compute scores from NaN without any message.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

# of onnx.proto, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
_GRAPH_OF_MODEL = 7
_INITIALIZER_OF_GRAPH = 5
_TYPE_OF_TENSOR = 2
_FLOATS_OF_TENSOR = 4
_NAME_OF_TENSOR = 8
_RAW_OF_TENSOR = 9
_DTYPES = {1: "<f4", 10: "<f2", 11: "<f8"}
# what follows a field's key; any other kind is four bytes
_VARINT = 0
_FIXED64 = 1
_BYTES = 2


def require_finite_onnx(path: str | Path) -> None:
    """Checks the weights of an ONNX file.

    Raises:
        ValueError: A weight holds NaN or infinity; the message names the first.
    """
    model = np.memmap(path, np.uint8, mode="r")
    for name, values in _read_weights(model.data):
        require_finite(path, name, values)


def require_finite_openvino(path: str | Path, network: Any) -> None:
    """Checks the weights of a network of OpenVINO.

    Args:
        path: Its file, for the message.
        network: The network, an `openvino.Model`.

    Raises:
        ValueError: A weight holds NaN or infinity; the message names the first.
    """
    for operation in network.get_ordered_ops():
        if operation.get_type_name() == "Constant":
            require_finite(path, operation.get_friendly_name(), operation.data)


def require_finite(path: str | Path, name: str, values: np.ndarray) -> None:
    """Checks one array of weights; an array of a single number may be infinite, as a bound is.

    Raises:
        ValueError: The array holds NaN or infinity.
    """
    if values.dtype.kind == "f" and values.size > 1 and not np.isfinite(values).all():
        kind = "NaN" if np.isnan(values).any() else "infinity"
        raise ValueError(
            f"{path}: {name} holds {kind}, expected finite numbers: "
            "export it again from sound weights"
        )


def _read_weights(model: memoryview) -> Iterator[tuple[str, np.ndarray]]:
    """Yields name and values of the float arrays of a serialized ModelProto, not copied."""
    for field, graph in _fields(model):
        if field != _GRAPH_OF_MODEL or isinstance(graph, int):
            continue
        for inner, tensor in _fields(graph):
            if inner == _INITIALIZER_OF_GRAPH and not isinstance(tensor, int):
                parts = dict(_fields(tensor))
                data = parts.get(_RAW_OF_TENSOR, parts.get(_FLOATS_OF_TENSOR))
                dtype = _DTYPES.get(int(parts.get(_TYPE_OF_TENSOR, 0)))
                if dtype is not None and data is not None and not isinstance(data, int):
                    yield (
                        bytes(parts.get(_NAME_OF_TENSOR, b"")).decode(errors="replace"),
                        np.frombuffer(data, dtype),
                    )


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Yields (number, value) of a protobuf message: an int, or a memoryview of the bytes."""
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _read_varint(message, position)
            yield key >> 3, value
            continue
        size = 8 if kind == _FIXED64 else 4
        if kind == _BYTES:
            size, position = _read_varint(message, position)
        yield key >> 3, message[position : position + size]
        position += size


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
