"""The contention benchmark: each setting in a process of its own, beside busy ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.contention import SETTINGS

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
