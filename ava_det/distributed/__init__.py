"""Lets several processes train or evaluate as one."""

from ava_det.distributed.process_group import (
    broadcast_from_main,
    gather_objects,
    has_joined_group,
    is_main_process,
    local_rank,
    merge_over_ranks,
    process_group,
    rank,
    sum_over_ranks,
    world_size,
)

__all__ = [
    "broadcast_from_main",
    "gather_objects",
    "has_joined_group",
    "is_main_process",
    "local_rank",
    "merge_over_ranks",
    "process_group",
    "rank",
    "sum_over_ranks",
    "world_size",
]
