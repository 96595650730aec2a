"""The threads of processes that this toolkit starts, where others want the same cores."""

from __future__ import annotations

import os


def build_child_environment(num_threads: int | None = None) -> dict[str, str]:
    """This process's environment for a child whose threads sleep while they wait for one another.

    By default OpenMP's threads spin. Where another process holds one core, all others then burn
    theirs until that one comes back, hundreds of times a training step (docs/performance.md,
    "Beside other processes"). OpenMP reads this when torch is loaded, so that a process cannot set
    it for itself afterwards.

    num_threads: of the child, or None for what it would choose. A wait policy that the user has set
    stays.
    """
    environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
    if num_threads is not None:
        environment["OMP_NUM_THREADS"] = str(num_threads)
    return environment
