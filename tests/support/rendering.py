"""Renders synthetic datasets for tests, by the command a user runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def render_synthetic(folder: Path, *options: str) -> Path:
    """Renders a synthetic dataset into `folder` and returns it."""
    command = [
        sys.executable,
        str(ROOT / "data/synthetic/prepare.py"),
        "--output",
        str(folder),
        *options,
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder
