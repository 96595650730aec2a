"""Trains the paper's tables of lateral connections and of beta on the synthetic set.

    python -m studies.ablation [--output outputs/ablation] [--tables lateral] [--seeds 0 1 2]
    [--jobs 2] [key=value ...]

`make ablation` renders the set first. Each row is a small network, trained as synthetic_table.py
does; a run that is already there is not repeated. Writes table.csv, table.md and, where matplotlib
is installed, ablation.png, all with the paper's numbers beside ours. Which comparisons mean
something: docs/training.md, "The paper's ablations in the small".
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.files import atomic_path, write_text
from studies.synthetic_table import Run, compute_gmacs, compute_group_ap, train_and_score


class Row(NamedTuple):
    """Describes a network of the paper's tables.

    Attributes:
        table: The table.
        name: The network's name in it.
        config: The synthetic config.
        overrides: What is changed in the config.
        top1: The paper's top-1 accuracy on Kinetics-400, in per cent.
        top5: The same for top-5.
        gflops: As printed in the paper.
    """

    table: str
    name: str
    config: str
    overrides: tuple[str, ...]
    top1: float
    top5: float
    gflops: float


# arXiv 1812.03982, Tables 5a and 5b, without beta 1/32: see docs/training.md
ROWS = (
    Row("lateral", "Slow-only", "slow_only", (), 72.6, 90.3, 27.3),
    Row("lateral", "Fast-only", "fast_only", (), 51.7, 78.5, 6.4),
    Row("lateral", "no lateral", "slowfast_no_lateral", (), 73.5, 90.3, 34.2),
    Row("lateral", "TtoC, sum", "slowfast", ("model.lateral=ttoc_sum",), 74.5, 91.3, 34.2),
    Row("lateral", "TtoC, concat", "slowfast", ("model.lateral=ttoc_concat",), 74.3, 91.0, 39.8),
    Row("lateral", "T-sample", "slowfast", ("model.lateral=t_sample",), 75.4, 91.8, 34.9),
    Row("lateral", "T-conv", "slowfast", (), 75.6, 92.1, 36.1),
    Row("beta", "1/4", "slowfast", (), 75.6, 91.7, 54.5),
    Row("beta", "1/6", "slowfast", ("model.beta_inv=6",), 75.8, 92.0, 41.8),
    Row("beta", "1/8", "slowfast", ("model.beta_inv=8",), 75.6, 92.1, 36.1),
    Row("beta", "1/12", "slowfast", ("model.beta_inv=12",), 75.2, 91.8, 32.8),
    Row("beta", "1/16", "slowfast", ("model.beta_inv=16",), 75.1, 91.7, 30.6),
)


@dataclass
class Result:
    """Holds what the runs of a row reached and what its network costs.

    Attributes:
        row: The network.
        mean_ap: Frame mAP with labeled boxes, one value a seed.
        fast_ap: Mean AP of the classes of fast motion, one value a seed.
        gmacs: Billions of multiply-accumulates of one clip.
    """

    row: Row
    mean_ap: list[float]
    fast_ap: list[float]
    gmacs: float


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the study and returns its exit code."""
    parser = ToolParser("python -m studies.ablation", __doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/ablation"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--tables", nargs="+", choices=("lateral", "beta"), default=["lateral", "beta"]
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time (default: 1)")
    parser.add_overrides()
    args = parser.parse_intermixed_args(argv)
    rows = [row for row in ROWS if row.table in args.tables]
    results = measure(rows, args.output, args.seeds, args.jobs, args.overrides)
    table = format_table(results)
    write_text(args.output / "table.md", table)
    write_csv(args.output / "table.csv", results)
    print(table)
    try:
        draw(args.output / "ablation.png", results)
    except ImportError:
        print("no ablation.png was drawn: pip install 'ava_det[report]' brings matplotlib")
    return 0


def measure(
    rows: Sequence[Row], output: Path, seeds: Sequence[int], jobs: int, overrides: Sequence[str]
) -> list[Result]:
    """Trains the networks that are not there yet and returns the results of all rows.

    It goes seed by seed, so that a run that is stopped leaves rows that can be compared.
    """
    # both tables have the default one
    networks = list(dict.fromkeys((row.config, row.overrides) for row in rows))
    plan = [(*network, seed) for seed in seeds for network in networks]

    def train(item: tuple[str, tuple[str, ...], int]) -> Run:
        config, changed, seed = item
        name = "_".join((config, *(text.partition("=")[2] for text in changed)))
        return train_and_score(
            output / f"{name}_{seed}", config, seed, jobs, [*overrides, *changed]
        )

    with ThreadPoolExecutor(jobs) as pool:
        runs = dict(zip(plan, pool.map(train, plan), strict=True))
    results = []
    for row in rows:
        seed_runs = [runs[row.config, row.overrides, seed].labeled for seed in seeds]
        fast_ap = [compute_group_ap(run, "fast motion") for run in seed_runs]
        gmacs = compute_gmacs(row.config, [*overrides, *row.overrides])
        results.append(Result(row, [run["mAP"] for run in seed_runs], fast_ap, gmacs))
    return results


def spread(values: Sequence[float]) -> str:
    """Formats the mean and, of several values, the standard deviation."""
    return f"{mean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{mean(values):.3f}"


def format_table(results: Sequence[Result]) -> str:
    """Formats a Markdown table for each table of the paper.

    Values are means and standard deviations over seeds, with labeled boxes.
    """
    lines: list[str] = []
    for table in dict.fromkeys(result.row.table for result in results):
        lines += [
            f"| {table} | frame mAP | AP of fast motion | GMACs | paper: top-1 | top-5 | GFLOPs |"
        ]
        lines += ["|" + "---|" * 7]
        for result in results:
            if result.row.table == table:
                row = result.row
                cells = [
                    row.name,
                    spread(result.mean_ap),
                    spread(result.fast_ap),
                    f"{result.gmacs:.3f}",
                ]
                lines.append(
                    "| "
                    + " | ".join([*cells, f"{row.top1}", f"{row.top5}", f"{row.gflops}"])
                    + " |"
                )
        lines.append("")
    return "\n".join(lines)


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """Writes a row for each network, with every seed's mAP."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ("table", "name", "mAP", "fast_AP", "gmacs", "mAP_of_seeds", "top1", "top5", "gflops")
        )
        for result in results:
            row = result.row
            values = " ".join(f"{value:.4f}" for value in result.mean_ap)
            measured = (
                f"{mean(result.mean_ap):.4f}",
                f"{mean(result.fast_ap):.4f}",
                f"{result.gmacs:.4f}",
            )
            writer.writerow(
                (row.table, row.name, *measured, values, row.top1, row.top5, row.gflops)
            )


def draw(path: Path, results: Sequence[Result]) -> None:
    """Draws accuracy against cost, ours above, the paper's below, a column a table.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    tables = list(dict.fromkeys(result.row.table for result in results))
    figure = Figure((6 * len(tables), 8), layout="constrained")
    panels = figure.subplots(2, len(tables), squeeze=False)
    for column, table in enumerate(tables):
        table_results = [result for result in results if result.row.table == table]
        ours = panels[0, column]
        theirs = panels[1, column]
        deviations = [
            stdev(result.mean_ap) if len(result.mean_ap) > 1 else 0.0 for result in table_results
        ]
        costs = [result.gmacs for result in table_results]
        ours.errorbar(
            costs,
            [mean(result.mean_ap) for result in table_results],
            deviations,
            fmt="o",
            capsize=3,
        )
        theirs.plot(
            [result.row.gflops for result in table_results],
            [result.row.top1 for result in table_results],
            "o",
            color="gray",
        )
        for result, cost in zip(table_results, costs, strict=True):
            offset = {"textcoords": "offset points", "xytext": (5, 4), "fontsize": 8}
            ours.annotate(result.row.name, (cost, mean(result.mean_ap)), **offset)
            theirs.annotate(result.row.name, (result.row.gflops, result.row.top1), **offset)
        ours.set(title=f"{table}: synthetic set", xlabel="GMACs", ylabel="frame mAP, labeled boxes")
        theirs.set(title=f"{table}: the paper", xlabel="GFLOPs", ylabel="Kinetics-400 top-1, %")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


if __name__ == "__main__":
    sys.exit(main())
