"""Runs every benchmark, one after the other in a process of its own, and writes one report.

This is `python -m benchmarks all`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from ava_det.cli import Commands
from ava_det.files import write_json
from benchmarks.child import run_child
from benchmarks.machine import describe_machine

SMALL_FLOW = (
    *("--config", "configs/synthetic/slowfast.yaml", "model.streams=flow"),
    *("model.backbone=slow_only", "model.num_slow_frames=16", "model.slow_stride=2"),
)
# part -> (its options, its options with --quick: to see in a minute whether it runs)
PARTS = {
    "evaluate": ([], ["--videos", "1", "--repeat", "1"]),
    "decode": ([], ["--seconds", "20", "--clips", "100", "--repeat", "1"]),
    "model": (
        ["--batch", "1", "4", "8", "--repeat", "3"],
        ["--batch", "1", "--size", "64", "--repeat", "1"],
    ),
    "train": (["--repeat", "3"], ["--size", "64", "--repeat", "1"]),
    "contention": ([], ["--rounds", "1", "--steps", "1", "--busy", "0", "1"]),
    "demo": ([], ["--repeat", "1"]),
    "flow": ([], [*SMALL_FLOW, "--repeat", "1"]),
}
# runtime -> the modules it imports
RUNTIMES = {"onnx": ("onnxruntime", "onnxscript"), "openvino": ("openvino", "onnxscript")}


def add_all(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks all`."""
    parser = commands.add_parser("all", help="all of these, into one report")
    config = "configs/ava/slowfast_r50_8x8.yaml"
    parser.add_argument(
        "--config", default=config, help="network of model, train and demo (default: %(default)s)"
    )
    parser.add_argument(
        "--weights",
        help="of the demo, with a config of their own (default: random ones of --config)",
    )
    parser.add_argument("--against", metavar="MODULE:FUNCTION", help="as for model")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, one round: does everything run?"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=30,
        help="the longest a part may take (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too")
    parser.set_defaults(run=benchmark_all)


def benchmark_all(args: argparse.Namespace) -> int:
    """Prints what each part prints, and in one sentence what is missing and why.

    Returns:
        1 if a part failed, 0 otherwise.
    """
    runtimes = [
        name for name, modules in RUNTIMES.items() if all(map(importlib.util.find_spec, modules))
    ]
    missing = sorted(set(RUNTIMES) - set(runtimes))
    skipped = [
        f'{name} is skipped, it is not installed: pip install "ava_det[{name}]"' for name in missing
    ]
    print(*skipped, sep="\n")
    report: dict[str, Any] = {"machine": describe_machine(torch.device("cpu")), "quick": args.quick}
    report |= {"skipped": skipped, "parts": {}}
    for part in PARTS:
        print(f"\n== {part}", flush=True)
        done = run_part(part, list_options(part, args, runtimes), args.minutes)
        report["parts"][part] = done
        if "failed" in done:
            print(f"{part} failed: {done['failed']}")
        if args.json:  # after each part: an hour's work is not lost with the last one
            write_json(args.json, report)
    return int(any("failed" in done for done in report["parts"].values()))


def list_options(part: str, args: argparse.Namespace, runtimes: list[str]) -> list[str]:
    """Lists the options of a part."""
    options = list(PARTS[part][args.quick])
    if part == "demo" and args.weights:
        return [*options, "--weights", args.weights]
    if part in ("model", "train", "demo"):
        options += ["--config", args.config]
    if part == "model":
        options += ["--runtimes", *runtimes, *(["--against", args.against] if args.against else [])]
    return options


def run_part(part: str, options: list[str], minutes: float) -> dict[str, Any]:
    """Runs a part; its output goes where ours goes.

    Returns:
        Its command, seconds and report, or why it failed.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "benchmarks", part, *options, "--json", str(path)]
        code = run_child(command, 60 * minutes)
        if code is None:
            return {"failed": f"it took longer than {minutes:g} minutes, the limit of --minutes"}
        if code:
            return {
                "failed": (
                    f"{' '.join(options)} ended with exit code {code}, its reason stands above"
                )
            }
        seconds = round(time.perf_counter() - began, 1)
        report = json.loads(path.read_text(encoding="utf-8"))
    return {
        "command": " ".join(["python -m benchmarks", part, *options]),
        "seconds": seconds,
        "report": report,
    }
