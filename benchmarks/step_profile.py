"""Profiles one training step by layer, forward and backward, for `benchmarks train --profile`.

Layers are convolutions, batch norms and the head. Forward each is timed by itself. Backward each
node of autograd's graph is timed and belongs to the layer that made it; nodes outside layers are
named by what they are the gradient of. The tables are Markdown, to be kept beside a report.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from ava_det.files import write_text
from benchmarks.machine import Stopwatch
from benchmarks.network import Subject

SMALLEST_SHARE = 0.004  # layers below it are one line
REST = "outside layers: forward, loss, calls"


@dataclass
class Cost:
    """Holds what the layers of one kind take in a step.

    Attributes:
        forward: Busy milliseconds.
        backward: Busy milliseconds.
        macs: Multiply-accumulates, forward and backward; 0 for all but convolutions.
    """

    forward: float = 0.0
    backward: float = 0.0
    macs: float = 0.0


Costs = dict[str, Cost]


@dataclass(frozen=True)
class Training:
    """Holds what makes steps.

    Attributes:
        model: The network.
        compute_loss: Runs it.
        optimizer: Of its parameters.
        precision: fp32 or bf16.
    """

    model: nn.Module
    compute_loss: Callable[[], Tensor]
    optimizer: torch.optim.Optimizer
    precision: str


def write_step_profile(
    subject: Subject, trainings: dict[str, Training], args: argparse.Namespace
) -> None:
    """Writes a table of each way to train, at the first batch size, to --profile.

    Args:
        subject: What is measured; its rulers have run.
        trainings: Way -> what makes its steps.
        args: The options of the command.
    """
    machine = subject.machine
    lines = [
        f"# A training step of {Path(args.config).stem}, {args.size} x {args.size}, batch "
        f"{args.batch[0]}, {args.boxes} boxes a clip",
        "",
        f"{machine['cpu']}, {torch.backends.cpu.get_cpu_capability()}, "
        f"{machine.get('gpu', 'no GPU')}, {machine['threads']} threads, {machine['date']}.",
    ]
    for name, training in trainings.items():
        rounds = [measure_layers(training, subject.device) for _ in range(args.repeat)]
        rate = subject.rulers.rates()[training.precision]
        lines += ["", f"## {name}: matrix product {rate / 1e9:.0f} GMAC/s", ""]
        lines += describe_costs(take_medians(rounds), rate)
    write_text(args.profile, "\n".join(lines) + "\n")


def measure_layers(training: Training, device: torch.device) -> Costs:
    """Measures the layers of one step."""
    costs: Costs = {}
    owners: dict[Node, str] = {}
    watch, whole = Stopwatch(device), Stopwatch(device)

    def stop(kind: str, module: nn.Module, inputs: tuple[object, ...], output: Tensor) -> None:
        cost = costs.setdefault(kind, Cost())
        cost.forward += watch.stop()[1]
        cost.macs += count_macs(module, inputs, output)
        before = {node for node in map(_made_by, _list_tensors(inputs)) if node is not None}
        owners.update(dict.fromkeys(_walk(_made_by(output), before), kind))

    handles = []
    for name, module in training.model.named_modules():
        if isinstance(module, nn.Conv3d | nn.BatchNorm3d) or name == "head":
            kind = name_kind(name, module)
            handles.append(module.register_forward_pre_hook(lambda *_: watch.start()))
            handles.append(module.register_forward_hook(partial(stop, kind)))
    whole.start()
    try:
        loss = training.compute_loss()
    finally:
        for handle in handles:
            handle.remove()
    took = whole.stop()[1]
    costs[REST] = Cost(took - sum(cost.forward for cost in costs.values()))
    training.optimizer.zero_grad(set_to_none=True)
    whole.start()
    _measure_backward(loss, owners, costs, device)
    took = whole.stop()[1]
    costs[REST].backward = took - sum(cost.backward for cost in costs.values())
    watch.start()
    training.optimizer.step()
    costs["optimizer"] = Cost(watch.stop()[1])
    return costs


def _measure_backward(
    loss: Tensor, owners: dict[Node, str], costs: Costs, device: torch.device
) -> None:
    """Runs backward and adds the time of each node to its layer, or to its own name."""
    watch = Stopwatch(device)

    def stop(kind: str, *_: object) -> None:
        costs.setdefault(kind, Cost()).backward += watch.stop()[1]

    for node in list(_walk(_made_by(loss), set())):
        kind = owners.get(node, f"gradient of {re.sub(r'Backward.*', '', node.name())}")
        node.register_prehook(lambda *_: watch.start())
        node.register_hook(partial(stop, kind))
    loss.backward()


def _made_by(tensor: Tensor) -> Node | None:
    return tensor.grad_fn


def _list_tensors(values: Iterable[object]) -> list[Tensor]:
    """Lists the tensors among arguments, also those in lists."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _list_tensors(value)
    return found


def _walk(start: Node | None, end: set[Node]) -> Iterator[Node]:
    """Lists the nodes from `start` on, without those of `end` and what only they lead to."""
    waiting = [start]
    seen = set(end)
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting += [following for following, _ in node.next_functions]


def count_macs(module: nn.Module, inputs: tuple[object, ...], output: Tensor) -> float:
    """Counts the multiply-accumulates of a convolution, forward and backward.

    The gradient of a clip is not computed.
    """
    if not isinstance(module, nn.Conv3d):
        return 0.0
    needs_gradient = any(tensor.requires_grad for tensor in _list_tensors(inputs))
    return float(output.numel() * module.weight[0].numel() * (3 if needs_gradient else 2))


def name_kind(name: str, module: nn.Module) -> str:
    """Names a kind of layer by pathway, stage and kernel, such as `slow res4 3x1x1`."""
    match = re.search(r"(slow|fast)\.(\w+)", name)
    where = f"{match[1]} {match[2]}" if match else "lateral" if "lateral" in name else name
    if isinstance(module, nn.Conv3d):
        strided = " strided" if max(module.stride) > 1 else ""
        return f"{where} {'x'.join(map(str, module.kernel_size))}{strided}"
    return f"{where} norm" if isinstance(module, nn.BatchNorm3d) else where


def take_medians(rounds: list[Costs]) -> Costs:
    """Takes the median times of each kind of layer."""
    return {
        kind: Cost(
            statistics.median(one[kind].forward for one in rounds),
            statistics.median(one[kind].backward for one in rounds),
            cost.macs,
        )
        for kind, cost in rounds[0].items()
    }


def describe_costs(costs: Costs, rate: float) -> list[str]:
    """Formats the table of a step.

    Args:
        costs: Of its layers.
        rate: Multiply-accumulates a second of the matrix product, the best a layer could reach.
    """
    whole = sum(cost.forward + cost.backward for cost in costs.values())
    small = [
        kind
        for kind, cost in costs.items()
        if cost.forward + cost.backward < SMALLEST_SHARE * whole and kind != REST
    ]
    rows = {kind: cost for kind, cost in costs.items() if kind not in small}
    rows[f"{len(small)} others"] = _add(costs[kind] for kind in small)
    lines = [
        "| layer | forward, busy ms | backward | share | GMACs | of the product's rate | "
        "ms above it |",
        "|---|---|---|---|---|---|---|",
    ]
    in_order = sorted(rows.items(), key=lambda row: -(row[1].forward + row[1].backward))
    for kind, cost in [*in_order, ("all", _add(rows.values()))]:
        took = cost.forward + cost.backward
        ideal = cost.macs * 1e3 / rate
        reached = f"{ideal / took:.0%}" if cost.macs else ""
        lines.append(
            f"| {kind} | {cost.forward:.1f} | {cost.backward:.1f} | {took / whole:.1%} | "
            f"{cost.macs / 1e9:.2f} | {reached} | {took - ideal:.1f} |"
        )
    return lines


def _add(costs: Iterable[Cost]) -> Cost:
    found = list(costs)
    return Cost(
        sum(cost.forward for cost in found),
        sum(cost.backward for cost in found),
        sum(cost.macs for cost in found),
    )
