"""`tools/benchmark.py model`: a network's forward pass in every form there is, beside what the machine can do at best.

The reference is the plain network, eager float32 in NCDHW with the two pools of size one that PySlowFast runs after
res2 added back, or with --against any installed function. Weights are random, with the statistics of a batch.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ava_det.tools.benchmark_machine import (
    describe_machine,
    measure_bandwidth,
    measure_in_turns,
    measure_matrix_rate,
    measure_peak_memory,
    write_json,
)
from ava_det.tools.export_model import draw_inputs
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.build import build_model, prepare_torch, to_device
from ava_det.config import Config, config_to_dict, load_config
from ava_det.exported import export_model, load_exported
from ava_det.models.cost import compute_cost
from ava_det.models.inference_form import optimise_for_inference

Inputs = dict[str, Tensor]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
GROWTH = {"batch": (1, 2, 4), "boxes": (1, 10, 100), "frames": (0.5, 1, 2), "size": (128, 192, 256)}


def add_model(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("model", help="a network's forward pass in every form, and the floor beneath it")
    parser.add_argument("--config", default="configs/ava/slowfast_r50_8x8.yaml", help="default: %(default)s")
    parser.add_argument("--batch", type=int, nargs="+", default=[1], help="clips at a time (default: 1)")
    parser.add_argument("--boxes", type=int, default=4, help="persons a clip (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="pixels per side (default: %(default)s)")
    parser.add_argument("--runtimes", nargs="*", choices=("onnx", "openvino"), default=[], help="measure these too")
    parser.add_argument("--against", metavar="MODULE:FUNCTION", help="the reference: (slow, fast, rois) -> scores")
    parser.add_argument("--growth", type=Path, metavar="PNG", help="plot time and memory as the work grows")
    parser.add_argument("--repeat", type=int, default=5, help="take medians of so many rounds (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="key=value", help="config values, such as model.depth=50"
    )
    parser.set_defaults(run=benchmark_model)


def benchmark_model(args: argparse.Namespace) -> int:
    """Prints median milliseconds, ratios, differences of scores and floors for each batch size."""
    config = load_config(args.config, args.set)
    device = prepare_torch(config)
    reference = load_function(args.against) if args.against else None
    model = build_random_model(config)
    machine = describe_machine(device)
    rates = {name: measure_matrix_rate(dtype, device) for name, dtype in DTYPES.items()}
    bandwidth = measure_bandwidth(device)
    print(f"{machine['cpu']}, {machine.get('gpu', 'no GPU')}; {machine['threads']} threads, load {machine['load']}")
    print(f"GMAC/s: fp32 {rates['fp32'] / 1e9:.0f}, bf16 {rates['bf16'] / 1e9:.0f}; {bandwidth / 1e9:.1f} GB/s")
    with tempfile.TemporaryDirectory() as folder:
        forms = list_forms(config, model, device, args.runtimes, Path(folder))
        ways = {"against": ("fp32", reference), **forms} if reference is not None else forms
        rows = []
        for batch in args.batch:
            inputs = place(draw_clip(config, batch, batch * args.boxes, args.size), device)
            floors = compute_floors(config, batch, args.size, rates, bandwidth)
            rows += compare(ways, inputs, floors, batch, args.repeat, device)
        growth = measure_growth(config, forms, args, device) if args.growth else []
    if args.growth:
        plot_growth(args.growth, growth, f"{Path(args.config).stem}, {machine['cpu']}, {machine['threads']} threads")
    if args.json:
        options = {key: str(value) for key, value in vars(args).items() if key != "run"}
        facts = {"machine": machine, "gmac_per_s": rates, "bytes_per_s": bandwidth, "options": options}
        write_json(args.json, {**facts, "rows": rows, "growth": growth, "model": config_to_dict(config)["model"]})
    return 0


def load_function(name: str) -> Callable[..., Tensor]:
    """`module:function`, as installed. Raises ValueError where there is none."""
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"--against: expected module:function of an installed module, received {name!r} ({error})"
        ) from None
    return function


def build_random_model(config: Config) -> nn.Module:
    """The config's network with batch norms as after training: the statistics of a small random batch, and a small
    scale where they close a residual branch, or activations would explode with depth."""
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
    """Normal noise of size x size pixels, boxes anywhere."""
    inputs = draw_inputs(config, batch, boxes, size)
    return {name: value if name == "rois" else value[..., :size].contiguous() for name, value in inputs.items()}


def place(inputs: Inputs, device: torch.device) -> Inputs:
    return {name: value.to(device) for name, value in inputs.items()}


def with_identity_pools(model: nn.Module) -> nn.Module:
    """A copy that pools each pathway by one after res2, which moves memory and changes nothing."""
    model = copy.deepcopy(model)
    for name, module in model.named_modules():
        if name.endswith(".res2"):
            module.register_forward_hook(lambda _module, _inputs, output: F.max_pool3d(output, 1, 1))
    return model


def list_forms(
    config: Config, model: nn.Module, device: torch.device, runtimes: list[str], folder: Path
) -> dict[str, tuple[str, Callable[..., Tensor]]]:
    """Name -> (precision, the network in that form)."""
    channels_last = to_device(copy.deepcopy(model), device)

    def autocast(**inputs: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return channels_last(**inputs)

    forms: dict[str, tuple[str, Callable[..., Tensor]]] = {
        "plain fp32": ("fp32", with_identity_pools(model).to(device)),
        "channels last fp32": ("fp32", channels_last),
        "channels last bf16": ("bf16", autocast),
        "inference form fp32": ("fp32", optimise_for_inference(model, device)),
        "inference form bf16": ("bf16", optimise_for_inference(model, device, torch.bfloat16)),
    }
    facts = {"config": config_to_dict(config), "label_map": None, "precision": "fp32"}
    for runtime in runtimes:
        path = folder / {"onnx": "model.onnx", "openvino": "model.xml"}[runtime]
        export_model(model, [draw_inputs(config, 2, 3)], path, runtime, "fp32", facts)
        for precision in ("fp32", "bf16") if runtime == "openvino" else ("fp32",):
            forms[f"{runtime} {precision}"] = precision, load_exported(path, runtime, device, precision)
    return forms


def compute_floors(
    config: Config, batch: int, size: int, rates: dict[str, float], bandwidth: float
) -> dict[str, tuple[float, float]]:
    """Precision -> milliseconds that the arithmetic alone and the memory alone would take."""
    with torch.device("meta"):
        model = build_model(config)
    cost = compute_cost(model, config.model.num_slow_frames, config.model.alpha, size)
    values = count_values(model, config, batch, size)
    return {
        name: (batch * cost.gmacs * 1e12 / rates[name], values * dtype.itemsize * 1e3 / bandwidth)
        for name, dtype in DTYPES.items()
    }


def count_values(model: nn.Module, config: Config, batch: int, size: int) -> int:
    """Numbers that must move when every convolution reads its input and weights once and writes its output once, with
    norm, sum and ReLU done on the way. model: on the meta device."""
    count = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal count
        count += inputs[0].numel() + output.numel() + sum(parameter.numel() for parameter in module.parameters())

    for module in model.modules():
        if isinstance(module, nn.Conv3d | nn.Linear):
            module.register_forward_hook(add)
    with torch.no_grad():
        model.eval()(**{name: value.to("meta") for name, value in draw_clip(config, batch, batch, size).items()})
    return count


def compare(
    ways: dict[str, tuple[str, Callable[..., Tensor]]],
    inputs: Inputs,
    floors: dict[str, tuple[float, float]],
    batch: int,
    repeat: int,
    device: torch.device,
) -> list[dict[str, Any]]:
    """Measures the ways in turns, prints a table and returns its rows; the first way is the reference."""
    with torch.inference_mode():
        scores = {name: network(**inputs).float().sigmoid() for name, (_, network) in ways.items() if name != "against"}
        times = measure_in_turns(
            {name: partial(network, **inputs) for name, (_, network) in ways.items()}, repeat, device
        )
    first = next(iter(times))
    print(f"\nbatch {batch}: median of {repeat}, against {first!r}")
    print(f"{'':22}{'ms':>9}{'ratio':>8}{'floor: MACs':>13}{'memory':>9}{'max change of a score':>24}")
    rows = []
    for name, (precision, _) in ways.items():
        change = float((scores[name] - scores["plain fp32"]).abs().max()) if name in scores else None
        macs, memory = floors[precision]
        shown = "" if change is None else f"{change:.1e}"
        print(f"{name:22}{times[name]:9.1f}{times[first] / times[name]:8.2f}{macs:13.1f}{memory:9.1f}{shown:>24}")
        row = {"batch": batch, "form": name, "ms": times[name], "ratio": times[first] / times[name]}
        rows.append({**row, "floor_macs_ms": macs, "floor_memory_ms": memory, "max_score_change": change})
    return rows


def measure_growth(
    config: Config, forms: dict[str, tuple[str, Callable[..., Tensor]]], args: argparse.Namespace, device: torch.device
) -> list[dict[str, Any]]:
    """Time and peak memory of the plain network and of both forms for inference as one quantity grows at a time."""
    chosen = {name: forms[name][1] for name in ("plain fp32", "inference form fp32", "inference form bf16")}
    rows = []
    for quantity, values in GROWTH.items():
        for value in values:
            work = {"batch": 1, "boxes": args.boxes, "frames": 1, "size": args.size, quantity: value}
            grown = copy.deepcopy(config)
            grown.model.num_slow_frames = max(1, round(config.model.num_slow_frames * work["frames"]))
            inputs = place(draw_clip(grown, work["batch"], work["batch"] * work["boxes"], work["size"]), device)
            with torch.inference_mode():
                ways = {name: partial(network, **inputs) for name, network in chosen.items()}
                times = measure_in_turns(ways, args.repeat, device)
                for name, way in ways.items():
                    peak = measure_peak_memory(way, device)
                    rows.append(
                        {"quantity": quantity, "value": value, "form": name, "ms": times[name], "peak_mb": peak}
                    )
    return rows


def plot_growth(path: Path, rows: list[dict[str, Any]], title: str) -> None:
    """Two rows of four small plots: milliseconds and megabytes against each quantity."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(GROWTH), figsize=(13, 6), layout="constrained")
    labels = {
        "batch": "clips",
        "boxes": "boxes a clip",
        "frames": "frames, in parts of the config's",
        "size": "pixels a side",
    }
    for column, quantity in enumerate(GROWTH):
        for row, (key, unit) in enumerate((("ms", "milliseconds"), ("peak_mb", "peak memory, MB"))):
            axis = axes[row, column]
            for form in dict.fromkeys(item["form"] for item in rows):
                points = [(r["value"], r[key]) for r in rows if r["quantity"] == quantity and r["form"] == form]
                axis.plot(*zip(*points, strict=True), marker="o", label=form)
            axis.set(
                xlabel=labels[quantity], ylabel=unit, ylim=(0, None), xscale="log" if quantity == "boxes" else "linear"
            )
    axes[0, 0].legend()
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)
