"""Measures a training step beside busy processes: how long others on the same cores make it.

This is `python -m benchmarks contention`. OpenMP's threads spin while they wait for one another,
unless `OMP_WAIT_POLICY=passive` is set before torch is loaded, so every setting is a process of its
own. Settings and numbers of busy processes take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import torch

from ava_det.cli import Commands
from ava_det.config.load import load_config
from ava_det.files import write_json
from ava_det.models.build import to_device
from ava_det.tasks.recipe import build_optimizer
from benchmarks.child import run_measurement
from benchmarks.machine import describe_machine
from benchmarks.network import build_random_model, draw_clip
from benchmarks.step_profile import Training
from benchmarks.train import compute_loss, make_step

WARMUP_STEPS = 2
POLICY = "OMP_WAIT_POLICY"
SETTINGS: dict[str, dict[str, str]] = {
    "two threads, torch's default": {"OMP_NUM_THREADS": "2"},
    "two threads, OMP_WAIT_POLICY=passive": {"OMP_NUM_THREADS": "2", POLICY: "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
# counts until the process of this id, which started it, is gone, however that ended
BUSY = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    for _ in range(100_000):
        pass
"""


def add_contention(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks contention`."""
    parser = commands.add_parser("contention", help="a training step beside busy processes")
    parser.add_argument("--config", default="configs/synthetic/slowfast.yaml", metavar="FILE")
    parser.add_argument("--steps", type=int, default=6, help="steps of each process")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each figure")
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.set_defaults(run=benchmark_contention)


def benchmark_contention(args: argparse.Namespace) -> int:
    """Prints seconds a step by the clock and in processor time for each setting and number."""
    if 0 not in args.busy:
        raise ValueError("--busy: expected 0 among the numbers, what the others are compared with")
    times: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(args.rounds):
        for busy in args.busy:
            for name, variables in SETTINGS.items():
                steps = measure_beside(busy, variables, args.config, args.steps)
                times.setdefault((name, busy), []).extend(steps)
    rows = []
    for (name, busy), steps in times.items():
        clock, processor = (statistics.median(values) for values in zip(*steps, strict=True))
        alone = statistics.median(step[0] for step in times[name, 0])
        rows.append(
            {
                "setting": name,
                "busy": busy,
                "clock_s": round(clock, 3),
                "processor_s": round(processor, 3),
                "times_as_long": round(clock / alone, 2),
            }
        )
        print(
            f"{name:38} beside {busy}: {clock:.2f} s a step ({processor:.2f} s of processor time), "
            f"{clock / alone:.2f} times"
        )
    if args.json is not None:
        options = {"config": args.config, "steps": args.steps, "rounds": args.rounds}
        report = {"machine": describe_machine(torch.device("cpu")), "options": options}
        write_json(args.json, {**report, "contention": rows})
    return 0


def measure_beside(
    busy: int, variables: dict[str, str], config: str, steps: int
) -> list[tuple[float, float]]:
    """Runs steps in a process of its own beside processes that do nothing but count.

    Returns:
        Seconds by the clock and of processor time of each step.
    """
    own = {name: value for name, value in os.environ.items() if name != POLICY}
    command = [sys.executable, "-c", BUSY, str(os.getpid())]
    others = [subprocess.Popen(command) for _ in range(busy)]
    try:
        printed = run_measurement("steps", config, str(steps), variables=own | variables)
    finally:
        for other in others:
            other.kill()
            other.wait()
    return [(clock, processor) for clock, processor in json.loads(printed.splitlines()[-1])]


def measure_steps(config_path: str, steps: str) -> None:
    """Prints clock and processor seconds of some training steps in fp32, as JSON."""
    config = load_config(config_path)
    device = torch.device("cpu")
    model = to_device(build_random_model(config), device)
    optimizer = build_optimizer(config, model)
    batch = config.train.batch_size
    inputs = draw_clip(config, batch, boxes=2 * batch, size=config.data.test_short_side)
    loss = partial(compute_loss, model, inputs, "fp32")
    training = Training(model, loss, optimizer, "fp32")
    times = []
    for step in range(WARMUP_STEPS + int(steps)):
        clock, processor = time.perf_counter(), time.process_time()
        make_step(training)
        if step >= WARMUP_STEPS:
            times.append((time.perf_counter() - clock, time.process_time() - processor))
    print(json.dumps(times))
