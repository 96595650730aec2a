"""Reads pickles of arrays, numbers, text and plain containers, and runs nothing that is in them.

A pickle is a program that may call any function it names. Published weights and person boxes come
as pickles, so they are read by an unpickler that knows the few names NumPy arrays are made of and
refuses every other.
"""

from __future__ import annotations

import codecs
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np


def _empty_bytes() -> bytes:
    """Returns no bytes: old protocols call this for the contents of an array without elements."""
    return b""


def _array_of_bytes(content: bytes, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> Any:
    """Returns the array that protocol 5 writes as its bytes; NumPy refuses objects in it."""
    return np.frombuffer(content, dtype=dtype).reshape(shape, order=order)


_RECONSTRUCT: Any = np.zeros(1).__reduce__()[0]
_SCALAR: Any = np.float64(0).__reduce__()[0]
ARRAY_GLOBALS: dict[tuple[str, str], Any] = (
    {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): codecs.encode,
        ("__builtin__", "bytes"): _empty_bytes,
        ("collections", "OrderedDict"): OrderedDict,
    }
    | {
        (f"numpy.{core}.multiarray", name): function
        for core in ("core", "_core")
        for name, function in (("_reconstruct", _RECONSTRUCT), ("scalar", _SCALAR))
    }
    | {(f"numpy.{core}.numeric", "_frombuffer"): _array_of_bytes for core in ("core", "_core")}
)


class _Unpickler(pickle.Unpickler):
    """Unpickles only some names."""

    def __init__(self, file: BinaryIO, allowed: Mapping[tuple[str, str], Any]) -> None:
        super().__init__(file, encoding="latin1")
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        """Returns the object of an allowed name and refuses every other."""
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"global {module}.{name}")
        return self._allowed[module, name]


def load_arrays(path: str | Path, allowed: Mapping[tuple[str, str], Any] = ARRAY_GLOBALS) -> Any:
    """Reads a pickle of arrays and plain containers, of any protocol, Python 2's included.

    Args:
        path: The file.
        allowed: What stands for each name (module, name) that the pickle may hold.

    Returns:
        What the pickle holds.

    Raises:
        pickle.UnpicklingError: It asks for anything else; the message has the first such name, and
            nothing of it is run. Damaged bytes give almost any exception of the unpickler.
    """
    with open(path, "rb") as file:
        return _Unpickler(file, allowed).load()


def describe_unpickling(error: Exception) -> str:
    """Says why a pickle could not be read, for a sentence that begins with the file's name."""
    text = str(error)
    if not isinstance(error, pickle.UnpicklingError):
        return f"the file is truncated or damaged ({type(error).__name__})"
    if "truncated" in text or "Ran out of input" in text:
        return "the file is truncated or damaged"
    return (
        f"refused, because it holds more than arrays, numbers and text ({_forbidden_name(text)}); "
        "nothing in it was run"
    )


def _forbidden_name(message: str) -> str:
    """Finds the name that a reader refused.

    torch's message has `GLOBAL os.system`, ours has `global os.system`.
    """
    for sentence in message.splitlines():
        words = sentence.replace("`", " ").split()
        for index, word in enumerate(words[:-1]):
            if word in ("GLOBAL", "global") and "." in words[index + 1]:
                return words[index + 1].rstrip(",.")
    return "an unknown object"
