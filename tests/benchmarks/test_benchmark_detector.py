"""The benchmarks of the person detector and of what `precision: auto` is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.precision_answers import WITH, answer

RunTool = Callable[..., tuple[int, str, str]]


@pytest.mark.slow
def test_the_detector_is_measured_at_each_batch_size(tmp_path: Path, run_tool: RunTool) -> None:
    report = tmp_path / "report.json"
    options = ("--height", 48, "--short-side", 32, "--batch", 1, 2, "--repeat", 1, "--json", report)
    code, out, err = run_tool("benchmark", "detector", "--device", "cpu", *options)
    assert (code, err) == (0, "")
    rates = json.loads(report.read_text())["frames_per_second"]
    assert list(rates) == ["resize alone", "fp32, 1 at a time", "fp32, 2 at a time"]
    assert rates["resize alone"] > rates["fp32, 2 at a time"] > 0
    assert out.count("frames/s") == 3


def test_what_auto_chooses_is_written_with_its_measurement(
    tmp_path: Path, run_tool: RunTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, WITH)
    monkeypatch.setattr("benchmarks.precision.judge_half_precision", lambda device, dtype: WITH)
    monkeypatch.setattr("benchmarks.precision.measure_factor", lambda device, dtype: None)
    report = tmp_path / "report.json"
    code, out, _ = run_tool("benchmark", "precision", "--device", "cpu", "--json", report)
    assert code == 0
    written = json.loads(report.read_text())
    assert (written["auto"], written["reason"]) == ("bf16", WITH.reason)
    assert written["types"]["fp16"] == {"is_native": True, "factor": None}
    assert "bf16: native True; a small convolution refused" in out


def test_a_device_that_is_not_there_is_named(run_tool: RunTool) -> None:
    for name in ("precision", "detector", "evaluate"):
        code, _, err = run_tool("benchmark", name, "--device", "cuda:77")
        assert code == 2
        assert "device: " in err
