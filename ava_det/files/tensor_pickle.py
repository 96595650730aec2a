"""Reads pickles that hold PyTorch's tensors beside arrays and plain containers, and runs nothing.

A tensor that is pickled without torch.save holds its numbers as the bytes of a file of torch.save.
Those are read by torch's own reader of weights alone; tensors become arrays.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from ava_det.files.safe_pickle import ARRAY_GLOBALS


def _load_storage(content: bytes) -> Any:
    import torch

    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        # torch's message names no global where the storage itself is something else
        raise pickle.UnpicklingError("global torch.storage._load_from_bytes") from None


def _make_array(storage: Any, offset: int, shape: Any, stride: Any, *_: Any) -> np.ndarray:
    import torch

    array: np.ndarray = (
        torch.empty(0, dtype=storage.dtype)
        .set_(storage._untyped_storage, offset, tuple(shape), tuple(stride))
        .numpy()
    )
    return array


_GLOBALS: dict[tuple[str, str], Any] = ARRAY_GLOBALS | {
    ("torch.storage", "_load_from_bytes"): _load_storage,
    ("torch._utils", "_rebuild_tensor_v2"): _make_array,
}


class _TensorUnpickler(pickle.Unpickler):
    """Unpickles only the names in `_GLOBALS`."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns the object of an allowed name and refuses every other."""
        if (module, name) not in _GLOBALS:
            raise pickle.UnpicklingError(f"global {module}.{name}")
        return _GLOBALS[module, name]


def load_arrays_and_tensors(path: str | Path) -> Any:
    """Reads a pickle of arrays, tensors and plain containers; tensors become arrays.

    Args:
        path: The file.

    Raises:
        pickle.UnpicklingError: It asks for anything else, of which nothing is run. Damaged bytes
            give almost any exception.
    """
    with open(path, "rb") as file:
        return _TensorUnpickler(file, encoding="latin1").load()
