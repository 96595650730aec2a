"""Counts multiply-accumulates and parameters of a network, stage by stage, without running it.

The network must be on the meta device, which keeps shapes and no values:

    with torch.device("meta"):
        model = build_model(config)
    cost = compute_cost(model, config.model.clip_shapes(), size=256)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ava_det.models.backbone import Backbone
from ava_det.models.long_term_head import LongTermDetector


@dataclass(frozen=True)
class StageCost:
    """Describes the cost of one part of a network.

    Attributes:
        name: Such as `slow.res4`; in a network of two streams `rgb.slow.res4`.
        output_shape: Shape of the output, without the batch; of tokens their width and then their
            grid (T, H, W), or their number where they do not fill the last grid.
        channels: Channels of the output.
        params_m: Parameters, in millions.
        gmacs: Multiply-accumulates, in billions.
    """

    name: str
    output_shape: list[int]
    channels: int
    params_m: float
    gmacs: float


@dataclass(frozen=True)
class ModelCost:
    """Describes the cost of a network.

    Attributes:
        gmacs: Billions of multiply-accumulates of backbone and head for one clip, and one box if
            the head reads boxes.
        params_m: All parameters, in millions.
        backbone_gmacs: The backbone's part of `gmacs`.
        per_stage: The parts of the network.
    """

    gmacs: float
    params_m: float
    backbone_gmacs: float
    per_stage: list[StageCost]


def compute_cost(
    model: nn.Module,
    clips: Mapping[str, tuple[int, int]],
    size: int = 256,
    width: int | None = None,
) -> ModelCost:
    """Counts the convolutions, linear layers and matrix products of one clip.

    Args:
        model: A network of `build_model` on the meta device. Its stages are the pathways' stem and
            res2..res5 and the lateral connections, or the children of another backbone, and the
            head; those of each stream where there are two.
        clips: What it reads, `slow`, `fast` and `flow` -> channels and frames.
        size: Rows of the clip, in pixels.
        width: Columns of the clip, in pixels; None for as many as rows.

    Raises:
        ValueError: The model is not on the meta device, or the clip is too small for it.
    """
    if any(not parameter.is_meta for parameter in model.parameters()):
        raise ValueError("compute_cost: expected a model built under torch.device('meta')")
    stages = {name: module for name, module in model.named_modules() if _is_stage(name)}
    shapes: dict[str, list[int]] = {}
    tokens = {
        f"{name}.{part}"
        for name, module in model.named_modules()
        if isinstance(module, Backbone)
        for part in module.token_parts
    }
    hooks = [
        module.register_forward_hook(
            lambda _m, _i, output, name=name: _record(shapes, name, output, name in tokens)
        )
        for name, module in stages.items()
    ]
    inputs = _make_inputs(model, clips, size, width or size)
    counter = FlopCounterMode(display=False)
    try:
        with _without_batch_norms(model), counter, torch.no_grad():
            model.eval()(**inputs)
    except RuntimeError as error:
        raise ValueError(
            f"size {size}: too small for this network ({str(error).splitlines()[0]})"
        ) from None
    finally:
        for hook in hooks:
            hook.remove()
    flops = counter.get_flop_counts()
    root = type(model).__name__

    def gmacs(name: str) -> float:
        return sum(flops.get(f"{root}.{name}", {}).values()) / 2e9

    per_stage = [
        StageCost(shorten_name(name), shape, shape[0], _params_m(stages[name]), gmacs(name))
        for name, shape in shapes.items()
    ]
    of_backbones = sum(gmacs(name) for name in ("backbone", "rgb.backbone", "flow.backbone"))
    return ModelCost(counter.get_total_flops() / 2e9, _params_m(model), of_backbones, per_stage)


def _make_inputs(
    model: nn.Module, clips: Mapping[str, tuple[int, int]], height: int, width: int
) -> dict[str, Tensor]:
    """Makes one clip of each kind, one box, and a bank where the head reads one."""
    inputs = {
        name: torch.empty(1, channels, frames, height, width, device="meta")
        for name, (channels, frames) in clips.items()
    }
    inputs["rois"] = torch.empty(1, 5, device="meta")
    if isinstance(model, LongTermDetector):
        head = model.head
        inputs["long_term"] = torch.empty(1, head.num_places, head.bank_channels, device="meta")
    return inputs


@contextmanager
def _without_batch_norms(model: nn.Module) -> Iterator[None]:
    """Passes batch norms by: they keep the shape, multiply nothing, and take most of the time."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.forward = nn.Identity().forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _is_stage(name: str) -> bool:
    """Lists the parts of a network: of two pathways each has its own, other backbones are one."""
    first, *inner = [part for part in name.split(".") if part not in ("rgb", "flow")] or [""]
    if first != "backbone":
        return first == "head" and not inner
    is_pathway = bool(inner) and inner[0] in ("slow", "fast", "laterals")
    return len(inner) == (2 if is_pathway else 1)


def shorten_name(name: str) -> str:
    """Returns the name of a part of a network as tables show it, such as `slow.res4`."""
    return name.replace("backbone.", "").replace("laterals", "lateral")


def _record(shapes: dict[str, list[int]], name: str, output: Tensor, is_tokens: bool) -> None:
    """Notes the shape of a stage's output, channels first."""
    shape = list(output.shape[1:])
    if is_tokens:
        grid = shape[:-1]
        # tokens in one row have the grid of the patches before them, unless one more stands first
        before = next(reversed(shapes.values()))[1:] if shapes else []
        grid = before if len(grid) == 1 and math.prod(before) == grid[0] else grid
        shape = [shape[-1], *grid]
    shapes[name] = shape


def _params_m(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6
