"""Compares a video ViT with the plain eager form that published code runs, in time and memory.

This is `python -m benchmarks vit`. The floor is the time that its multiply-accumulates take at the
speed of a large matrix product, measured among the forms. Weights are random.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ava_det.cli import Commands
from ava_det.config import config_to_dict
from ava_det.export import export_model, load_exported
from ava_det.models.action_detector import ActionDetector
from ava_det.models.build import build_model
from ava_det.models.cost import compute_cost
from ava_det.models.inference_form import optimize_for_inference
from ava_det.operations.export import draw_inputs
from benchmarks.eager_vit import run_eager
from benchmarks.machine import measure_in_turns, measure_peak_memory
from benchmarks.network import (
    Floors,
    Inputs,
    Subject,
    add_network_options,
    build_subject,
    describe_rates,
    tabulate,
    write_report,
)

EAGER = "eager, as published"
OURS = "inference form"
Forms = dict[str, Callable[..., Tensor]]


def add_vit(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks vit`."""
    parser = commands.add_parser("vit", help="a video ViT beside the eager form of published code")
    add_network_options(parser, batch=1, boxes=4, size=256)
    parser.set_defaults(config="configs/ava/mmaction2/vit_b_videomae.yaml")
    parser.add_argument("--width", type=int, default=336, help="columns in pixels (336)")
    parser.add_argument("--openvino", action="store_true", help="measure OpenVINO too")
    parser.add_argument("--memory", action="store_true", help="measure the peak of memory instead")
    parser.set_defaults(run=benchmark_vit)


def benchmark_vit(args: argparse.Namespace) -> int:
    """Prints milliseconds, ratios, differences and floors, or the peaks of memory."""
    subject = build_subject(args)
    inputs = draw_wide_clip(subject, args)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        forms = list_forms(subject, Path(folder) if args.openvino else None)
        if args.memory:
            peaks = measure_peaks(forms, inputs, subject.device)
            write_report(args, subject, peaks=peaks)
            return 0
        runs = {name: partial(form, **inputs) for name, form in forms.items()}
        scores = {name: subject.score(run()) for name, run in runs.items()}
        times = measure_in_turns({**subject.rulers.ways(), **runs}, args.repeat, subject.device)
    changes = {name: float((score - scores[EAGER]).abs().max()) for name, score in scores.items()}
    rates = subject.rulers.rates()
    floors = compute_floor(subject, args, rates)
    precisions = dict.fromkeys(forms, "fp32")
    rows = tabulate(args.batch[0], precisions, times, floors, "max_score_change", changes)
    print(describe_rates(rates))
    write_report(args, subject, rates=rates, rows=rows)
    return 0


def draw_wide_clip(subject: Subject, args: argparse.Namespace) -> Inputs:
    """Draws clips of normal noise with boxes inside."""
    batch, height, width = args.batch[0], args.size, args.width
    generator = torch.Generator().manual_seed(0)
    shape = (batch, 3, subject.config.model.num_slow_frames, height, width)
    corners = torch.rand(batch * args.boxes, 2, 2, generator=generator).sort(dim=1).values
    boxes = (corners * torch.tensor([width, height])).flatten(1)
    clip_of = torch.arange(batch).repeat_interleave(args.boxes)[:, None]
    inputs = {
        "slow": torch.randn(shape, generator=generator),
        "rois": torch.cat((clip_of.float(), boxes), dim=1),
    }
    return {name: value.to(subject.device) for name, value in inputs.items()}


def list_forms(subject: Subject, folder: Path | None) -> Forms:
    """Builds the eager form, ours, and OpenVINO's where a folder for its file is given."""
    model = cast(ActionDetector, subject.model.to(subject.device))
    forms: Forms = {
        EAGER: partial(run_eager, model),
        OURS: optimize_for_inference(model, subject.device),
    }
    if folder is not None:
        facts = {"config": config_to_dict(subject.config), "label_map": None, "precision": "fp32"}
        path = folder / "model.xml"
        checks = [draw_inputs(subject.config, 2, 3, 64)]
        export_model(model, checks, path, "openvino", "fp32", facts)
        forms["openvino"] = load_exported(path, "openvino", subject.device, "fp32")
    return forms


def measure_peaks(forms: Forms, inputs: Inputs, device: torch.device) -> dict[str, float]:
    """Prints and returns the megabytes of each form beyond its weights and the clip."""
    peaks = {}
    for name, form in forms.items():
        peaks[name] = measure_peak_memory(partial(form, **inputs), device)
        print(f"{name}: {peaks[name]:.0f} MB beyond the weights and the clip", flush=True)
    return peaks


def compute_floor(subject: Subject, args: argparse.Namespace, rates: dict[str, float]) -> Floors:
    """Computes the milliseconds of the arithmetic alone, and of reading the weights once."""
    with torch.device("meta"):
        model = build_model(subject.config)
    cost = compute_cost(model, subject.config.model.clip_shapes(), args.size, args.width)
    macs = args.batch[0] * cost.gmacs * 1e12 / rates["fp32"]
    return {"fp32": (macs, cost.params_m * 4e9 / rates["bytes"])}
