"""Draws accuracy against cost, as Figure 2 of the SlowFast paper does, for Kinetics-400 and AVA.

    python -m studies.plot_tradeoff --output tradeoff.png

Across: GMACs of one clip, a square of the short side that its config tests at, counted on our own
networks where a row names a config, else as published. Up: published accuracy in gray, and what we
measured ourselves in color, from studies/literature.csv, which also holds the systems of the
comparison tables (those without a published cost are in the file but not in the picture).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import load_config
from ava_det.models.build import build_model
from ava_det.models.cost import compute_cost

LITERATURE = Path(__file__).with_name("literature.csv")
COLUMNS = (
    "benchmark",
    "system",
    "config",
    "gmacs",
    "views",
    "pretrain",
    "published",
    "measured",
    "source",
)
TITLES = {
    "kinetics400": ("Kinetics-400", "top-1 accuracy, %"),
    "ava_v2.1": ("AVA v2.1", "frame mAP, %"),
    "ava_v2.2": ("AVA v2.2", "frame mAP, %"),
}


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Draws the figure and returns the exit code."""
    parser = ToolParser("python -m studies.plot_tradeoff", __doc__)
    parser.add_argument(
        "--literature", type=Path, default=LITERATURE, help="CSV of results with their sources"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("tradeoff.png"), help="the picture (png, svg or pdf)"
    )
    args = parser.parse_args(argv)
    table = load_literature(args.literature)
    table["gmacs"] = [
        compute_gmacs(row.config) if row.config else row.gmacs for row in table.itertuples()
    ]
    draw(table, args.output)
    print(
        f"{args.output}: {int(table['gmacs'].notna().sum())} of {len(table)} systems have a "
        "cost and are drawn"
    )
    return 0


def load_literature(path: Path) -> pd.DataFrame:
    """Loads the table of results.

    Returns:
        The table; `gmacs`, `published` and `measured` are NaN where unknown, `config` is empty.

    Raises:
        ValueError: The file is not such a table; the sentence names the file and the line.
    """
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(COLUMNS, str), keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: {error} (expected a CSV with the columns {', '.join(COLUMNS)})"
        ) from None
    if tuple(table.columns) != COLUMNS:
        raise ValueError(
            f"{path}: expected the columns {', '.join(COLUMNS)}, received "
            f"{', '.join(table.columns)}"
        )
    for column in ("gmacs", "published", "measured"):
        numbers = pd.to_numeric(table[column], errors="coerce")
        wrong = numbers.isna() & (table[column] != "")
        if wrong.any():
            line = int(wrong.idxmax()) + 2
            raise ValueError(
                f"{path}, line {line}: {column} is {table[column][line - 2]!r}, expected a "
                "number or nothing"
            )
        table[column] = numbers
    for index, row in table.iterrows():
        if row.benchmark not in TITLES:
            raise ValueError(
                f"{path}, line {index + 2}: benchmark is {row.benchmark!r}, expected one of "
                f"{', '.join(TITLES)}"
            )
        if not row.source:
            raise ValueError(f"{path}, line {index + 2}: {row.system} has no source")
    return table


def compute_gmacs(config_path: str) -> float:
    """Counts backbone GMACs of a config's network for one square clip, as its test cuts them."""
    config = load_config(config_path)
    with torch.device("meta"):
        model = build_model(config)
    side = config.eval.crop_size or config.data.test_short_side
    return compute_cost(model, config.model.clip_shapes(), side).backbone_gmacs


def draw(table: pd.DataFrame, output: Path) -> None:
    """Draws one panel per benchmark; the file is written under a temporary name and renamed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(TITLES), figsize=(7 * len(TITLES), 7.5), layout="constrained"
    )
    for panel, (benchmark, (title, label)) in zip(panels, TITLES.items(), strict=True):
        rows = table[(table.benchmark == benchmark) & table.gmacs.notna()]
        _draw_panel(panel, rows)
        panel.set(title=title, xlabel="GMACs of one square clip", ylabel=label)
    panels[0].legend(loc="lower right", frameon=False)
    figure.canvas.draw()
    for panel, benchmark in zip(panels, TITLES, strict=True):
        _label(panel, table[(table.benchmark == benchmark) & table.gmacs.notna()])
    temporary = output.with_name(f".{output.stem}.tmp{output.suffix or '.png'}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(temporary, dpi=120)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
        pyplot.close(figure)


def _draw_panel(panel: Any, rows: pd.DataFrame) -> None:
    panel.scatter(rows.gmacs, rows.published, s=36, color="0.6", label="published")
    ours = rows[rows.measured.notna()]
    if len(ours):
        panel.scatter(
            ours.gmacs, ours.measured, s=60, color="tab:red", marker="*", label="measured by us"
        )
    panel.set_xscale("log")
    panel.margins(x=0.3, y=0.08)
    panel.grid(color="0.92")
    panel.spines[["top", "right"]].set_visible(False)


def _label(panel: Any, rows: pd.DataFrame) -> None:
    """Puts each name at the first place beside its point where it covers no other name."""
    renderer = panel.figure.canvas.get_renderer()
    taken: list[Any] = []
    for row in rows.sort_values("published", ascending=False).itertuples():
        value = row.published if pd.notna(row.published) else row.measured
        text = panel.annotate(
            row.system, (row.gmacs, value), textcoords="offset points", fontsize=7, xytext=(6, -2)
        )
        for offset, side in (
            ((6, -2), "left"),
            ((-6, -2), "right"),
            ((6, -10), "left"),
            ((-6, 6), "right"),
        ):
            text.set(position=offset, horizontalalignment=side)
            if not any(text.get_window_extent(renderer).overlaps(other) for other in taken):
                break
        taken.append(text.get_window_extent(renderer))


if __name__ == "__main__":
    sys.exit(main())
