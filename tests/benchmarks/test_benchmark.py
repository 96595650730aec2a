"""The benchmark measures what it says, on files small enough for a test."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from ava_det.evaluation import evaluate_csv
from ava_det.formats.annotations import load_annotations, load_detections
from benchmarks import evaluate
from benchmarks import report as benchmark_all
from benchmarks.evaluate import write_large_case

RunTool = Callable[..., tuple[int, str, str]]


def test_the_generated_files_have_the_proportions_of_ava(tmp_path: Path) -> None:
    write_large_case(tmp_path, videos=2, frames=200)
    truth = load_annotations(tmp_path / "gt.csv")
    found = load_detections(tmp_path / "det.csv")
    assert 1000 < len(truth) < 3000
    assert 30_000 < len(found) < 60_000
    result = evaluate_csv(tmp_path / "gt.csv", tmp_path / "det.csv", tmp_path / "labelmap.pbtxt")
    assert 0.05 < result["mAP"] < 0.5
    assert result["counts"]["capped"] > 0
    before = (tmp_path / "det.csv").read_bytes()
    write_large_case(tmp_path, videos=2, frames=200)
    assert (tmp_path / "det.csv").read_bytes() == before


def test_it_prints_the_ratios(tmp_path: Path, run_tool: RunTool) -> None:
    write_large_case(tmp_path, videos=1, frames=50)
    files = ("--annotations", tmp_path / "gt.csv", "--detections", tmp_path / "det.csv")
    code, out, err = run_tool(
        "benchmark", "evaluate", *files, "--label-map", tmp_path / "labelmap.pbtxt", "--repeat", 1
    )
    assert (code, err) == (0, "")
    beside = r" +\d+\.\d\d x pandas" if find_spec("pandas") else ""
    assert re.search(rf"CSV to mAP +\d+\.\d\d{beside}\n", out)
    assert re.search(r"peak memory, torch included +\d+\.\d\d GB", out)


def test_another_device_stands_beside_the_cpu(
    tmp_path: Path, run_tool: RunTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes that measure are replaced: a device that takes half of the time."""

    def measure(what: str, *arguments: str) -> list[float]:
        if what == "pandas":
            return [2.0]
        share = 0.5 if arguments[-1] == "cuda" else 1.0
        return [0.25, 1e6, *(share * seconds for seconds in (4.0, 5.0, 1.0, 1.2)), 800.0, 70.0]

    monkeypatch.setattr(evaluate, "_measure", measure)
    monkeypatch.setattr(evaluate, "select_device", torch.device)
    report = tmp_path / "report.json"
    options = ("--videos", 1, "--repeat", 2, "--device", "cuda", "--json", report)
    code, out, err = run_tool("benchmark", "evaluate", *options)
    assert (code, err) == (0, "")
    written = json.loads(report.read_text())
    assert written["ratio_to_pandas"] == (2.0 if find_spec("pandas") else None)
    assert (written["clock_seconds"], written["cuda"]["clock_seconds"]) == (5.0, 2.5)
    assert "arrays in memory to mAP                1.20    0.60   2.0 x as fast" in out
    assert "mAP differs by 0; peak on the device 70 MB" in out


def test_half_of_the_files_is_refused(tmp_path: Path, run_tool: RunTool) -> None:
    code, _, err = run_tool("benchmark", "evaluate", "--detections", tmp_path / "det.csv")
    assert code == 2
    assert "expected --annotations, --detections and --label-map together" in err


def test_a_missing_part_is_reported(
    tmp_path: Path, run_tool: RunTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark_all, "PARTS", {"decode": ([], ["--video", "absent.mp4"])})
    monkeypatch.setitem(benchmark_all.RUNTIMES, "onnx", ("no_such_module",))
    code, out, _ = run_tool("benchmark", "all", "--quick", "--json", tmp_path / "report.json")
    assert code == 1
    assert "decode failed: --video absent.mp4 ended with exit code 2" in out
    assert 'onnx is skipped, it is not installed: pip install "ava_det[onnx]"' in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["machine"]["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert list(report["parts"]) == ["decode"]
    assert len(report["skipped"]) >= 1


def test_the_demo_runs_on_random_weights_unless_it_gets_some() -> None:
    args = argparse.Namespace(quick=False, weights=None, config="a.yaml", against="m:f")
    assert benchmark_all.list_options("demo", args, []) == ["--config", "a.yaml"]
    assert benchmark_all.list_options("model", args, ["onnx"])[-4:] == [
        "--runtimes",
        "onnx",
        "--against",
        "m:f",
    ]
    args.weights = "last.pt"
    assert benchmark_all.list_options("demo", args, []) == ["--weights", "last.pt"]


def test_a_part_that_takes_too_long_is_ended() -> None:
    assert benchmark_all.run_part("evaluate", [], 0.001) == {
        "failed": "it took longer than 0.001 minutes, the limit of --minutes"
    }


@pytest.mark.slow
def test_all_parts_go_into_one_report(tmp_path: Path, run_tool: RunTool) -> None:
    options = (
        "--quick",
        "--config",
        "configs/synthetic/slowfast.yaml",
        "--json",
        tmp_path / "report.json",
    )
    code, _, _ = run_tool("benchmark", "all", *options)
    assert code == 0
    parts = json.loads((tmp_path / "report.json").read_text())["parts"]
    assert [part for part, facts in parts.items() if "report" in facts] == list(benchmark_all.PARTS)
    assert parts["evaluate"]["report"]["rows"] > 10_000
    assert {row["way"] for row in parts["model"]["report"]["rows"]} > {
        "plain fp32",
        "inference form fp32",
    }
