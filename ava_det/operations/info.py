"""Does what `ava-det info` does: formats the stages, sizes and costs of a network."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

import torch
from torch import nn

from ava_det.config import Config, load_config
from ava_det.config.model import ModelConfig
from ava_det.config.networks import BACKBONES, FAMILIES
from ava_det.models.backbone import Backbone
from ava_det.models.build import build_model
from ava_det.models.cost import ModelCost, compute_cost, shorten_name
from ava_det.models.resnet3d import Bottleneck, Stage, Stem
from ava_det.models.slowfast import LateralConnection


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det info` and returns its exit code."""
    if args.size < 32:
        raise ValueError(f"--size: expected at least 32 pixels, received {args.size}")
    config = load_config(args.config, args.overrides)
    with torch.device("meta"):
        model = build_model(config)
    cost = compute_cost(model, config.model.clip_shapes(), args.size)
    print(
        json.dumps(dataclasses.asdict(cost))
        if args.json
        else format_table(config, model, cost, args.size)
    )
    return 0


def format_table(config: Config, model: nn.Module, cost: ModelCost, size: int) -> str:
    """Formats the stages in the order they run, with layers, output, parameters and cost."""
    names = {shorten_name(name): module for name, module in model.named_modules()}
    rows = [("stage", "layers", "output C x T x H x W", "params M", "GMACs")]
    tokens = [
        shorten_name(f"{name}.{part}")
        for name, module in model.named_modules()
        if isinstance(module, Backbone)
        for part in module.token_parts
    ]
    of_heads = sum(s.params_m for s in cost.per_stage if s.name.split(".")[-1] == "head")
    for stage in cost.per_stage:
        width, *grid = map(str, stage.output_shape)
        is_tokens = stage.name in tokens
        shape = f"{' x '.join(grid)} tokens of {width}" if is_tokens else " x ".join([width, *grid])
        layers = describe_layers(names[stage.name])
        rows.append((stage.name, layers, shape, f"{stage.params_m:.3f}", f"{stage.gmacs:.3f}"))
    rows.append(
        (
            "backbone",
            "",
            "",
            f"{cost.params_m - of_heads:.3f}",
            f"{cost.backbone_gmacs:.2f}",
        )
    )
    rows.append(("all", "", "", f"{cost.params_m:.3f}", f"{cost.gmacs:.2f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        "  ".join(
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in cells
        ).rstrip()
        for cells in (list(enumerate(zip(row, widths, strict=True))) for row in rows)
    ]
    rule = "-" * max(map(len, lines))
    return "\n".join([_title(config, size), rule, lines[0], rule, *lines[1:-2], rule, *lines[-2:]])


def describe_layers(module: nn.Module) -> str:
    """Describes kernels as T x S^2 and channels, in the paper's notation."""
    if isinstance(module, Stem):
        return (
            f"{module.conv.kernel_size[0]}x7^2, {module.conv.out_channels}, stride 1,2^2; max "
            "pool 1x3^2, stride 1,2^2"
        )
    if isinstance(module, Stage):
        blocks = [block for block in module.blocks if isinstance(block, Bottleneck)]
        first = blocks[0]
        times = [int(block.a.kernel_size[0]) for block in blocks]
        kernels = (
            ",".join(map(str, times)) if len(set(times)) > 1 and len(times) < 7 else _runs(times)
        )
        block = (
            f"[{kernels}x1^2, {first.a.out_channels}; 1x3^2, {first.b.out_channels}; 1x1^2, "
            f"{first.c.out_channels}]"
        )
        extra = f" + non-local after {','.join(module.non_local)}" if module.non_local else ""
        dilated = f", dilation {first.b.dilation[1]}" if int(first.b.dilation[1]) > 1 else ""
        return (
            f"{block} x{len(times)}{dilated}{extra}{'; max pool 2x1^2' if module.time_pool else ''}"
        )
    if isinstance(module, LateralConnection):
        if module.kind == "t_conv":
            return (
                f"T-conv {module.conv.kernel_size[0]}x1^2, {module.added_channels}, stride "
                f"{module.alpha},1^2"
            )
        return f"{module.kind.replace('_', '-')}, {module.added_channels or 'no'} channels added"
    if isinstance(module, nn.LayerNorm):
        return f"LayerNorm, {module.normalized_shape[0]}"
    found: list[Any] = [m for m in module.modules() if hasattr(m, "num_heads")]
    heads = [int(attention.num_heads) for attention in found]
    if heads:
        counts = "-".join(map(str, dict.fromkeys(heads)))
        return f"{len(heads)} blocks of attention with {counts} heads, and MLP"
    convolutions = [
        f"{m.kernel_size[0]}x{m.kernel_size[1]}^2, {m.out_channels}"
        for m in module.modules()
        if isinstance(m, nn.Conv3d)
    ]
    if not convolutions:
        return "pool, dropout, linear"
    listed = list(dict.fromkeys(convolutions))
    more = f" and {len(listed) - 4} more kinds" if len(listed) > 4 else ""
    return f"{len(convolutions)} convolutions: {'; '.join(listed[:4])}{more}"


def _runs(times: list[int]) -> str:
    """Joins equal neighbors: 3 3 3 1 1 -> 3(x3),1(x2); a single run is just its number."""
    values = [time for index, time in enumerate(times) if index == 0 or times[index - 1] != time]
    if len(values) == 1:
        return str(values[0])
    counts = {value: times.count(value) for value in values}
    return ",".join(f"{value}(x{count})" for value, count in counts.items())


def _title(config: Config, size: int) -> str:
    model = config.model
    streams = [_describe_stream(name, one) for name, one in model.split_streams().items()]
    joined = f" + {model.flow.fusion} fusion" if len(streams) == 2 else ""
    return f"{' + '.join(streams)}{joined}, clip {size} x {size}, {model.num_classes} classes"


def _describe_stream(name: str, model: ModelConfig) -> str:
    """Describes backbone and clip of one stream."""
    fast = (
        f", alpha {model.alpha}, beta 1/{model.beta_inv}"
        if "fast" in FAMILIES[model.backbone].clips
        else ""
    )
    depth = f" R{model.depth}" if model.backbone in BACKBONES else ""
    of_flow = f" of {model.in_channels} channels of flow" if name == "flow" else ""
    grid = f"T x tau = {model.num_slow_frames} x {model.slow_stride}"
    return f"{model.backbone}{depth}{of_flow}, {grid}{fast}"
