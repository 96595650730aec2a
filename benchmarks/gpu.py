"""Measures a GPU with one command, within nine minutes: `make gpu` or `python -m benchmarks gpu`.

Each part is a process of its own (`benchmarks/gpu_parts.py` lists them), the most important first.
Report and page are written anew after each part, so that whatever ends the run costs the part that
is running and nothing else. It needs no network, no data and no weights.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch

from ava_det.cli import Commands
from ava_det.config import ConfigError
from ava_det.device.select import select_device
from ava_det.files import write_json
from ava_det.files.whole import write_text
from benchmarks.child import GRACE, ROOT, run_child
from benchmarks.gpu_goals import judge_goals
from benchmarks.gpu_page import write_page
from benchmarks.gpu_parts import PRECISION, Part, list_parts
from benchmarks.machine import describe_machine

# a process needs about so many seconds to load torch, start a GPU and choose kernels
SHORTEST = 20.0


def add_gpu(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks gpu`."""
    parser = commands.add_parser("gpu", help="a GPU, everything within nine minutes, and the goals")
    parser.add_argument(
        "--minutes", type=float, default=9, help="stop after so many (default: %(default)s)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, without a GPU too: does everything run?"
    )
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "benchmarks", help="where gpu_DATE.json and .md go"
    )
    parser.set_defaults(run=benchmark_gpu)


def benchmark_gpu(args: argparse.Namespace) -> int:
    """Runs the parts while there is time, and prints the goals.

    Returns:
        1 if a part failed, 0 otherwise; a goal that is missed is no failure.

    Raises:
        ConfigError: There is no GPU, and --quick was not given.
    """
    began = time.monotonic()
    limit = 60 * args.minutes
    device = find_device(args.quick)
    report: dict[str, Any] = {
        "command": f"python -m benchmarks gpu{' --quick' if args.quick else ''}",
        "machine": describe_machine(torch.device("cpu")),
        "quick": args.quick,
        "limit_seconds": limit,
        "parts": {},
    }
    path = args.folder / f"gpu_{'quick_' if args.quick else ''}{report['machine']['date']}"
    for part in list_parts(device, args.quick):
        left = limit - (time.monotonic() - began)
        print(f"\n== {part.name}, {left:.0f} s are left", flush=True)
        done = run_part(part, left)
        report["parts"][part.name] = done
        if part.name == PRECISION and "report" in done:  # that process has seen the GPU
            report["machine"] = done["report"]["machine"]
        for reason in ("failed", "left_out"):
            if reason in done:
                print(f"{part.name}: {done[reason]}", flush=True)
        report["seconds"] = time.monotonic() - began
        keep(report, path)
    print("\n== goals")
    for goal in report["goals"]:
        print(f"{goal['verdict']:13}{goal['name']}: {goal['why']}")
    print(f"{path}.json and {path}.md, {report['seconds']:.0f} s")
    return int(any("failed" in done for done in report["parts"].values()))


def find_device(is_quick: bool) -> str:
    """Returns cuda, or for a reduced run what there is.

    Raises:
        ConfigError: There is no GPU, and one is needed.
    """
    try:
        return select_device("auto" if is_quick else "cuda").type
    except ConfigError as error:
        raise ConfigError(f"{error}; --quick makes a reduced run without one") from None


def keep(report: dict[str, Any], path: Path) -> None:
    """Judges the goals anew and writes the report and its page."""
    report["goals"] = [goal.to_json() for goal in judge_goals(report["parts"], report["quick"])]
    write_json(f"{path}.json", report)
    write_text(f"{path}.md", write_page(report))


def run_part(part: Part, left: float) -> dict[str, Any]:
    """Runs a part, for as long as its limit and the time left allow.

    Args:
        part: What to run.
        left: Seconds until the whole run must end.

    Returns:
        `left_out`, or its command and seconds with `report`, with why it `failed`, or with both:
        what a part wrote before it failed is kept.
    """
    if left < SHORTEST:
        return {"left_out": f"{max(left, 0):.0f} s were left of the whole run's time"}
    began = time.monotonic()
    seconds = min(part.limit, left - GRACE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"report{part.suffix}"
        code = run_child(part.command(path), seconds)
        done: dict[str, Any] = {
            "command": " ".join(["python -m", *part.options, path.name]),
            "seconds": round(time.monotonic() - began, 1),
        }
        if code is None:
            done["failed"] = f"it was stopped after {seconds:.0f} s"
        elif code:
            done["failed"] = f"it ended with exit code {code}, its reason stands in its output"
        try:
            done["report"] = read_report(path)
        except (FileNotFoundError, ElementTree.ParseError):  # pytest was stopped before its end
            done.setdefault("failed", "it wrote no report")
    return done


def read_report(path: Path) -> dict[str, Any]:
    """Reads the report of a part; of pytest's XML the counts and the names of failed tests."""
    if path.suffix == ".json":
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return report
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failures = []
    for case in ElementTree.parse(path).iter("testcase"):
        found = {child.tag for child in case}
        failed = bool(found & {"failure", "error"})
        kind = "failed" if failed else "skipped" if "skipped" in found else "passed"
        counts[kind] += 1
        if failed:
            failures.append(f"{case.get('classname')}: {case.get('name')}")
    return {**counts, "failures": failures}
