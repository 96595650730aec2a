"""Exported files whose weights are not numbers are refused, by a reader of protobuf that is tested
on its own bytes.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from ava_det.export.finite import require_finite_onnx


def varint(value: int) -> bytes:
    low = bytes([value & 127 | (128 if value > 127 else 0)])
    return low + varint(value >> 7) if value > 127 else low


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def write_model(path: Path, values: np.ndarray, kind: int) -> None:
    """A ModelProto with a node, some numbers of every wire type, and two initializers."""
    sound = (
        field(1, 2) + field(2, 1) + field(8, b"head.bias") + field(9, np.ones(2, "<f4").tobytes())
    )
    data = field(4, values.tobytes()) if kind == 1 else field(9, values.tobytes())
    other = field(1, len(values)) + field(2, kind) + field(8, b"stem.weight") + data
    fixed = (
        varint(20 << 3 | 1)
        + struct.pack("<d", float("nan"))
        + varint(21 << 3 | 5)
        + struct.pack("<f", 1.0)
    )
    graph = field(1, field(4, b"Conv")) + field(5, sound) + field(5, other) + field(2, b"g" * 300)
    path.write_bytes(field(1, 10) + fixed + field(7, graph) + field(2, b"pytorch"))


@pytest.mark.parametrize(("dtype", "kind"), [("<f4", 1), ("<f2", 10), ("<f8", 11)])
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_the_weight_is_named(
    tmp_path: Path, dtype: str, kind: int, value: float, word: str
) -> None:
    path = tmp_path / "model.onnx"
    write_model(path, np.array([1, 2, 3], dtype), kind)
    require_finite_onnx(path)
    write_model(path, np.array([1, value, 3], dtype), kind)
    with pytest.raises(ValueError, match=rf"model\.onnx: stem\.weight holds {word}"):
        require_finite_onnx(path)


def test_whole_numbers_and_a_single_bound_are_no_weights(tmp_path: Path) -> None:
    write_model(tmp_path / "whole.onnx", np.array([-1, -1], "<i4"), 6)
    write_model(tmp_path / "bound.onnx", np.array([-np.inf], "<f4"), 1)
    require_finite_onnx(tmp_path / "whole.onnx")
    require_finite_onnx(tmp_path / "bound.onnx")
