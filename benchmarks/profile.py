"""Profiles a forward pass by layer and by operator, for `python -m benchmarks model --profile`.

Layers are the folded convolutions of the inference form and the head, each timed by itself, for
which a GPU has to be waited; operators are torch.profiler's. Both tables are Markdown, to be kept
beside a report.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from ava_det.files import write_text
from ava_det.models.inference_form import FoldedConv
from benchmarks.machine import Stopwatch, measure_in_turns
from benchmarks.network import Inputs, Subject, draw_clip, place

Costs = dict[str, tuple[float, float]]  # kind of layer -> (busy milliseconds, multiply-accumulates)
SMALLEST_SHARE = 0.005  # operators below it are one line


def write_profile(
    subject: Subject, forms: dict[str, Callable[..., Tensor]], args: argparse.Namespace
) -> None:
    """Writes the tables of some forms at the first batch size, to --profile.

    Args:
        subject: What is measured.
        forms: Name -> the network in an inference form.
        args: The options of the command.
    """
    batch = args.batch[0]
    machine = subject.machine
    inputs = place(draw_clip(subject.config, batch, batch * args.boxes, args.size), subject.device)
    lines = [
        f"# {Path(args.config).stem}, {args.size} x {args.size}, batch {batch}, {args.boxes} "
        "boxes a clip",
        "",
    ]
    lines += [
        f"{machine['cpu']}, {machine.get('gpu', 'no GPU')}, {machine['threads']} threads, "
        f"{machine['date']}."
    ]
    for name, network in forms.items():
        assert isinstance(network, nn.Module)
        with torch.inference_mode():
            ways: dict[str, Callable[[], object]] = {**subject.rulers.ways()}
            ways[name] = partial(network, **inputs)
            whole = measure_in_turns(ways, args.repeat, subject.device)[name].busy
            layers = [measure_layers(network, inputs, subject.device) for _ in range(args.repeat)]
            operators = measure_operators(ways[name], subject.device)
        rate = subject.rulers.rates()["bf16" if name.endswith("bf16") else "fp32"]
        lines += ["", f"## {name}: {whole:.0f} busy ms, matrix product {rate / 1e9:.0f} GMAC/s", ""]
        lines += [
            *describe_layers(take_medians(layers), whole, rate),
            "",
            *describe_operators(operators),
        ]
    write_text(args.profile, "\n".join(lines) + "\n")


def measure_layers(network: nn.Module, inputs: Inputs, device: torch.device) -> Costs:
    """Measures the layers of one forward pass."""
    measured: Costs = {}
    watch = Stopwatch(device)

    def stop(kind: str, module: nn.Module, _inputs: object, output: Tensor) -> None:
        (_, took) = watch.stop()
        (before, macs) = measured.get(kind, (0.0, 0.0))
        measured[kind] = before + took, macs + count_macs(module, output)

    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, FoldedConv) or name == "head":
            hooks.append(module.register_forward_pre_hook(lambda *_: watch.start()))
            hooks.append(module.register_forward_hook(partial(stop, name_kind(name, module))))
    try:
        network(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return measured


def count_macs(module: nn.Module, output: Tensor) -> float:
    """Counts a convolution's multiply-accumulates; the head's few count as 0."""
    return (
        float(output.numel() * module.weight[0].numel()) if isinstance(module, FoldedConv) else 0.0
    )


def name_kind(name: str, module: nn.Module) -> str:
    """Names a kind of layer by pathway, stage and kernel, such as `slow res4 3x1x1`."""
    if not isinstance(module, FoldedConv):
        return name
    sides = list(module.weight.shape[2:])
    kernel = {"frames": [1, *sides], "moments": [*sides, 1], "volume": sides}[module.view]
    match = re.search(r"(slow|fast)\.(\w+)", name)
    where = f"{match[1]} {match[2]}" if match else "lateral"
    return f"{where} {'x'.join(map(str, kernel))}"


def take_medians(rounds: list[Costs]) -> Costs:
    """Takes the median time of each kind of layer."""
    return {
        kind: (statistics.median(r[kind][0] for r in rounds), macs)
        for kind, (_, macs) in rounds[0].items()
    }


def describe_layers(layers: Costs, whole: float, rate: float) -> list[str]:
    """Formats the table of layers.

    Args:
        layers: Their costs.
        whole: Busy milliseconds of the whole pass.
        rate: Multiply-accumulates a second of the matrix product, the best a layer could reach.
    """
    lines = [
        "| layer | busy ms | share | GMACs | of the product's rate | ms above it |",
        "|---|---|---|---|---|---|",
    ]
    for kind, (took, macs) in sorted(layers.items(), key=lambda item: -item[1][0]):
        ideal = macs * 1e3 / rate
        reached = f"{ideal / took:.0%}" if macs else ""
        lines += [
            f"| {kind} | {took:.1f} | {took / whole:.1%} | {macs / 1e9:.2f} | {reached} | "
            f"{took - ideal:.1f} |"
        ]
    took, macs = (sum(column) for column in zip(*layers.values(), strict=True))
    rest = whole - took
    lines += [f"| pools, joins, casts, calls | {rest:.1f} | {rest / whole:.1%} | | | {rest:.1f} |"]
    ideal = macs * 1e3 / rate
    return [
        *lines,
        f"| all | {whole:.1f} | 100 % | {macs / 1e9:.2f} | {ideal / whole:.0%} | "
        f"{whole - ideal:.1f} |",
    ]


def measure_operators(
    work: Callable[[], object], device: torch.device
) -> dict[str, tuple[float, int]]:
    """Profiles one call of `work`; on a GPU the operators are its kernels.

    Returns:
        Operator -> (its own milliseconds, how often it ran).
    """
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        work()
    return {
        event.key: (
            (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e3,
            event.count,
        )
        for event in profiler.key_averages()
    }


def describe_operators(operators: dict[str, tuple[float, int]]) -> list[str]:
    """Formats the table of operators."""
    whole = sum(took for took, _ in operators.values())
    lines = ["| operator | ms | share | calls |", "|---|---|---|---|"]
    for name, (took, count) in sorted(operators.items(), key=lambda item: -item[1][0]):
        if took >= SMALLEST_SHARE * whole:
            lines.append(f"| {name} | {took:.1f} | {took / whole:.1%} | {count} |")
    small = [(took, count) for took, count in operators.values() if took < SMALLEST_SHARE * whole]
    took = sum(took for took, _ in small)
    count = sum(count for _, count in small)
    return [*lines, f"| {len(small)} others | {took:.1f} | {took / whole:.1%} | {count} |"]
