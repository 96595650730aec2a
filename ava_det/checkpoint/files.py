"""Reads weight files without running them, and writes ours atomically.

A file is recognized by its bytes, never by its name: published Caffe2 weights and torch weights
share the extension `.pkl`. Everything is unpickled against an allow-list, so a file can hold
tensors, numbers and text, and no code is executed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ava_det.checkpoint.foreign import describe_foreign
from ava_det.checkpoint.tensorflow_bundle import is_index, read_bundle
from ava_det.files import atomic_path, suggest_file
from ava_det.files.safe_pickle import ARRAY_GLOBALS, describe_unpickling, load_arrays


class WeightsError(ValueError):
    """Reports in one sentence why a weights file cannot be used."""


def save_checkpoint(path: str | Path, state: Mapping[str, Any]) -> None:
    """Writes a checkpoint in torch's format, whole or not at all.

    Args:
        path: The file.
        state: Tensors, numbers, text and containers of them. Ours hold {"model": state_dict,
            "config": plain dict, "label_map": {id: name}, ...training state}.

    Raises:
        OSError: The file cannot be written, for instance because the disk is full. The message
            names the file and the reason; a file that was there before stays.
    """
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        try:
            torch.save(dict(state), file)
            file.flush()
        except (RuntimeError, OSError) as error:
            # the zip writer hides what it met
            cause = error if isinstance(error, OSError) else error.__context__
            if not isinstance(cause, OSError):
                raise
            reason = f"cannot be written ({cause.strerror}); the file before it, if any, is whole"
            raise OSError(cause.errno, reason, str(path)) from None


def save_safetensors(
    path: str | Path, model: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """Writes a state dict as safetensors.

    Args:
        path: The file.
        model: The state dict.
        facts: JSON values for the file's header: config, label map, origin.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.items()}
    header = {name: json.dumps(value) for name, value in facts.items()}
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(tensors, temporary, header)


def read_file(path: str | Path) -> dict[str, Any]:
    """Reads the dictionary inside a weights file.

    Args:
        path: The file: torch's (zip or legacy), a Caffe2 pickle, safetensors, or the index of a
            TensorFlow checkpoint.

    Returns:
        What the file holds, its tensors on the CPU.

    Raises:
        WeightsError: The file is missing, foreign, truncated or unsafe.
    """
    path = Path(path)
    if path.is_dir():
        raise WeightsError(f"{path}: is a folder, expected a weights file, such as one inside")
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file{suggest_file(path)}")
    with open(path, "rb") as file:
        start = file.read(64)
    foreign = describe_foreign(path, start)
    if foreign is not None:
        raise WeightsError(f"{path}: not a weights file but {foreign}")
    try:
        content = _reader(start, path)(path)
    except WeightsError:
        raise
    except Exception as error:  # damaged bytes surface as almost any exception of the readers
        raise WeightsError(f"{path}: {describe_unpickling(error)}") from None
    if not isinstance(content, dict):
        raise WeightsError(
            f"{path}: expected a dictionary of weights, found {type(content).__name__}"
        )
    return content


def _reader(start: bytes, path: Path) -> Callable[[Path], Any]:
    if start.startswith(b"PK"):
        return _read_torch
    if len(start) > 8 and start[8:9] == b"{":
        return _read_safetensors
    if _LEGACY_MAGIC in start:
        return _read_torch
    if is_index(path):
        return _read_tensorflow
    if start[:1] == b"\x80" or start[:1] in b"(}":
        return load_arrays
    raise WeightsError(f"{path}: not a weights file, expected torch, Caffe2 pickle or safetensors")


def _read_torch(path: Path) -> Any:
    with torch.serialization.safe_globals(_INERT):
        return torch.load(path, map_location="cpu", weights_only=True)


def _read_tensorflow(path: Path) -> dict[str, Tensor]:
    try:
        return read_bundle(path)
    except ValueError as error:
        raise WeightsError(f"{path}: {error}") from None


def _read_safetensors(path: Path) -> dict[str, Any]:
    with safetensors.safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        content: dict[str, Any] = {"model": tensors}
        for name, text in (file.metadata() or {}).items():
            try:
                content[name] = json.loads(text)
            except json.JSONDecodeError:
                content[name] = text
    for name in ("label_map", "thresholds"):  # JSON has no keys but text
        if isinstance(content.get(name), dict):
            content[name] = {int(action_id): value for action_id, value in content[name].items()}
    return content


class _Ignored:
    """Replaces objects that training code pickles beside its weights; it holds nothing.

    They are MMEngine's logs, and the arguments of the command that trained.
    """

    def __new__(cls, *_arguments: object) -> _Ignored:
        return object.__new__(cls)

    def __setstate__(self, _state: object) -> None:
        pass


def _ignore(*_arguments: object) -> None:
    return None


# torch.serialization.MAGIC_NUMBER as a pickled integer
_LEGACY_MAGIC = bytes.fromhex("6cfc9c46f9206aa85019")
_INERT: list[Any] = [
    *((value, f"{module}.{name}") for (module, name), value in ARRAY_GLOBALS.items()),
    *{type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "?")},
    (_Ignored, "mmengine.logging.history_buffer.HistoryBuffer"),
    (_Ignored, "argparse.Namespace"),
    *(
        (_ignore, f"{module}.{system}Path")
        for module in ("pathlib", "pathlib._local")
        for system in ("Posix", "Windows")
    ),
    (_ignore, "builtins.getattr"),
]
