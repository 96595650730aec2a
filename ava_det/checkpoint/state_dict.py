"""Finds a network's state dict in the content of a weights file, and checks that it is sound.

It may lie in any container and behind any prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ava_det.checkpoint.affine_norms import complete_norms
from ava_det.checkpoint.names import SOURCES, find_prefix, rename
from ava_det.checkpoint.translation import join_parts

# where projects keep the network; an average of the weights over training is taken where nothing
# else is there
CONTAINERS = (
    "blobs",
    "model",
    "model_state",
    "state_dict",
    "model_state_dict",
    "module",
    "net",
    "network",
    "weights",
)
AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "params_ema")
_AVERAGE = re.compile(r"^(\w+_)?ema(_\w+)?\.")
_NO_NETWORK = re.compile(
    r"optim|sched|scaler|rng|random|generator|queue|config|cfg|args|meta|hyper_parameters"
)
# what wrappers put into names: torch.compile, DistributedDataParallel, FSDP and activation
# checkpointing
_WRAPPERS = re.compile(
    r"(?<![^.])((_orig_mod|module|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.)+(?=.)"
)


class StateDict(NamedTuple):
    """Holds a network's entries under our names.

    Attributes:
        tensors: Name -> tensor.
        source: Who named them in the file, one of `names.SOURCES`.
        place: The container and prefix they were found in, for messages; empty where the file holds
            them directly.
        beside: Entries of the same container that belong to something else.
        average: Where an average of the weights over training stands beside them, which was not
            taken; empty where there is none.
        fixed_norms: Whether the file has no statistics of norms, which were added, see
            `complete_norms`.
    """

    tensors: dict[str, Tensor]
    source: str
    place: str
    beside: list[str]
    average: str = ""
    fixed_norms: bool = False


def find_state_dict(content: Mapping[str, Any]) -> StateDict:
    """Finds a network's weights in the content of a file.

    Args:
        content: What `files.read_file` returns.

    Raises:
        ValueError: There are none, it is not clear which are meant, or an entry holds NaN or
            infinity.
    """
    container, entries = find_container(content)
    prefix, source = find_prefix(entries)
    inside, beside = _split_entries(entries, prefix, source)
    ours = rename(inside, source)
    require_finite({inside[name]: entries[inside[name]] for name in ours})
    tensors = join_parts({new: entries[inside[name]] for name, new in ours.items()})
    tensors = SOURCES[source].convert(tensors)
    place = f"{container!r}" if container else ""
    if prefix:
        place += f"{' ' if place else ''}behind {prefix!r}"
    completed = complete_norms(tensors) if source == "caffe2" else None
    average = _find_unused_average(content, place, beside)
    return StateDict(
        tensors if completed is None else completed,
        source,
        place,
        beside,
        average,
        fixed_norms=completed is not None,
    )


def _find_unused_average(content: Mapping[str, Any], place: str, beside: Sequence[str]) -> str:
    """Returns where the average of the weights stands that was not taken; empty for nowhere."""
    keys = [key for key in AVERAGES if isinstance(content.get(key), Mapping) and content[key]]
    if keys and not any(f"'{key}" in place for key in keys):
        return keys[0]
    entry = next((name for name in beside if _AVERAGE.search(name)), "")
    return entry.partition(".")[0]


def find_container(content: Mapping[str, Any]) -> tuple[str, dict[str, Tensor]]:
    """Finds the container that holds the network's entries.

    Args:
        content: What `files.read_file` returns.

    Returns:
        The keys that lead to the container, joined by dots, and its entries, without what wrappers
        add to their names.

    Raises:
        ValueError: The content holds no weights, or several networks under unknown keys.
    """
    located = _search(content, ())
    if located is None:
        keys = ", ".join(str(key) for key in list(content)[:8]) or "nothing"
        raise ValueError(f"no weights inside, expected a state dict of tensors, found {keys}")
    path, entries = located
    tensors: dict[str, Tensor] = {}
    for name, value in entries.items():
        plain = _WRAPPERS.sub("", name)
        if plain in tensors:
            raise ValueError(f"two entries of the file stand for {plain}, the second is {name}")
        tensors[plain] = value
    return ".".join(path), tensors


def require_finite(values: Any, name: str = "") -> None:
    """Checks the tensors of nested mappings and lists.

    Args:
        values: A tensor, or mappings and lists of tensors and other values, nested in any way.
        name: What comes before the tensors' names in the message.

    Raises:
        ValueError: A tensor holds NaN or infinity; the message names the first.
    """
    for where, tensor in _walk(values, name):
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            kind = "NaN" if bool(tensor.isnan().any()) else "infinity"
            count = int((~tensor.isfinite()).sum())
            raise ValueError(
                f"{where} holds {kind} ({count} of {tensor.numel()} values), "
                "expected finite numbers"
            )


def _walk(values: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(values, Tensor):
        yield name, values
    elif isinstance(values, Mapping | list | tuple):
        items = values.items() if isinstance(values, Mapping) else enumerate(values)
        for key, value in items:
            yield from _walk(value, f"{name}.{key}" if name else str(key))


def _search(
    content: Mapping[Any, Any], path: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, Tensor]] | None:
    """Finds the first container, in the order of `CONTAINERS`, that holds entries of a network."""
    nested = {str(key): value for key, value in content.items() if isinstance(value, Mapping)}
    if len(path) < 4:
        for key in (*CONTAINERS, *AVERAGES):
            if key in nested and (located := _search(nested[key], (*path, key))):
                return located
    direct_tensors = {
        str(name): tensor
        for name, value in content.items()
        if (tensor := _as_tensor(value)) is not None
    }
    direct_tensors.pop("n_averaged", None)  # how many networks torch's AveragedModel has averaged
    if any(tensor.ndim for tensor in direct_tensors.values()) or (direct_tensors and not nested):
        return path, direct_tensors
    if len(path) == 4:
        return None
    others = {
        key: located
        for key, value in nested.items()
        if not _NO_NETWORK.search(key.lower()) and (located := _search(value, (*path, key)))
    }
    if len(others) > 1:
        raise ValueError(
            f"several networks inside ({', '.join(others)}), expected the one to use, saved alone"
        )
    return next(iter(others.values()), None)


def _as_tensor(value: Any) -> Tensor | None:
    """Returns a tensor, or an array of Detectron2's or Caffe2's zoo, as a tensor; else None."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return torch.from_numpy(value.copy())
    return value if isinstance(value, Tensor) else None


def _split_entries(
    names: Iterable[str], prefix: str, source: str
) -> tuple[dict[str, str], list[str]]:
    """Separates the network's entries from those of something else.

    A head may stand beside a backbone that has a prefix of its own, as in a Lightning module of two
    parts.

    Returns:
        Names without the prefix -> names in the file, and the names of what does not belong to the
        network.
    """
    inside: dict[str, str] = {}
    beside = []
    for name in names:
        if name.startswith(prefix):
            inside[name.removeprefix(prefix)] = name
        else:
            beside.append(name)
    parts = prefix.split(".")
    for name in list(beside):
        words = name.split(".")
        shared = next((i for i, (a, b) in enumerate(zip(words, parts, strict=False)) if a != b), 0)
        short = ".".join(words[shared:])
        (ours,) = rename([short], source).values() or ("",)
        if ours.startswith("head.") and short not in inside:
            inside[short] = name
            beside.remove(name)
    return inside, beside
