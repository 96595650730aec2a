"""The one command for a GPU: its parts, its deadline, what it keeps, its goals and its page."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ava_det.cli import ToolParser
from benchmarks import child, gpu
from benchmarks.child import run_child
from benchmarks.demo import add_demo
from benchmarks.detector import add_detector
from benchmarks.evaluate import add_evaluate
from benchmarks.gpu_goals import judge_goals
from benchmarks.gpu_page import write_page
from benchmarks.gpu_parts import MAIN, NETWORKS, Part, list_parts
from benchmarks.model import add_model
from benchmarks.precision import add_precision
from benchmarks.train import add_train

RunTool = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]


def make_row(way: str, batch: int, **values: float) -> dict[str, Any]:
    row: dict[str, Any] = {
        "way": way,
        "batch": batch,
        "ms": 10.0,
        "clips_per_second": 100.0,
        "ratio": 1.0,
    }
    return {**row, "share_of_floor": 0.3, **values}


def make_parts() -> dict[str, dict[str, Any]]:
    """Every goal of the first network is met, or nearly; the others have not run."""
    rates = {"fp32": 2e14, "bf16": 4e14, "bytes": 3e12}
    forward = [
        make_row("plain fp32", 8, share_of_floor=0.99, max_score_change=0.0),
        make_row("inference form fp32", 8, ms=20.0, max_score_change=1e-7),
        make_row("inference form bf16", 1, share_of_floor=0.5, max_score_change=0.005),
        make_row("inference form bf16", 8, share_of_floor=0.61, max_score_change=0.005),
        make_row("inference form bf16, CUDA graph", 8, share_of_floor=0.9, max_score_change=0.005),
    ]
    steps = [
        make_row("plain bf16", 32, clips_per_second=900.0, kept_mb=1.0, peak_mb=3.0),
        make_row("ava-det train bf16", 32, clips_per_second=399.0, kept_mb=1.0, peak_mb=2.0),
    ]
    evaluator: dict[str, Any] = {"mAP": 0.25, "clock_seconds": 9.0, "clock_seconds_in_memory": 2.0}
    evaluator |= {"cpu_seconds": 9.0, "device_mb": 0.0}
    reports: dict[str, Any] = {
        "precision": {
            "auto": "bf16",
            "reason": "this GPU multiplies bfloat16 natively",
            "types": {"bf16": {"is_native": True, "factor": 0.5}},
            "machine": {},
        },
        f"forward {MAIN}": {"rates": rates, "rows": forward},
        f"training {MAIN}": {"rates": rates, "rows": steps},
        "demo": {
            "medians": {"frames": 600, "seconds": 20.0, "whole, clock": 1.0, "whole, CPU": 4.0},
            "options": {"height": "1080", "detector": "motion"},
        },
        "tests": {"passed": 39, "failed": 1, "skipped": 0, "failures": ["tests.x: test_y[1|2]"]},
        "evaluator": {**evaluator, "rows": 6e6, "cuda": evaluator},
        "detector": {"frames_per_second": {"bf16, 8 at a time": 90.0}},
    }
    return {
        name: {"command": f"python -m {name}", "seconds": 2.0, "report": report}
        for name, report in reports.items()
    }


def judge(parts: dict[str, Any], is_quick: bool = False) -> dict[str, tuple[str, float | None]]:
    return {
        goal.name.partition(":")[0]: (goal.verdict, goal.measured)
        for goal in judge_goals(parts, is_quick)
    }


def test_goals_are_met_missed_or_not_measured() -> None:
    assert (
        judge(make_parts())
        == {
            MAIN: ("met", 0.61),  # neither the plain network nor a graph is what ava-det runs
            **dict.fromkeys(NETWORKS[1:], ("not measured", None)),
            f"{MAIN} at 224 x 224": ("missed", 399.0),
            "the demo at 1080p": ("met", 20.0),
            "tests of a GPU": ("missed", 0.975),
            "the evaluator": ("met", 1.0),
            "precision auto": ("met", 2.0),
        }
    )


def test_a_reduced_run_meets_nothing() -> None:
    assert {verdict for verdict, _ in judge(make_parts(), is_quick=True).values()} == {
        "not measured"
    }


def test_what_is_not_measured_says_why() -> None:
    parts = make_parts()
    parts["demo"] = {"left_out": "3 s were left"}
    del parts["evaluator"]["report"]["cuda"]
    parts["tests"]["report"] |= {"passed": 0, "failed": 0, "skipped": 40}
    del parts[f"training {MAIN}"]["report"]
    parts[f"training {MAIN}"]["failed"] = "it ended with exit code 1"
    parts["precision"]["report"]["auto"] = "fp32"
    parts[f"forward {MAIN}"]["report"]["rows"] = [make_row("inference form fp32", 8)]
    why = {goal.name.partition(":")[0]: goal.why for goal in judge_goals(parts, False)}
    assert why["the demo at 1080p"] == "3 s were left"
    assert why["the evaluator"] == "only the CPU was measured"
    assert why["tests of a GPU"] == "all 40 tests were skipped"
    assert why[f"{MAIN} at 224 x 224"] == "it ended with exit code 1"
    assert why["precision auto"].startswith("auto is fp32 (")
    assert why[NETWORKS[1]] == f"forward {NETWORKS[1]} has not run"


def test_another_map_on_the_gpu_is_a_goal_missed() -> None:
    parts = make_parts()
    report = parts["evaluator"]["report"]
    report["cuda"] = {**report["cuda"], "mAP": 0.2501}
    assert judge(parts)["the evaluator"] == ("missed", 0.0)


def test_the_page_has_every_part_and_goal() -> None:
    parts = make_parts()
    parts["torch.compile x"] = {"left_out": "3 s were left"}
    parts["forward x"] = {"command": "c", "seconds": 1.0, "failed": "it was stopped after 9 s"}
    machine: dict[str, Any] = {
        "date": "2026-01-02",
        "cpu": "a CPU",
        "threads": 16,
        "load": 0.1,
        "python": "3.11",
    }
    machine |= {"gpu": "a GPU", "driver": None, "versions": {"torch": "2.14"}}
    report: dict[str, Any] = {"command": "c", "machine": machine, "quick": False, "seconds": 1.0}
    report |= {"limit_seconds": 540.0, "parts": parts}
    report["goals"] = [goal.to_json() for goal in judge_goals(parts, False)]
    page = write_page(report)
    assert page.startswith("# a GPU, 2026-01-02\n")
    assert all(f"\n## {name}\n" in page for name in parts)
    assert f"| {MAIN}: share of the fused floor, forward | 0.6 | 0.61 | met |" in page
    assert "\nLeft out: 3 s were left.\n" in page
    assert "**Failed: it was stopped after 9 s.**" in page
    assert "| 32 | ava-det train bf16 | 10 | 399 | 1 | 30% | 1 | 2 |" in page
    assert (
        "matrix products at 400 TFLOP/s in fp32, 800 TFLOP/s in bf16; memory at 3000 GB/s" in page
    )
    assert "- tests.x: test_y[1|2]" in page
    assert "| driver |  |" in page
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert all(line.count("|") >= 3 for line in tables)


def test_every_part_is_a_command_that_exists() -> None:
    parser = ToolParser("benchmarks", "")
    commands = parser.add_subparsers()
    for add in (add_model, add_train, add_demo, add_evaluate, add_detector, add_precision):
        add(commands)
    for device, is_quick in (("cuda", False), ("cuda", True), ("cpu", True)):
        parts = list_parts(device, is_quick)
        assert len({part.name for part in parts}) == len(parts)
        for part in parts:
            module, *options = part.command(Path("report"))[2:]
            if module == "pytest":
                files = [option for option in options if option.endswith(".py")]
                assert all((ROOT / file).is_file() for file in files)
                assert "tests/evaluation/test_frame_map.py" in files
                continue
            args = parser.parse_args(options)
            assert args.json == Path("report")
            assert device in str(vars(args))
            assert not hasattr(args, "config") or (ROOT / args.config).is_file()


def make_part(code: str, limit: float = 60.0) -> Part:
    """A part that runs some lines of Python, with the report's path in `path`."""
    return Part("x", ("-c", f"import sys, time; path = sys.argv[1]\n{code}"), limit)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are lines of Python, and a second is enough for one."""
    monkeypatch.setattr(Part, "command", lambda self, path: [sys.executable, *self.options, path])
    monkeypatch.setattr(gpu, "SHORTEST", 1.0)
    monkeypatch.setattr(gpu, "GRACE", 0.5)


@pytest.mark.usefixtures("short")
def test_a_part_that_ends_has_its_report() -> None:
    done = gpu.run_part(make_part("open(path, 'w').write('{\"a\": 1}')"), 60.0)
    assert done["report"] == {"a": 1}
    assert "failed" not in done


@pytest.mark.usefixtures("short")
def test_what_a_part_wrote_before_it_failed_is_kept() -> None:
    done = gpu.run_part(make_part("open(path, 'w').write('[1]'); sys.exit(3)"), 60.0)
    assert done["report"] == [1]
    assert done["failed"].startswith("it ended with exit code 3")


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("limit", "left"), [(1.0, 60.0), (60.0, 1.5)])
def test_a_part_is_stopped_in_time_and_keeps_what_it_has(limit: float, left: float) -> None:
    began = time.monotonic()
    done = gpu.run_part(make_part("open(path, 'w').write('[1]')\ntime.sleep(60)", limit), left)
    assert time.monotonic() - began < 30
    assert done["failed"] == "it was stopped after 1 s"
    assert done.get("report", [1]) == [1]  # a second may be too short to start on a busy machine


@pytest.mark.usefixtures("short")
def test_a_part_that_writes_nothing_has_failed() -> None:
    assert gpu.run_part(make_part(""), 60.0)["failed"] == "it wrote no report"


def test_too_little_time_starts_nothing() -> None:
    done = gpu.run_part(make_part("raise AssertionError"), gpu.SHORTEST - 1)
    assert done == {"left_out": "19 s were left of the whole run's time"}
    assert gpu.run_part(make_part(""), -3.0) == {
        "left_out": "0 s were left of the whole run's time"
    }


def test_a_part_that_ignores_ctrl_c_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "GRACE", 0.2)
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
    began = time.monotonic()
    assert run_child([sys.executable, "-c", code], 0.5) is None
    assert time.monotonic() - began < 30


def test_a_part_that_ends_leaves_no_process_behind(tmp_path: Path) -> None:
    """A process that it has started ignores Ctrl-C, and would write a file a second later."""
    late = tmp_path / "late"
    ready = tmp_path / "ready"
    inner = (
        "import signal, time, pathlib; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(1); pathlib.Path({str(late)!r}).touch()"
    )
    outer = (
        "import pathlib, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {inner!r}])\n"
        f"while not pathlib.Path({str(ready)!r}).exists(): time.sleep(0.01)\n"
    )
    assert run_child([sys.executable, "-c", outer], 60.0) == 0
    time.sleep(1.2)
    assert ready.exists()
    assert not late.exists()


def test_pytests_report_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    cases = {"a": "", "b": "<failure/>", "c": "<skipped/>", "d": "<error/>", "e": "<system-out/>"}
    body = "".join(f'<testcase classname="m" name="{n}">{x}</testcase>' for n, x in cases.items())
    path.write_text(f"<testsuites><testsuite>{body}</testsuite></testsuites>")
    counts = {"passed": 2, "failed": 2, "skipped": 1, "failures": ["m: b", "m: d"]}
    assert gpu.read_report(path) == counts


def test_without_a_gpu_only_a_reduced_run_is_possible(
    run_tool: RunTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, err = run_tool("benchmark", "gpu")
    assert code == 2
    assert "device: cuda cannot be used" in err
    assert "--quick" in err


def test_the_report_is_written_after_each_part(
    tmp_path: Path, run_tool: RunTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[list[str]] = []
    parts = make_parts()

    def run(part: Part, left: float) -> dict[str, Any]:
        files = list(tmp_path.glob("gpu_quick_*.json"))
        written.append(list(json.loads(files[0].read_text())["parts"]) if files else [])
        if part.name == "demo":
            return {"command": "c", "seconds": 1.0, "failed": "no encoder"}
        return {"left_out": "no time"} if part.name == "precision" else parts[part.name]

    monkeypatch.setattr(gpu, "run_part", run)
    code, out, _ = run_tool("benchmark", "gpu", "--quick", "--folder", tmp_path)
    assert code == 1
    names = [part.name for part in list_parts("cpu", True)]
    assert written == [names[:count] for count in range(len(names))]
    assert "demo: no encoder" in out
    assert "precision: no time" in out
    assert len(list(tmp_path.glob("gpu_quick_*.md"))) == 1


@pytest.mark.slow
def test_the_reduced_run_measures_every_part(tmp_path: Path, run_tool: RunTool) -> None:
    options = ("--quick", "--minutes", 40, "--folder", tmp_path)
    assert run_tool("benchmark", "gpu", *options)[0] == 0
    (path,) = tmp_path.glob("*.json")
    report = json.loads(path.read_text())
    assert {name: sorted(done) for name, done in report["parts"].items()} == {
        part.name: ["command", "report", "seconds"] for part in list_parts("cpu", True)
    }
    assert report["parts"]["tests"]["report"]["failed"] == 0
    assert report["machine"]["versions"]["torch"]
    assert {goal["verdict"] for goal in report["goals"]} == {"not measured"}
    (page,) = tmp_path.glob("*.md")
    assert "A reduced run" in page.read_text()
