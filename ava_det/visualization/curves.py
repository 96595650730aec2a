"""Draws the curves of a training run. Needs matplotlib (`pip install ava_det[report]`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ava_det.files import atomic_path

# the number of an evaluation that says how good the model is -> its name in the picture
SCORES = {"mAP": "frame mAP", "top1": "top-1", "AP": "person AP"}


def draw_curves(log: str | Path, path: str | Path) -> None:
    """Draws the curves of a run over its epochs, as a PNG.

    They are the loss, the learning rate, the speed with the share of waiting for data, and mAP,
    top-1 or a person detector's AP.

    Args:
        log: The lines that a run wrote, log.jsonl.
        path: The PNG file.

    Raises:
        ImportError: matplotlib is missing.
    """
    from matplotlib.figure import Figure

    lines = [json.loads(text) for text in Path(log).read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if "loss" in line]
    scores = [line for line in lines if set(SCORES) & set(line)]
    figure = Figure((11, 6.5), layout="constrained")
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
    key = next((key for key in SCORES if scores and key in scores[0]), "mAP")
    panels[1, 1].plot(*_curve(scores, key), "o-")
    panels[1, 1].set(title=f"{SCORES[key]} on data.val", xlabel="epoch", ylim=(0, 1))
    panels[1, 1].grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _curve(lines: Sequence[dict[str, Any]], key: str) -> tuple[list[float], list[float]]:
    """Returns epochs and values of one key."""
    return [line["epoch"] for line in lines], [_number(line[key]) for line in lines]


def _number(value: Any) -> float:
    """Converts a value of the log; null stands for what was not a number."""
    return float("nan") if value is None else float(value)
