"""Says what `precision: auto` is on a device, and measures what it was decided by.

This is `python -m benchmarks precision`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from ava_det.cli import Commands
from ava_det.device.precision import (
    HALF_TYPES,
    choose_precision,
    judge_half_precision,
    measure_factor,
)
from ava_det.device.select import select_device
from ava_det.files import write_json
from benchmarks.machine import describe_machine


def add_precision(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks precision`."""
    parser = commands.add_parser("precision", help="what precision auto is here, and why")
    parser.add_argument("--device", default="auto", help="as in a config (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too")
    parser.set_defaults(run=benchmark_precision)


def benchmark_precision(args: argparse.Namespace) -> int:
    """Prints the choice, and a small convolution's time in each 16-bit type against float32."""
    device = select_device(args.device)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # as every network of the project runs
    chosen = choose_precision("auto", device)
    report: dict[str, Any] = {"machine": describe_machine(device)}
    report |= {"auto": chosen.name, "reason": chosen.reason, "types": {}}
    for name, dtype in HALF_TYPES.items():
        judgment = judge_half_precision(device, dtype)
        factor = measure_factor(device, dtype)
        report["types"][name] = {"is_native": judgment.is_native, "factor": factor}
        took = "refused" if factor is None else f"takes {factor:.2f} times as long as fp32"
        print(
            f"{name}: native {judgment.is_native}; a small convolution {took} ({judgment.reason})"
        )
    if args.json:
        write_json(args.json, report)
    return 0
