"""Measures time and memory as clips, boxes, frames and pixels grow.

This is `python -m benchmarks model --growth`.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.machine import measure_in_turns, measure_peak_memory
from benchmarks.network import Subject, draw_clip, place

GROWTH = {"batch": (1, 2, 4), "boxes": (1, 10, 100), "frames": (0.5, 1, 2), "size": (128, 192, 256)}
AXES = {
    "batch": "clips",
    "boxes": "boxes a clip",
    "frames": "frames, in parts of the config's",
    "size": "pixels a side",
}


def measure_growth(
    subject: Subject, forms: dict[str, Callable[..., Tensor]], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Measures time and peak memory of some forms as one quantity grows at a time.

    Args:
        subject: What is measured.
        forms: Name -> network.
        args: The options of the command, which say how large the other quantities are.

    Returns:
        A row for each quantity, value and form.
    """
    config = subject.config
    device = subject.device
    rows = []
    for quantity, values in GROWTH.items():
        for value in values:
            work = {
                "batch": 1,
                "boxes": args.boxes,
                "frames": 1,
                "size": args.size,
                quantity: value,
            }
            grown = copy.deepcopy(config)
            grown.model.num_slow_frames = max(
                1, round(config.model.num_slow_frames * work["frames"])
            )
            inputs = place(
                draw_clip(grown, work["batch"], work["batch"] * work["boxes"], work["size"]), device
            )
            with torch.inference_mode():
                ways = {name: partial(network, **inputs) for name, network in forms.items()}
                times = measure_in_turns(ways, args.repeat, device)
                for name, way in ways.items():
                    row = {
                        "quantity": quantity,
                        "value": value,
                        "form": name,
                        "ms": times[name].wall,
                    }
                    row |= {
                        "busy_ms": times[name].busy,
                        "peak_mb": measure_peak_memory(way, device),
                    }
                    rows.append(row)
    return rows


def plot_growth(path: Path, rows: list[dict[str, Any]], title: str) -> None:
    """Plots milliseconds and megabytes against each quantity, in two rows of four plots."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(GROWTH), figsize=(13, 6), layout="constrained")
    for column, quantity in enumerate(GROWTH):
        for row, (key, unit) in enumerate(
            (("busy_ms", "busy milliseconds"), ("peak_mb", "peak memory, MB"))
        ):
            axis = axes[row, column]
            for form in dict.fromkeys(item["form"] for item in rows):
                points = [
                    (r["value"], r[key])
                    for r in rows
                    if r["quantity"] == quantity and r["form"] == form
                ]
                axis.plot(*zip(*points, strict=True), marker="o", label=form)
            scale = "log" if quantity == "boxes" else "linear"
            axis.set(xlabel=AXES[quantity], ylabel=unit, ylim=(0, None), xscale=scale)
    axes[0, 0].legend()
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)
