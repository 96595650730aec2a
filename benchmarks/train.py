"""Measures one training step, forward to optimizer, beside the plain eager one.

This is `python -m benchmarks train`. The reference is the network in float32 and NCDHW with
PySlowFast's two pools of size one and an optimizer that walks the parameters; the other ways are
what `ava-det train` runs at precision=fp32 and precision=bf16.
"""

from __future__ import annotations

import argparse
import copy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
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
from benchmarks.step_profile import Training, write_step_profile

# every product is made once forward and twice backward, for the input and for the weights
BACKWARD_AND_FORWARD = 3


def add_train(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks train`."""
    parser = commands.add_parser("train", help="one training step, against the plain eager one")
    add_network_options(parser, batch=2, boxes=2, size=224)
    parser.add_argument(
        "--profile", type=Path, metavar="FILE", help="write tables by layer, forward and backward"
    )
    parser.set_defaults(run=benchmark_train)


def benchmark_train(args: argparse.Namespace) -> int:
    """Prints milliseconds a step, ratios, floors and activations kept for each batch size."""
    subject = build_subject(args)
    rows: list[dict[str, Any]] = []
    for batch in args.batch:
        trainings = list_trainings(subject, batch, args)
        rows += compare_steps(subject, trainings, batch, args)
        if args.profile and batch == args.batch[0]:
            write_step_profile(subject, trainings, args)
        # what is measured stays if a larger batch fails
        write_report(args, subject, rates=subject.rulers.rates(), rows=rows)
    print(describe_rates(subject.rulers.rates()))
    return 0


def compare_steps(
    subject: Subject, trainings: dict[str, Training], batch: int, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Measures the ways to make a step in turns, the rulers among them.

    Returns:
        The rows of the table, which is printed.
    """
    steps = {name: partial(make_step, training) for name, training in trainings.items()}
    times = measure_in_turns({**subject.rulers.ways(), **steps}, args.repeat, subject.device)
    kept = {name: measure_kept_memory(step) for name, step in steps.items()}
    floors = compute_floors(
        subject.config, batch, args.size, subject.rulers.rates(), BACKWARD_AND_FORWARD
    )
    precisions = {name: training.precision for name, training in trainings.items()}
    rows = tabulate(batch, precisions, times, floors, "kept_mb", kept)
    if subject.device.type == "cuda":
        for row in rows:
            row["peak_mb"] = measure_peak_memory(steps[row["way"]], subject.device)
    return rows


def list_trainings(subject: Subject, batch: int, args: argparse.Namespace) -> dict[str, Training]:
    """Lists the ways to train; both networks have an optimizer of their own.

    Args:
        subject: What is measured.
        batch: Clips at a time.
        args: The options of the command.

    Returns:
        Way -> what makes its steps.
    """
    config = subject.config
    device = subject.device
    inputs = place(draw_clip(config, batch, batch * args.boxes, args.size), device)
    plain = with_identity_pools(subject.model).to(device)
    walking = torch.optim.SGD(
        plain.parameters(), lr=1e-4, momentum=config.train.momentum, foreach=False, fused=False
    )
    ours = to_device(copy.deepcopy(subject.model), device)
    config.train.lr = 1e-4  # nothing is learned from noise
    optimizer = build_optimizer(config, ours)
    placed = {
        name: value.contiguous(memory_format=torch.channels_last_3d) if value.ndim == 5 else value
        for name, value in inputs.items()
    }
    trainings = {}
    for way, model, its_optimizer, clips in (
        ("plain", plain, walking, inputs),
        ("ava-det train", ours, optimizer, placed),
    ):
        for precision in subject.rulers.precisions:
            loss = partial(compute_loss, model, clips, precision)
            trainings[f"{way} {precision}"] = Training(model, loss, its_optimizer, precision)
    return trainings


def compute_loss(model: nn.Module, inputs: Inputs, precision: str) -> Tensor:
    """Computes the binary cross-entropy against no action."""
    model.train()
    device = next(iter(inputs.values())).device
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits = model(**inputs)
    return F.binary_cross_entropy_with_logits(
        logits.float(), torch.zeros_like(logits, dtype=torch.float32)
    )


def make_step(training: Training) -> None:
    """Makes a step: forward, backward, optimizer."""
    loss = training.compute_loss()
    training.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    training.optimizer.step()
