"""The contention benchmark: each setting in a process of its own, beside busy ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks import child
from benchmarks.contention import BUSY, SETTINGS

RunTool = Callable[..., tuple[int, str, str]]


@pytest.mark.slow
def test_every_setting_is_measured_alone_and_beside_others(
    tmp_path: Path, run_tool: RunTool
) -> None:
    report = tmp_path / "report.json"
    options = ("--rounds", 1, "--steps", 1, "--busy", 1, 0, "--json", report)
    status, out, _ = run_tool("benchmark", "contention", *options)
    assert status == 0
    assert len(out.splitlines()) == 2 * len(SETTINGS)
    rows = json.loads(report.read_text())["contention"]
    assert {(row["setting"], row["busy"]) for row in rows} == {
        (name, busy) for name in SETTINGS for busy in (0, 1)
    }
    assert all(row["times_as_long"] == 1 for row in rows if row["busy"] == 0)
    assert all(row["clock_s"] > 0 and row["processor_s"] > 0 for row in rows)


def test_a_measurement_alone_is_needed(run_tool: RunTool) -> None:
    status, _, error = run_tool("benchmark", "contention", "--busy", 1)
    assert status == 2
    assert "--busy: expected 0 among the numbers" in error


@pytest.mark.parametrize(
    ("code", "words"),
    [("print('begun'); raise KeyError('lost')", "KeyError: 'lost'"), ("exit(3)", "exit code 3")],
)
def test_a_measurement_that_fails_says_its_last_line(
    code: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/__init__.py").touch()
    (tmp_path / "benchmarks/__main__.py").write_text(code)
    monkeypatch.setattr(child, "ROOT", tmp_path)
    with pytest.raises(ValueError, match=f"^benchmarks --measure steps: {words}$"):
        child.run_measurement("steps", "1")


def test_a_busy_process_ends_with_the_one_that_started_it() -> None:
    start = (
        "import os, subprocess, sys, time\n"
        "busy = subprocess.Popen([sys.executable, '-c', sys.argv[1], str(os.getpid())])\n"
        "time.sleep(0.3)\n"
        "print(-1 if busy.poll() is not None else busy.pid)"
    )
    command = [sys.executable, "-c", start, BUSY]
    busy = int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert busy > 0
    with suppress(ProcessLookupError):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            os.kill(busy, 0)
            time.sleep(0.02)
        os.kill(busy, 9)
        pytest.fail("it counts on")
