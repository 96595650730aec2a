"""Sets the threads of child processes that share the cores with other processes."""

from __future__ import annotations

import os


def build_child_environment(num_threads: int | None = None) -> dict[str, str]:
    """Builds the environment of a child process whose waiting threads do not use the cores.

    By default OpenMP's waiting threads keep their cores busy. Where another process holds one core,
    all others then waste theirs until it comes back, hundreds of times a training step
    (docs/performance.md, "Beside other processes"). OpenMP reads the setting when torch is loaded,
    so that a process cannot change it for itself afterwards.

    Args:
        num_threads: Of the child, or None for its default.

    Returns:
        This process's environment with the settings added; a wait policy set by the user stays.
    """
    environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
    if num_threads is not None:
        environment["OMP_NUM_THREADS"] = str(num_threads)
    return environment
