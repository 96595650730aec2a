"""`tools/benchmark.py train`: one training step, forward to optimizer, beside the plain eager one.

The reference is the network in float32 and NCDHW with PySlowFast's two pools of size one and an optimizer that walks
the parameters; the other ways are what `train_ava.py` runs at precision=fp32 and precision=bf16.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ava_det.tools.benchmark_machine import (
    describe_machine,
    measure_in_turns,
    measure_kept_memory,
    measure_matrix_rate,
    write_json,
)
from ava_det.tools.benchmark_model import Inputs, build_random_model, draw_clip, place, with_identity_pools
from torch import nn
from torch.nn import functional as F

from ava_det.build import build_model, build_optimizer, prepare_torch, to_device
from ava_det.config import Config, load_config
from ava_det.models.cost import compute_cost

BACKWARD_AND_FORWARD = 3  # every product is made once forward and twice backward, for the input and for the weights


def add_train(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("train", help="one training step, against the plain eager one")
    parser.add_argument("--config", default="configs/ava/slowfast_r50_8x8.yaml", help="default: %(default)s")
    parser.add_argument("--batch", type=int, nargs="+", default=[2], help="clips a step (default: 2)")
    parser.add_argument("--boxes", type=int, default=2, help="persons a clip (default: %(default)s)")
    parser.add_argument("--size", type=int, default=224, help="pixels per side (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=5, help="take medians of so many rounds (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="key=value", help="config values, such as model.depth=50"
    )
    parser.set_defaults(run=benchmark_train)


def benchmark_train(args: argparse.Namespace) -> int:
    """Prints median milliseconds a step, ratios, floors and activations kept for each batch size."""
    config = load_config(args.config, args.set)
    device = prepare_torch(config)
    model = build_random_model(config)
    machine = describe_machine(device)
    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16}
    rates = {name: measure_matrix_rate(dtype, device) for name, dtype in dtypes.items()}
    with torch.device("meta"):
        gmacs = compute_cost(build_model(config), config.model.num_slow_frames, config.model.alpha, args.size).gmacs
    print(f"{machine['cpu']}, {machine.get('gpu', 'no GPU')}; {machine['threads']} threads, load {machine['load']}")
    rows: list[dict[str, Any]] = []
    for batch in args.batch:
        inputs = place(draw_clip(config, batch, batch * args.boxes, args.size), device)
        ways = list_steps(config, model, inputs, device)
        times = measure_in_turns({name: step for name, (_, step) in ways.items()}, args.repeat, device)
        first = next(iter(times))
        print(f"\nbatch {batch}: median of {args.repeat}, against {first!r}")
        print(f"{'':22}{'ms':>9}{'ratio':>8}{'floor: MACs':>13}{'kept MB':>10}")
        for name, (precision, step) in ways.items():
            kept = measure_kept_memory(step)
            floor = BACKWARD_AND_FORWARD * batch * gmacs * 1e12 / rates[precision]
            ratio = times[first] / times[name]
            print(f"{name:22}{times[name]:9.0f}{ratio:8.2f}{floor:13.0f}{kept:10.0f}")
            row = {
                "batch": batch,
                "way": name,
                "ms": times[name],
                "ratio": ratio,
                "floor_macs_ms": floor,
                "kept_mb": kept,
            }
            rows.append(row)
    if args.json:
        options = {key: str(value) for key, value in vars(args).items() if key != "run"}
        write_json(args.json, {"machine": machine, "gmac_per_s": rates, "options": options, "rows": rows})
    return 0


def list_steps(
    config: Config, model: nn.Module, inputs: Inputs, device: torch.device
) -> dict[str, tuple[str, Callable[[], None]]]:
    """Name -> (precision, a function that makes one step); every way has a model and an optimizer of its own."""
    plain = with_identity_pools(model).to(device)
    parameters = plain.parameters()
    walking = torch.optim.SGD(parameters, lr=1e-4, momentum=config.train.momentum, foreach=False, fused=False)
    ours = to_device(copy.deepcopy(model), device)
    config.train.lr = 1e-4  # nothing is learned from noise
    optimizer = build_optimizer(config, ours)
    placed = {
        name: value.contiguous(memory_format=torch.channels_last_3d) if value.ndim == 5 else value
        for name, value in inputs.items()
    }
    return {
        "plain fp32": ("fp32", lambda: make_step(plain, walking, inputs, "fp32")),
        "train_ava.py fp32": ("fp32", lambda: make_step(ours, optimizer, placed, "fp32")),
        "train_ava.py bf16": ("bf16", lambda: make_step(ours, optimizer, placed, "bf16")),
    }


def make_step(model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Inputs, precision: str) -> None:
    """Forward, binary cross-entropy against no action at all, backward, optimizer."""
    model.train()
    device = next(iter(inputs.values())).device
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits = model(**inputs)
    loss = F.binary_cross_entropy_with_logits(logits.float(), torch.zeros_like(logits, dtype=torch.float32))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
