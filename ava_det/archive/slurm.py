"""Submits the labeling of an archive as a Slurm array, a shard a task."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ava_det.files import write_text


def write_script(
    folder: Path, command: Sequence[str], count: int, options: Mapping[str, str]
) -> Path:
    """Writes the batch script of an array, `label.sbatch`.

    Args:
        folder: Where the script and the logs of the tasks stand.
        command: Words of the command, to which each task adds its shard.
        count: Number of tasks.
        options: Of sbatch, by their long names without dashes; an empty value is a flag.

    Returns:
        The script.
    """
    given = {
        "job-name": "ava-det-label",
        "array": f"1-{count}",
        "requeue": "",  # a task that makes room for another job goes on later
        "open-mode": "append",
        "output": f"{folder}/%A_%a.log",
        **options,
    }
    lines = [f"#SBATCH --{name}{f'={value}' if value else ''}" for name, value in given.items()]
    task = f'{shlex.join(command)} --shard "$SLURM_ARRAY_TASK_ID/{count}"'
    script = folder / "label.sbatch"
    write_text(script, "\n".join(["#!/bin/bash", *lines, f"exec {task}", ""]))
    return script


def submit(script: Path) -> str | None:
    """Submits a batch script; returns what sbatch says, or None where there is no sbatch.

    Raises:
        ValueError: sbatch refuses it; the sentence is its own.
    """
    if shutil.which("sbatch") is None:
        return None
    run = subprocess.run(["sbatch", str(script)], capture_output=True, text=True, check=False)
    if run.returncode:
        raise ValueError(f"sbatch {script}: {' '.join(run.stderr.split())}")
    return run.stdout.strip()
