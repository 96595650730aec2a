"""Runs a function in two processes of one group, as torchrun would."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import torch


def start_ranks(target: Callable[[Path], int], folder: Path) -> list[tuple[int, str]]:
    """Runs `target` in two processes as torchrun would; their exit codes and what each wrote to
    stderr.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=be_rank, args=(index, port, target, folder)) for index in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=150)
        assert process.exitcode is not None, "a rank hangs"
    return [
        (process.exitcode or 0, (folder / f"stderr_{i}").read_text())
        for i, process in enumerate(processes)
    ]


def be_rank(index: int, port: int, target: Callable[[Path], int], folder: Path) -> None:
    os.environ.update(
        RANK=str(index),
        LOCAL_RANK=str(index),
        WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    # open until the process ends
    sys.stderr = open(folder / f"stderr_{index}", "w", buffering=1)  # noqa: SIM115
    torch.set_num_threads(1)
    code = target(folder)
    sys.stderr.flush()
    os._exit(code)  # gloo's threads sometimes abort an interpreter that ends as usual
