"""Joins torchrun's process group, and offers the few collective operations in use.

With one process and without torchrun every function here returns what a group of one process would
return, so callers never ask how many there are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ava_det.distributed.rank_watch import LostRankError, RankWatch

Key = TypeVar("Key")
Value = TypeVar("Value")
PATIENCE = timedelta(hours=2)
RELEASE_SECONDS = 0.2  # gloo's thread needs far less to free the tensors of the last collective
_has_joined = False


@contextmanager
def process_group(device: torch.device, patience: timedelta = PATIENCE) -> Iterator[None]:
    """Joins torchrun's group for the length of the block; does nothing without torchrun.

    CPU tensors travel by gloo, CUDA tensors by nccl. When a process stops within the block, the
    others stop too, within a minute: the first one raises its own exception, the others exit
    without a message.

    Args:
        device: The device of this process.
        patience: How long a process waits in a collective operation for a slow one. One that is
            gone is noticed long before.

    Raises:
        LostRankError: The block ended because another process is gone.
    """
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=patience
    )
    watch = RankWatch(rank(), world_size())
    global _has_joined
    _has_joined = True
    try:
        yield
        # nobody takes the connections down while another still uses them
        sum_over_ranks(torch.zeros(1))
    except BaseException as error:
        lost = LostRankError(watch.find_lost()) if _is_broken_collective(error) else None
        sentence = " ".join(str(lost or error).split()) or type(error).__name__
        exit_code = getattr(error, "exit_code", 2)
        if not watch.stop_others(sentence, exit_code):
            raise SystemExit(exit_code) from None
        if lost is not None:
            raise lost from None
        raise
    finally:
        watch.close()
        # torch 2.6 waits here for the end of gloo's thread and holds Python's lock (GIL) meanwhile.
        # If that thread needs the lock to free the tensors of the last collective, both wait
        # forever; so it gets the time to free them before.
        time.sleep(RELEASE_SECONDS)
        dist.destroy_process_group()


def _is_broken_collective(error: BaseException) -> bool:
    """Returns whether a collective failed; gloo's plain RuntimeError names its own source file."""
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and "gloo" in str(error)
    )


def has_joined_group() -> bool:
    """Returns whether this process has ever joined a group.

    From then on, only one of several processes that stop prints a message.
    """
    return _has_joined


def local_rank() -> int:
    """Returns the index of this process on this machine, which is the index of its GPU."""
    return int(os.environ.get("LOCAL_RANK", 0))


def rank() -> int:
    """Returns the index of this process among all processes; 0 without a group."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Returns the number of processes; 1 without a group."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main_process() -> bool:
    """Returns whether this is the process of rank 0."""
    return rank() == 0


def sum_over_ranks(value: Tensor) -> Tensor:
    """Sums a tensor over all processes.

    Args:
        value: A tensor of the same shape on every process; it is not changed.

    Returns:
        The sum, the same on each process.
    """
    if world_size() == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total


def gather_objects(value: Value) -> list[Value]:
    """Gathers one value from every process.

    Returns:
        The values in the order of ranks, on every process.
    """
    if world_size() == 1:
        return [value]
    gathered: list[Any] = [None] * world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def merge_over_ranks(part: Mapping[Key, Value]) -> dict[Key, Value]:
    """Merges the mappings of all processes into one, on every process.

    If several processes have the same key, the value of the highest rank counts.
    """
    return {key: value for mapping in gather_objects(part) for key, value in mapping.items()}


def broadcast_from_main(tensors: Iterable[Tensor]) -> None:
    """Overwrites each tensor with the main process's, in place."""
    if world_size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)
