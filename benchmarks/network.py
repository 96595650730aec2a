"""Provides what `python -m benchmarks model` and `train` share.

These are their options, the network and its clips, its floors and the report.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.config import Config, config_to_dict, load_config
from ava_det.device.select import prepare_torch
from ava_det.files import write_json
from ava_det.inference.batch import compute_scores
from ava_det.models.build import build_model
from ava_det.models.cost import compute_cost
from ava_det.operations.export import draw_inputs
from benchmarks.machine import DTYPES, Rulers, Time, describe_machine

Inputs = dict[str, Tensor]
Floors = dict[str, tuple[float, float]]


def add_network_options(parser: argparse.ArgumentParser, batch: int, boxes: int, size: int) -> None:
    """Adds the options that both have.

    Args:
        parser: Where to add them.
        batch: The default number of clips at a time.
        boxes: The default number of persons a clip.
        size: The default number of pixels per side.
    """
    parser.add_argument(
        "--config", default="configs/ava/slowfast_r50_8x8.yaml", help="default: %(default)s"
    )
    parser.add_argument(
        "--batch", type=int, nargs="+", default=[batch], help=f"clips at a time (default: {batch})"
    )
    parser.add_argument(
        "--boxes", type=int, default=boxes, help="persons a clip (default: %(default)s)"
    )
    parser.add_argument(
        "--size", type=int, default=size, help="pixels per side (default: %(default)s)"
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=5,
        help="take medians of so many rounds (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="key=value",
        help="config values, such as model.depth=50",
    )


@dataclass
class Subject:
    """Holds what is measured, and on what."""

    config: Config
    device: torch.device
    model: nn.Module
    machine: dict[str, Any]
    rulers: Rulers

    def score(self, logits: Tensor) -> Tensor:
        """Computes the scores 0..1 of logits, float32, as the network's config means them."""
        return compute_scores(logits.float(), self.config.model.is_exclusive)


def build_subject(args: argparse.Namespace) -> Subject:
    """Builds the network, describes the machine and prints it."""
    config = load_config(args.config, args.set)
    device = prepare_torch(config)
    machine = describe_machine(device)
    print(
        f"{machine['cpu']}, {machine.get('gpu', 'no GPU')}; {machine['threads']} threads, load "
        f"{machine['load']}"
    )
    return Subject(config, device, build_random_model(config), machine, Rulers(device))


def build_random_model(config: Config) -> nn.Module:
    """Builds the config's network with batch norms as after training.

    They have the statistics of a small random batch, and a small scale where they close a residual
    branch, or activations would explode with depth.
    """
    model = build_model(config)
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 1.0
            if name.endswith("c_bn") or "non_local" in name:
                nn.init.constant_(module.weight, 0.2)
    with torch.no_grad():
        model.train()(**draw_clip(config, 2, 2, 64))
    return model.eval()


def draw_clip(config: Config, batch: int, boxes: int, size: int) -> Inputs:
    """Draws a clip of normal noise, size x size pixels, with boxes anywhere."""
    inputs = draw_inputs(config, batch, boxes, size)
    return {
        name: value if name == "rois" else value[..., :size].contiguous()
        for name, value in inputs.items()
    }


def place(inputs: Inputs, device: torch.device) -> Inputs:
    """Moves the inputs to a device."""
    return {name: value.to(device) for name, value in inputs.items()}


def with_identity_pools(model: nn.Module) -> nn.Module:
    """Copies a model so that it pools each pathway by one after res2; no value changes."""
    model = copy.deepcopy(model)
    for name, module in model.named_modules():
        if name.endswith(".res2"):
            module.register_forward_hook(
                lambda _module, _inputs, output: F.max_pool3d(output, 1, 1)
            )
    return model


def compute_floors(
    config: Config, batch: int, size: int, rates: dict[str, float], passes: int = 1
) -> Floors:
    """Computes the milliseconds that the arithmetic alone and the memory alone would take.

    Args:
        config: The network.
        batch: Clips at a time.
        size: Pixels per side.
        rates: What the machine can do, as `Rulers.rates` returns it.
        passes: How often every product is made.

    Returns:
        Precision -> (of the arithmetic, of the memory).
    """
    with torch.device("meta"):
        model = build_model(config)
    cost = compute_cost(model, config.model.clip_shapes(), size)
    values = passes * count_values(model, config, batch, size)
    return {
        name: (
            passes * batch * cost.gmacs * 1e12 / rates[name],
            values * dtype.itemsize * 1e3 / rates["bytes"],
        )
        for name, dtype in DTYPES.items()
        if name in rates
    }


def count_values(model: nn.Module, config: Config, batch: int, size: int) -> int:
    """Counts the numbers that must move at least.

    Every convolution reads its input and weights once and writes its output once, with norm, sum
    and ReLU done on the way.

    Args:
        model: The network, on the meta device.
        config: Its config.
        batch: Clips at a time.
        size: Pixels per side.
    """
    count = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal count
        count += (
            inputs[0].numel()
            + output.numel()
            + sum(parameter.numel() for parameter in module.parameters())
        )

    for module in model.modules():
        if isinstance(module, nn.Conv3d | nn.Linear):
            module.register_forward_hook(add)
    with torch.no_grad():
        model.eval()(
            **{  # one clip for all: drawing many takes longer than running them on a GPU
                name: value.to("meta").repeat_interleave(batch, 0)
                for name, value in draw_clip(config, 1, 1, size).items()
            }
        )
    return count


def tabulate(
    batch: int,
    precisions: dict[str, str],
    times: dict[str, Time],
    floors: Floors,
    key: str,
    more: dict[str, float],
) -> list[dict[str, Any]]:
    """Prints a line for each way and returns the rows.

    Args:
        batch: Clips at a time.
        precisions: Way -> its precision; the first way is the reference.
        times: Way -> its time.
        floors: Precision -> milliseconds, as `compute_floors` returns them.
        key: The name of one more value.
        more: Way -> this value.
    """
    first = times[next(iter(precisions))]
    print(
        f"\nbatch {batch:<26}{'ms':>11}{'clips/s':>9}{'ratio':>8}{'busy ms':>10}{'ratio':>8}",
        end="",
    )
    print(f"{'floor: MACs':>13}{'memory':>9}{'floor/busy':>12}  {key.replace('_', ' ')}")
    rows = []
    for name, precision in precisions.items():
        time = times[name]
        (macs, memory) = floors[precision]
        row: dict[str, Any] = {
            "batch": batch,
            "way": name,
            "ms": time.wall,
            "clips_per_second": batch * 1e3 / time.wall,
        }
        row |= {
            "ratio": first.wall / time.wall,
            "busy_ms": time.busy,
            "busy_ratio": first.busy / time.busy,
        }
        row |= {
            "floor_macs_ms": macs,
            "floor_memory_ms": memory,
            "share_of_floor": max(macs, memory) / time.busy,
        }
        row[key] = more.get(name)
        rows.append(row)
        print(
            f"{name:32}{time.wall:11.1f}{row['clips_per_second']:9.2f}{row['ratio']:8.2f}"
            f"{time.busy:10.1f}{row['busy_ratio']:8.2f}",
            end="",
        )
        print(
            f"{macs:13.1f}{memory:9.1f}{row['share_of_floor']:12.0%}  "
            f"{'' if row[key] is None else f'{row[key]:.3g}'}"
        )
    return rows


def describe_rates(rates: dict[str, float]) -> str:
    """Describes the measured rates in one line."""
    half = f"{rates['bf16'] / 1e9:.0f} in bf16, " if "bf16" in rates else ""
    return (
        f"measured in between: {rates['fp32'] / 1e9:.0f} GMAC/s in fp32, "
        f"{half}{rates['bytes'] / 1e9:.1f} GB/s"
    )


def write_report(args: argparse.Namespace, subject: Subject, **facts: object) -> None:
    """Writes everything about the run to --json if that was given."""
    if args.json:
        options = {
            key: str(value) for key, value in vars(args).items() if key not in ("run", "json")
        }
        model = config_to_dict(subject.config)["model"]
        write_json(
            args.json, {"machine": subject.machine, "options": options, "model": model, **facts}
        )
