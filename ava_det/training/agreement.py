"""Agrees between ranks, before a step, on its examples and on what is done after it."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ava_det.distributed import is_main_process, sum_over_ranks


class Agreement(NamedTuple):
    """Holds what all ranks know of a step before it: its examples, and what is done after it."""

    num_examples: float
    is_stopped: bool
    is_save_due: bool
    is_log_due: bool


def agree_on_step(count: int, is_stopped: bool, is_save_due: bool, is_log_due: bool) -> Agreement:
    """Adds up the examples of all ranks; any rank may stop, the main one says when to save and log.

    All of it is known before the step, on the host, so that no device is waited for.
    """
    is_main = is_main_process()
    flags = [count, is_stopped, is_save_due and is_main, is_log_due and is_main]
    total, stopped, saving, logging = sum_over_ranks(
        torch.tensor(flags, dtype=torch.float64)
    ).tolist()
    return Agreement(total, stopped > 0, saving > 0, logging > 0)
