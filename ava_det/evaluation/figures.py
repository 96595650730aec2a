"""Draws the figures of the evaluation report as SVG text.

Needs matplotlib (`pip install ava_det[report]`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ava_det.evaluation.diagnosis import CAUSES, Diagnosis
from ava_det.evaluation.frame_map import ClassRanks, compute_precisions
from ava_det.evaluation.metrics import ClassResult, compute_gains

BLUE = "#2f6db3"
LIGHT = "#c9dcf0"
ORANGE = "#e08a2e"
GREEN = "#3a9d6a"
GRAY = "#6b7280"
RED = "#c4453c"
GROUP_COLORS = {
    "person movement": BLUE,
    "object manipulation": ORANGE,
    "person interaction": GREEN,
}
MAX_CURVE_POINTS = 200
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9ca3af",
    "axes.axisbelow": True,
    "grid.color": "#e5e7eb",
    "svg.fonttype": "none",  # text stays text: small, sharp, searchable
}


def draw_class_bars(
    per_class: Mapping[int, ClassResult],
    groups: Mapping[int, str],
    bound: Mapping[int, ClassResult] | None,
) -> str:
    """Draws the AP of every class with ground truth as bars, best first, with its number of boxes.

    Args:
        per_class: Action id -> its result.
        groups: Action id -> group name, which chooses the color.
        bound: The same of a result on ground-truth boxes, drawn as ticks; None for no ticks.
    """
    shown = sorted(
        (key for key, row in per_class.items() if row.ap is not None),
        key=lambda key: per_class[key].ap or 0.0,
    )
    values = [per_class[key].ap or 0.0 for key in shown]
    with matplotlib.rc_context(STYLE):
        figure = Figure((9, 1.1 + 0.21 * len(shown)))
        axes = figure.subplots()
        colors = [GROUP_COLORS.get(groups.get(key, ""), BLUE) for key in shown]
        axes.barh(range(len(shown)), values, color=colors, height=0.72)
        reach = list(values)
        if bound is not None:
            limits = [(bound[key].ap if key in bound else None) or 0.0 for key in shown]
            axes.plot(
                limits,
                range(len(shown)),
                "|",
                color="black",
                markersize=8,
                label="with ground-truth boxes",
            )
            axes.legend(loc="lower right", frameon=False)
            reach = [max(pair) for pair in zip(values, limits, strict=True)]
        for place, (key, value, end) in enumerate(zip(shown, values, reach, strict=True)):
            text = f"{value:.3f}  ({per_class[key].num_gt:,} boxes)"
            axes.text(end + 0.008, place, text, va="center", fontsize=7.5, color=GRAY)
        axes.set_yticks(range(len(shown)), [per_class[key].name for key in shown])
        axes.set_xlim(0, min(1.0, max([*reach, 0.1])) * 1.18)
        axes.set_ylim(-0.7, len(shown) - 0.3)
        axes.set_xlabel("average precision")
        axes.grid(axis="x")
        return _to_svg(figure, "bars")


def draw_losses(diagnosis: Diagnosis, mean_ap: float) -> str:
    """Draws mAP and what correcting one kind of error would add to it, as bars.

    Args:
        diagnosis: What each kind of error costs.
        mean_ap: mAP as it is.
    """
    causes = list(CAUSES)[::-1]
    gains = [max(diagnosis.gains[cause], 0.0) for cause in causes]
    with matplotlib.rc_context(STYLE):
        figure = Figure((9, 2.6))
        axes = figure.subplots()
        axes.barh(causes, [mean_ap] * len(causes), color=LIGHT, height=0.65, label="mAP as it is")
        axes.barh(
            causes,
            gains,
            left=mean_ap,
            color=RED,
            height=0.65,
            label="gained if these errors were fixed",
        )
        for place, (cause, gain) in enumerate(zip(causes, gains, strict=True)):
            noun = "persons" if cause == "missed person" else "rows"
            text = f"+{gain:.4f}  ({diagnosis.num_errors[cause]:,} {noun})"
            axes.text(mean_ap + gain + 0.006, place, text, va="center", fontsize=8.5, color=GRAY)
        axes.set_xlim(0, (mean_ap + max([*gains, 0.05])) * 1.25)
        axes.set_xlabel("mAP")
        axes.grid(axis="x")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=2, frameon=False)
        return _to_svg(figure, "losses")


def draw_curves(classes: Sequence[tuple[str, ClassRanks]], columns: int = 6) -> str:
    """Draws precision over recall of every class with ground truth.

    The line is precision as measured, the area is precision made monotone. All curves are in one
    pair of axes, each moved into its own unit square: a grid of axes is slow to draw.

    Args:
        classes: Name and ranking of each class.
        columns: Curves side by side.
    """
    shown = [(name, ranks) for name, ranks in classes if ranks.num_gt]
    lines = max(-(-len(shown) // columns), 1)
    with matplotlib.rc_context(STYLE):
        figure = Figure((9.6, 1.55 * lines))
        axes = figure.add_axes((0.04, 0.02, 0.95, 0.97))
        for place, (name, ranks) in enumerate(shown):
            left = 1.22 * (place % columns)
            bottom = -1.45 * (place // columns)
            hits = np.arange(1, len(ranks.ranks) + 1)
            chosen = np.unique(np.linspace(0, max(len(hits) - 1, 0), MAX_CURVE_POINTS).astype(int))[
                : len(hits)
            ]
            recall = left + hits / ranks.num_gt
            raw = bottom + hits / ranks.ranks.cpu().numpy()
            monotone = bottom + compute_precisions(ranks.ranks).cpu().numpy()
            axes.plot(
                [left, left, left + 1], [bottom + 1, bottom, bottom], color="#9ca3af", linewidth=0.7
            )
            axes.fill_between(
                recall[chosen], monotone[chosen], bottom, step="pre", color=LIGHT, linewidth=0
            )
            axes.plot(recall[chosen], raw[chosen], color=BLUE, linewidth=0.9)
            short = name if len(name) < 27 else f"{name[:25]}…"
            axes.text(left + 0.5, bottom + 1.04, short, ha="center", va="bottom", fontsize=7)
        bottom = -1.45 * (lines - 1)
        for value in (0, 1):
            axes.text(
                value, bottom - 0.04, str(value), ha="center", va="top", fontsize=6, color=GRAY
            )
            axes.text(
                -0.03, bottom + value, str(value), ha="right", va="center", fontsize=6, color=GRAY
            )
        axes.text(0.5, bottom - 0.04, "recall", ha="center", va="top", fontsize=6.5, color=GRAY)
        axes.text(
            -0.05,
            bottom + 0.5,
            "precision",
            ha="right",
            va="center",
            rotation=90,
            fontsize=6.5,
            color=GRAY,
        )
        axes.set(xlim=(-0.15, 1.22 * columns - 0.2), ylim=(bottom - 0.25, 1.3))
        axes.set_axis_off()
        return _to_svg(figure, "curves", tight=False)


def draw_gains(per_class: Mapping[int, ClassResult], other: Mapping[int, ClassResult]) -> str:
    """Draws AP minus the other result's AP, class by class, largest gain first.

    Args:
        per_class: Action id -> its result.
        other: The same of the result to compare with.
    """
    gains = compute_gains(per_class, other)
    shown = sorted(gains, key=lambda key: -gains[key])
    values = [gains[key] for key in shown]
    with matplotlib.rc_context(STYLE):
        figure = Figure((9.6, 4.2))
        axes = figure.subplots()
        axes.bar(
            range(len(shown)),
            values,
            color=[GREEN if value >= 0 else RED for value in values],
            width=0.75,
        )
        axes.axhline(0, color=GRAY, linewidth=0.8)
        axes.set_xticks(
            range(len(shown)), [per_class[key].name for key in shown], rotation=90, fontsize=7.5
        )
        axes.set_xlim(-0.7, max(len(shown), 1) - 0.3)
        axes.set_ylabel("gain in AP")
        axes.grid(axis="y")
        return _to_svg(figure, "gains")


def _to_svg(figure: Figure, name: str, tight: bool = True) -> str:
    """Returns SVG text whose ids begin with `name`, so that several figures can be on one page."""
    buffer = io.StringIO()
    if tight:
        figure.tight_layout()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    return re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
