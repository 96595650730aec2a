"""Trains a small ViT beside SlowFast in equal time, on the synthetic set and on mini_ava.

    python -m studies.transformers [--output outputs/transformers] [--sets mini_ava] [--seeds 0 1 2]
    [key=value ...]

Both begin untrained. SlowFast trains for the epochs of its config (--epochs for fewer), the ViT for
as many as cost the same processor time, by training steps of both that are timed in turns. A run
that is there is not repeated, so that the study goes on where it was stopped.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import torch

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import Config, load_config
from ava_det.files import write_json, write_text
from ava_det.models.build import build_model
from ava_det.operations.export import draw_inputs
from ava_det.tasks.recipe import build_optimizer
from studies.synthetic_table import ROOT, run_command

SETS = ("synthetic", "mini_ava")
NETWORKS = ("slowfast", "vit")
NUM_PARTS = 4  # of a loss curve in the table
TIMED_STEPS = 3


@dataclass
class Run:
    """Holds the numbers of one training.

    Attributes:
        data: synthetic or mini_ava.
        network: slowfast or vit.
        epochs: Trained.
        mean_ap: Frame mAP at the end with labeled boxes.
        average_mean_ap: That of the averaged weights; None where there are none.
        losses: Mean loss of each quarter of the training.
        seconds: Of its training steps, by the clock.
    """

    data: str
    network: str
    epochs: int
    mean_ap: float
    average_mean_ap: float | None
    losses: list[float]
    seconds: float


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the study and returns its exit code."""
    parser = ToolParser("python -m studies.transformers", __doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/transformers"))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="of SlowFast (default: its config's)")
    parser.add_overrides()
    args = parser.parse_intermixed_args(argv)
    runs = []
    for seed in args.seeds:
        for data in args.sets:
            for network, epochs in plan_epochs(args.output, data, args.epochs, args.overrides):
                runs.append(train(args.output, data, network, seed, epochs, args.overrides))
                write_text(args.output / "table.md", format_table(runs))
    print((args.output / "table.md").read_text())
    return 0


def plan_epochs(
    output: Path, data: str, epochs: int | None, overrides: Sequence[str]
) -> list[tuple[str, int]]:
    """Returns each network's epochs: as many as take the same time. What was timed is kept."""
    configs = {network: load_config(find_config(data, network), overrides) for network in NETWORKS}
    first = epochs or configs["slowfast"].train.epochs
    kept = output / f"{data}_seconds_a_step.json"
    if not kept.exists():
        write_json(kept, time_steps(configs))
    seconds = json.loads(kept.read_text())
    return [
        ("slowfast", first),
        ("vit", max(1, round(first * seconds["slowfast"] / seconds["vit"]))),
    ]


def find_config(data: str, network: str) -> str:
    """Returns the path of a config."""
    return str(ROOT / "configs" / data / f"{network}.yaml")


def time_steps(configs: dict[str, Config]) -> dict[str, float]:
    """Times training steps of each config on noise, in turns: medians of processor seconds."""
    steps = {}
    for network, config in configs.items():
        model = build_model(config).train()
        optimizer = build_optimizer(config, model)
        batch = config.train.batch_size
        inputs = draw_inputs(config, batch, 2 * batch, config.data.test_short_side)
        steps[network] = (model, optimizer, inputs)
    seconds: dict[str, list[float]] = {network: [] for network in configs}
    for _ in range(1 + TIMED_STEPS):
        for network, (model, optimizer, inputs) in steps.items():
            start = time.process_time()
            optimizer.zero_grad()
            logits = model(**inputs)
            torch.nn.functional.softplus(logits).mean().backward()
            optimizer.step()
            seconds[network].append(time.process_time() - start)
    return {network: statistics.median(values[1:]) for network, values in seconds.items()}


def train(
    output: Path, data: str, network: str, seed: int, epochs: int, overrides: Sequence[str]
) -> Run:
    """Trains one network, or goes on with what is there, and reads its numbers."""
    folder = output / f"{data}_{network}_{seed}"
    own = [f"seed={seed}", f"output_dir={folder}", f"train.epochs={epochs}", "data.val.boxes=gt"]
    config = find_config(data, network)
    wanted = load_config(config, [*overrides, *own])
    log = folder / "log.jsonl"
    is_whole = (folder / "metrics.json").exists() and load_config(folder / "config.yaml") == wanted
    if not is_whole:
        resume = ["--resume"] if (folder / "checkpoints" / "last.pt").exists() else []
        run_command("train", ["--config", config, *resume, *overrides, *own], 1, folder)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    score = next(line for line in reversed(lines) if "mAP" in line)
    bounds = [round(len(losses) * part / NUM_PARTS) for part in range(NUM_PARTS + 1)]
    parts = [mean(losses[a:b]) for a, b in itertools.pairwise(bounds) if b > a]
    seconds = sum(line["seconds"] for line in lines if "seconds" in line)
    return Run(data, network, epochs, score["mAP"], score.get("ema_mAP"), parts, seconds)


def format_table(runs: Sequence[Run]) -> str:
    """Formats a Markdown table, a row for each set and network: means and deviations over seeds."""
    lines = [
        "| set | network | epochs | seeds | frame mAP, labeled boxes | of the averaged weights | "
        "loss of each quarter | training |",
        "|" + "---|" * 8,
    ]
    for data, network in dict.fromkeys((run.data, run.network) for run in runs):
        own = [run for run in runs if (run.data, run.network) == (data, network)]
        averages = [run.average_mean_ap for run in own if run.average_mean_ap is not None]
        quarters = zip(*(run.losses for run in own), strict=False)
        cells = [
            data,
            network,
            str(own[0].epochs),
            str(len(own)),
            _spread([run.mean_ap for run in own]),
            _spread(averages) if averages else "",
            ", ".join(f"{mean(values):.4f}" for values in quarters),
            f"{mean(run.seconds for run in own):.0f} s",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float]) -> str:
    deviation = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{deviation}"


if __name__ == "__main__":
    sys.exit(main())
