"""What `make` says on a machine that is not ready, without installing anything."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ('case "$2" in *ensurepip*) exit 1;; esac', "apt install python3-venv"),
        ('case "$2" in *version_info*) exit 1;; esac', "older than 3.11"),
    ],
)
def test_an_unfit_python_is_one_sentence(tmp_path: Path, script: str, sentence: str) -> None:
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\n{script}\nexit 0\n")
    python.chmod(0o755)
    command = ["make", "-C", str(ROOT), f"PYTHON={python}", f"VENV={tmp_path}/venv", "quickstart"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode != 0
    errors = [line for line in finished.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert sentence in errors[0]
    assert not (tmp_path / "venv").exists()


def test_ci_runs_what_a_user_runs() -> None:
    assert "make test\n" in (ROOT / ".ci" / "run").read_text()
