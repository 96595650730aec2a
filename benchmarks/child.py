"""Runs one part of a report in a process of its own, for so long and no longer."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GRACE = 5.0  # seconds a process has to write what it has, once it is told to stop


def run_child(command: Sequence[str], seconds: float) -> int | None:
    """Runs a command from the checkout's root; its output goes where ours goes.

    Args:
        command: The program and its arguments.
        seconds: After these it is interrupted as by Ctrl-C, and GRACE seconds later killed, with
            every process it has started. Ctrl-C here does the same.

    Returns:
        Its exit code, None if it was stopped.
    """
    child = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _stop(child)


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Stops the child and what it has started."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE)
    with suppress(ProcessLookupError):  # it left nothing behind
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
