"""From torchrun's environment to a process group, and the few collectives the house needs.

With one process and no torchrun every function here does the obvious thing, so callers never ask which it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Value = TypeVar("Value")


@contextmanager
def process_group(device: torch.device, patience: timedelta | None = None) -> Iterator[None]:
    """Joins torchrun's group (nccl on CUDA, gloo on CPU) for the length of the block; nothing without torchrun.

    patience: how long a process waits for the others where they meet; None for torch's minutes.
    """
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=patience)
    try:
        yield
        dist.barrier()  # nobody takes the connections down while another still uses them
    finally:
        dist.destroy_process_group()


def local_rank() -> int:
    """Which of this machine's processes this is: the index of its GPU."""
    return int(os.environ.get("LOCAL_RANK", 0))


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main_process() -> bool:
    return rank() == 0


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of a tensor over all processes, the same on each; `value` itself is left alone."""
    if world_size() == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total


def gather_objects(value: Value) -> list[Value]:
    """One value from every process, in the order of ranks, on every process."""
    if world_size() == 1:
        return [value]
    gathered: list[Any] = [None] * world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def broadcast_from_main(tensors: Iterable[Tensor]) -> None:
    """Overwrites each tensor with the main process's, in place."""
    if world_size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)
