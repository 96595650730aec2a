"""Measures one training step, forward to optimizer, beside the plain eager one.

This is `python -m benchmarks train`. The reference is the network in float32 and NCDHW with
PySlowFast's two pools of size one and an optimizer that walks the parameters; the other ways are
what `ava-det train` runs at precision=fp32 and precision=bf16.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ava_det.cli import Commands
from ava_det.models.build import to_device
from ava_det.tasks.recipe import build_optimizer
from benchmarks.machine import measure_in_turns, measure_kept_memory, measure_peak_memory
from benchmarks.network import (
    Inputs,
    Subject,
    add_network_options,
    build_subject,
    compute_floors,
    describe_rates,
    draw_clip,
    place,
    tabulate,
    with_identity_pools,
    write_report,
)

# every product is made once forward and twice backward, for the input and for the weights
BACKWARD_AND_FORWARD = 3


def add_train(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks train`."""
    parser = commands.add_parser("train", help="one training step, against the plain eager one")
    add_network_options(parser, batch=2, boxes=2, size=224)
    parser.set_defaults(run=benchmark_train)


def benchmark_train(args: argparse.Namespace) -> int:
    """Prints milliseconds a step, ratios, floors and activations kept for each batch size."""
    subject = build_subject(args)
    rows: list[dict[str, Any]] = []
    for batch in args.batch:
        rows += compare_steps(subject, batch, args)
        # what is measured stays if a larger batch fails
        write_report(args, subject, rates=subject.rulers.rates(), rows=rows)
    print(describe_rates(subject.rulers.rates()))
    return 0


def compare_steps(subject: Subject, batch: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measures the ways to make a step in turns, the rulers among them.

    Returns:
        The rows of the table, which is printed.
    """
    inputs = place(draw_clip(subject.config, batch, batch * args.boxes, args.size), subject.device)
    ways = list_steps(subject, inputs)
    steps = {name: step for name, (_, step) in ways.items()}
    times = measure_in_turns({**subject.rulers.ways(), **steps}, args.repeat, subject.device)
    kept = {name: measure_kept_memory(step) for name, step in steps.items()}
    floors = compute_floors(
        subject.config, batch, args.size, subject.rulers.rates(), BACKWARD_AND_FORWARD
    )
    rows = tabulate(
        batch,
        {name: precision for name, (precision, _) in ways.items()},
        times,
        floors,
        "kept_mb",
        kept,
    )
    if subject.device.type == "cuda":
        for row in rows:
            row["peak_mb"] = measure_peak_memory(steps[row["way"]], subject.device)
    return rows


def list_steps(subject: Subject, inputs: Inputs) -> dict[str, tuple[str, Callable[[], None]]]:
    """Lists the ways to make a step; both networks have an optimizer of their own.

    Returns:
        Name -> (precision, a function that makes one step).
    """
    config = subject.config
    device = subject.device
    plain = with_identity_pools(subject.model).to(device)
    parameters = plain.parameters()
    walking = torch.optim.SGD(
        parameters, lr=1e-4, momentum=config.train.momentum, foreach=False, fused=False
    )
    ours = to_device(copy.deepcopy(subject.model), device)
    config.train.lr = 1e-4  # nothing is learned from noise
    optimizer = build_optimizer(config, ours)
    placed = {
        name: value.contiguous(memory_format=torch.channels_last_3d) if value.ndim == 5 else value
        for name, value in inputs.items()
    }
    steps: dict[str, tuple[str, Callable[[], None]]] = {
        "plain fp32": ("fp32", lambda: make_step(plain, walking, inputs, "fp32")),
        "plain bf16": ("bf16", lambda: make_step(plain, walking, inputs, "bf16")),
        "ava-det train fp32": ("fp32", lambda: make_step(ours, optimizer, placed, "fp32")),
        "ava-det train bf16": ("bf16", lambda: make_step(ours, optimizer, placed, "bf16")),
    }
    return {name: step for name, step in steps.items() if step[0] in subject.rulers.precisions}


def make_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Inputs, precision: str
) -> None:
    """Makes a step: forward, binary cross-entropy against no action, backward, optimizer."""
    model.train()
    device = next(iter(inputs.values())).device
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits = model(**inputs)
    loss = F.binary_cross_entropy_with_logits(
        logits.float(), torch.zeros_like(logits, dtype=torch.float32)
    )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
