"""Runs parts of a report, and single measurements, in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GRACE = 5.0  # seconds a process has to write what it has, once it is told to stop


def run_measurement(what: str, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """Runs `python -m benchmarks --measure WHAT ARGUMENTS`.

    Args:
        what: A key of the table in `benchmarks/__main__.py`.
        arguments: Of the function that it names.
        variables: The environment of the process, None for ours.

    Returns:
        What it prints.

    Raises:
        ValueError: It failed; the error says the last line of its own.
    """
    command = [sys.executable, "-m", "benchmarks", "--measure", what, *arguments]
    finished = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=variables
    )
    if finished.returncode:
        said = finished.stderr.strip().splitlines() or [f"exit code {finished.returncode}"]
        raise ValueError(f"benchmarks --measure {what}: {said[-1]}")
    return finished.stdout


def run_child(command: Sequence[str], seconds: float) -> int | None:
    """Runs a command from the checkout's root for a limited time; its output goes where ours goes.

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
