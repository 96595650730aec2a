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

from ava_det.files.safe_pickle import ARRAY_GLOBALS, load_arrays


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


def load_arrays_and_tensors(path: str | Path) -> Any:
    """Reads a pickle of arrays, tensors and plain containers; tensors become arrays.

    Args:
        path: The file.

    Raises:
        pickle.UnpicklingError: It asks for anything else, of which nothing is run. Damaged bytes
            give almost any exception.
    """
    return load_arrays(path, _GLOBALS)
