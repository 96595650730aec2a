"""Measures a network's forward pass in every form, beside what the machine can do at best.

This is `python -m benchmarks model`. The reference is the plain network, eager float32 in NCDHW
with the two pools of size one that PySlowFast runs after res2 added back, or with --against any
installed function. Weights are random, with the statistics of a batch.
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
from torch import Tensor

from ava_det.cli import Commands
from ava_det.config import config_to_dict
from ava_det.export import export_model, load_exported
from ava_det.models.build import to_device
from ava_det.models.inference_form import optimize_for_inference
from ava_det.operations.export import draw_inputs
from benchmarks.graph import RecordedNetwork
from benchmarks.growth import measure_growth, plot_growth
from benchmarks.machine import measure_in_turns
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
from benchmarks.profile import write_profile

OUR_FORMS = ("inference form fp32", "inference form bf16")
# name -> (precision, the network in that form)
Forms = dict[str, tuple[str, Callable[..., Tensor]]]


def add_model(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks model`."""
    parser = commands.add_parser(
        "model", help="a network's forward pass in every form, and the lower bound of its time"
    )
    add_network_options(parser, batch=1, boxes=4, size=256)
    parser.add_argument(
        "--runtimes",
        nargs="*",
        choices=("onnx", "openvino", "compile"),
        default=[],
        help="measure these too; compile is torch.compile, which takes minutes for a shape",
    )
    parser.add_argument(
        "--against", metavar="MODULE:FUNCTION", help="the reference: (slow, fast, rois) -> scores"
    )
    parser.add_argument(
        "--growth", type=Path, metavar="PNG", help="plot time and memory as the work grows"
    )
    parser.add_argument(
        "--profile", type=Path, metavar="MD", help="tables of layers and operators, inference form"
    )
    parser.set_defaults(run=benchmark_model)


def benchmark_model(args: argparse.Namespace) -> int:
    """Prints milliseconds, ratios, differences of scores and floors for each batch size.

    What is measured is written after each of them, and stays if a later one fails.
    """
    reference = load_function(args.against) if args.against else None
    subject = build_subject(args)
    with tempfile.TemporaryDirectory() as folder:
        forms = list_forms(subject, args.runtimes, Path(folder))
        ways: Forms = {"against": ("fp32", reference), **forms} if reference is not None else forms
        rows: list[dict[str, Any]] = []
        for batch in args.batch:
            rows += compare(subject, ways, batch, args)
            write_report(args, subject, rates=subject.rulers.rates(), rows=rows)
        ours = {name: form for name, (_, form) in forms.items() if name in OUR_FORMS}
        growth = (
            measure_growth(subject, {"plain fp32": forms["plain fp32"][1], **ours}, args)
            if args.growth
            else []
        )
        if args.profile:
            write_profile(subject, ours, args)
    rates = subject.rulers.rates()
    print(describe_rates(rates))
    if args.growth:
        machine = subject.machine
        plot_growth(
            args.growth,
            growth,
            f"{Path(args.config).stem}, {machine['cpu']}, {machine['threads']} threads",
        )
    write_report(args, subject, rates=rates, rows=rows, growth=growth)
    return 0


def load_function(name: str) -> Callable[..., Tensor]:
    """Imports a function.

    Args:
        name: `module:function`, as installed.

    Raises:
        ValueError: There is no such function.
    """
    module, _, attribute = name.partition(":")
    try:
        function: Callable[..., Tensor] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"--against: expected module:function of an installed module, received {name!r} "
            f"({error})"
        ) from None
    return function


def list_forms(subject: Subject, runtimes: list[str], folder: Path) -> Forms:
    """Builds every form of the subject's network that its device computes natively."""
    model = subject.model
    device = subject.device
    plain = with_identity_pools(model).to(device)
    channels_last = to_device(copy.deepcopy(model), device)
    forms: Forms = {
        "plain fp32": ("fp32", plain),
        "plain bf16": ("bf16", in_bfloat16(plain, device)),
        "channels last fp32": ("fp32", channels_last),
        "channels last bf16": ("bf16", in_bfloat16(channels_last, device)),
        "inference form fp32": ("fp32", optimize_for_inference(model, device)),
        "inference form bf16": ("bf16", optimize_for_inference(model, device, torch.bfloat16)),
    }
    fastest = subject.rulers.precisions[-1]
    if device.type == "cuda":
        form = f"inference form {fastest}"
        forms[f"{form}, CUDA graph"] = fastest, RecordedNetwork(forms[form][1])
    if "compile" in runtimes:  # for each shape anew: sizes left open make slower kernels
        compiled = torch.compile(to_device(copy.deepcopy(model), device), dynamic=False)
        network = in_bfloat16(compiled, device) if fastest == "bf16" else compiled
        forms[f"torch.compile {fastest}"] = fastest, network
    facts = {"config": config_to_dict(subject.config), "label_map": None, "precision": "fp32"}
    for runtime in (name for name in runtimes if name != "compile"):
        path = folder / {"onnx": "model.onnx", "openvino": "model.xml"}[runtime]
        export_model(model, [draw_inputs(subject.config, 2, 3)], path, runtime, "fp32", facts)
        for precision in subject.rulers.precisions if runtime == "openvino" else ("fp32",):
            forms[f"{runtime} {precision}"] = (
                precision,
                load_exported(path, runtime, device, precision),
            )
    return {name: form for name, form in forms.items() if form[0] in subject.rulers.precisions}


def in_bfloat16(network: Callable[..., Tensor], device: torch.device) -> Callable[..., Tensor]:
    """Wraps a network so that it runs under autocast."""

    def run(**inputs: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return network(**inputs)

    return run


def compare(
    subject: Subject, ways: Forms, batch: int, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Measures the ways in turns, the rulers among them; prints a table and returns its rows."""
    inputs: Inputs = place(
        draw_clip(subject.config, batch, batch * args.boxes, args.size), subject.device
    )
    runs = {name: partial(network, **inputs) for name, (_, network) in ways.items()}
    with torch.inference_mode():
        scores = {name: subject.score(run()) for name, run in runs.items() if name != "against"}
        times = measure_in_turns({**subject.rulers.ways(), **runs}, args.repeat, subject.device)
    changes = {
        name: float((score - scores["plain fp32"]).abs().max()) for name, score in scores.items()
    }
    floors = compute_floors(subject.config, batch, args.size, subject.rulers.rates())
    precisions = {name: precision for name, (precision, _) in ways.items()}
    return tabulate(batch, precisions, times, floors, "max_score_change", changes)
