"""Draws the curves of a training run. Needs matplotlib (`pip install ava_det[report]`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ava_det.files import atomic_path


def draw_curves(log: str | Path, path: str | Path, scores: Mapping[str, str]) -> None:
    """Draws the curves of a run over its epochs, as a PNG.

    They are the loss, the learning rate, the speed with the share of waiting for data, and how good
    the model is.

    Args:
        log: The lines that a run wrote, log.jsonl.
        path: The PNG file.
        scores: Keys of lines that say how good the model is -> their names for people.

    Raises:
        ImportError: matplotlib is missing.
    """
    from matplotlib.figure import Figure

    lines = [json.loads(text) for text in Path(log).read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if "loss" in line]
    evaluations = [line for line in lines if set(scores) & set(line)]
    figure = Figure((11, 6.5))
    # a layout that is computed would draw everything twice, at each evaluation
    figure.subplots_adjust(0.085, 0.08, 0.99, 0.95, wspace=0.3, hspace=0.3)
    panels = figure.subplots(2, 2)
    for axes, name, heading in zip(
        panels.flat[:3],
        ("loss", "lr", "clips_per_second"),
        ("loss", "learning rate", "clips per second"),
        strict=True,
    ):
        axes.plot(*_curve(steps, name), linewidth=1)
        axes.set(title=heading, xlabel="epoch")
        axes.grid(alpha=0.3)
    if len({line["loss"] for line in steps}) > 1:
        panels[0, 0].set_yscale("log")
    waiting = panels[1, 0].twinx()
    waiting.plot(*_curve(steps, "data_wait"), "C1", linewidth=1)
    waiting.set(ylim=(0, 1), ylabel="share of waiting for data")
    for key, name in scores.items():
        if evaluations and key in evaluations[0]:
            panels[1, 1].plot(*_curve(evaluations, key), "o-")
            panels[1, 1].set(title=f"{name} on data.val")
            if f"ema_{key}" in evaluations[0]:
                label = {"label": "of the averaged weights"}
                panels[1, 1].plot(*_curve(evaluations, f"ema_{key}"), "s--", **label)
                panels[1, 1].legend()
    panels[1, 1].set(xlabel="epoch", ylim=(0, 1))
    panels[1, 1].grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _curve(lines: Sequence[dict[str, Any]], key: str) -> tuple[list[float], list[float]]:
    """Returns epochs and values of one key."""
    return [line["epoch"] for line in lines], [_number(line[key]) for line in lines]


def _number(value: Any) -> float:
    """Converts a value of the log; null stands for what was not a number."""
    return float("nan") if value is None else float(value)
