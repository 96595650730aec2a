"""MATLAB files of version 5: values come back, and every damaged byte ends in a sentence."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ava_det.formats.mat_file import is_mat, read_variable
from tests.support.mat_files import write_mat

VALUES: dict[str, Any] = {
    "small": np.array([[1, 2, 3], [4, 5, 250]], np.uint8),
    "float": np.arange(12.0).reshape(3, 4),
    "text": "Läufer/v_1",
    "cells": [np.array([[7]], np.uint16), "two", [np.zeros((1, 1))]],
    "structs": [{"a": np.array([[k]], np.uint8), "longer_name": f"n{k}"} for k in range(3)],
    "nested": [{"inner": [{"x": np.ones((2, 2), np.float32)}, {"x": np.zeros((1, 3))}]}],
}


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    else:
        assert found == expected


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [True, False])
def test_values_come_back(tmp_path: Path, order: str, packed: bool) -> None:
    path = write_mat(tmp_path / "a.mat", VALUES, order, packed)
    assert is_mat(path)
    for name, value in VALUES.items():
        assert_same(read_variable(path, name), value)


def test_scipy_writes_what_is_read(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io")
    table = np.empty((1, 2), [("name", object), ("boxes", object)])
    table["name"] = [["one", "two"]]
    for place in range(2):
        table[0, place]["boxes"] = np.arange(8, dtype=np.uint16).reshape(2, 4) + place
    content = {"table": table, "mask": np.array([[True, False]]), "empty": np.zeros((0, 0))}
    for packed in (True, False):
        io.savemat(tmp_path / "a.mat", content, do_compression=packed)
        rows = read_variable(tmp_path / "a.mat", "table")
        assert [row["name"] for row in rows] == ["one", "two"]
        assert rows[1]["boxes"].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
        assert read_variable(tmp_path / "a.mat", "mask").tolist() == [[1, 0]]
        assert read_variable(tmp_path / "a.mat", "empty").shape == (0, 0)


def test_ours_is_what_scipy_reads(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io")
    content = io.loadmat(write_mat(tmp_path / "a.mat", VALUES))
    np.testing.assert_array_equal(content["small"], VALUES["small"])
    assert content["structs"][0, 2]["longer_name"].tolist() == ["n2"]


@pytest.mark.parametrize("packed", [True, False])
def test_damage_is_a_sentence_or_another_value(tmp_path: Path, packed: bool) -> None:
    whole = write_mat(tmp_path / "a.mat", {"nested": VALUES["nested"]}, packed=packed).read_bytes()
    path = tmp_path / "damaged.mat"
    dice = random.Random(0)
    sentences = []
    for number in range(200):
        content = bytearray(whole)
        if number % 4 == 0:
            content = content[: dice.randrange(len(content))]
        else:
            content[dice.randrange(124, len(content))] = dice.randrange(256)
        path.write_bytes(content)
        try:
            read_variable(path, "nested")
        except ValueError as error:
            sentences.append(str(error))
    assert len(sentences) > 50
    assert all(sentence.startswith(f"{path}: ") for sentence in sentences)


def test_what_is_no_such_file_is_said(tmp_path: Path) -> None:
    path = write_mat(tmp_path / "a.mat", VALUES)
    with pytest.raises(ValueError, match="expected a variable annot, found none"):
        read_variable(path, "annot")
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    with pytest.raises(ValueError, match="expected MATLAB's file version 5"):
        read_variable(path, "annot")
    path.write_bytes(b"PK\x03\x04")
    assert not is_mat(path)
    with pytest.raises(ValueError, match="expected a MATLAB file"):
        read_variable(path, "annot")
