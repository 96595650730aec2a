"""What log.jsonl says, as a picture. Needs matplotlib (`pip install ava_det[report]`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ava_det.files import atomic_path


def draw_curves(log: str | Path, path: str | Path) -> None:
    """Loss, learning rate, mAP or top-1, and speed with the share of waiting for data, over epochs,
    as a PNG.

    log: the lines a run wrote. Raises ImportError where matplotlib is missing.
    """
    from matplotlib.figure import Figure

    lines = [json.loads(text) for text in Path(log).read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if "loss" in line]
    scores = [line for line in lines if {"mAP", "top1"} & set(line)]
    key, title = (
        ("top1", "top-1 on data.val")
        if scores and "top1" in scores[0]
        else ("mAP", "frame mAP on data.val")
    )
    figure = Figure((11, 6.5), layout="constrained")
    panels = figure.subplots(2, 2)
    for axes, name, heading in zip(
        panels.flat[:3],
        ("loss", "lr", "clips_per_second"),
        ("loss", "learning rate", "clips per second"),
        strict=True,
    ):
        axes.plot(
            [line["epoch"] for line in steps], [_number(line[name]) for line in steps], linewidth=1
        )
        axes.set(title=heading, xlabel="epoch")
        axes.grid(alpha=0.3)
    if len({line["loss"] for line in steps}) > 1:
        panels[0, 0].set_yscale("log")
    waiting = panels[1, 0].twinx()
    waiting.plot(
        [line["epoch"] for line in steps],
        [_number(line["data_wait"]) for line in steps],
        "C1",
        linewidth=1,
    )
    waiting.set(ylim=(0, 1), ylabel="share of waiting for data")
    panels[1, 1].plot(
        [line["epoch"] for line in scores], [_number(line[key]) for line in scores], "o-"
    )
    panels[1, 1].set(title=title, xlabel="epoch", ylim=(0, 1))
    panels[1, 1].grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _number(value: Any) -> float:
    """null stands for what was no number."""
    return float("nan") if value is None else float(value)
