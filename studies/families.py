"""Trains a small form of every family of networks at equal steps on the synthetic set.

    python -m studies.families [--full] [--output outputs/families] [--families s3d eco ...]
    [--jobs 2] [key=value ...]

One seed and two epochs, 300 steps; with --full three seeds and the four epochs of the config. The
set is rendered first: ava-det render --output data/synthetic/rendered. A run that is already there
is not repeated, so that the study can be made in pieces, a family at a time. Writes table.md: frame
mAP with labeled boxes, appearance, slow motion and fast motion apart, beside what the papers report
for the large forms on Kinetics-400 and on AVA. The order of the small forms on 12 rendered actions
says nothing about theirs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.files import write_text
from studies.ablation import spread
from studies.synthetic_table import (
    CLASS_GROUPS,
    Run,
    compute_gmacs,
    compute_group_ap,
    train_and_score,
)


class Row(NamedTuple):
    """Describes a family's small form and what its paper reports.

    Attributes:
        name: The network's name in the papers.
        overrides: What is changed in configs/synthetic/slowfast.yaml.
        kinetics: Top-1 accuracy of the large form on Kinetics-400, as published; empty for none.
        ava: Frame mAP of a detector on it, as published, on v2.1 where nothing else is said.
    """

    name: str
    overrides: tuple[str, ...]
    kinetics: str = ""
    ava: str = ""


def _dense(backbone: str, *values: str) -> tuple[str, ...]:
    """Returns a network of 16 frames in the 64 ticks that SlowFast's clips span."""
    clip = ("model.num_slow_frames=16", "model.slow_stride=4")
    return (f"model.backbone={backbone}", *clip, *values)


SHORT = ("train.epochs=2",)  # for a first look on a computer without a GPU
_NON_LOCAL = (
    "model.nl_i3d.non_local_res3=[0]",
    "model.non_local_res4=[0]",
    "model.non_local_pool=[1,2,2]",
)
# studies/literature.csv has the sources; depth 14 and width 16 are those of the synthetic configs
ROWS: dict[str, Row] = {
    "two_stream_cnn": Row(
        "Two-Stream CNN, RGB",
        # it has no batch norm: at the rate of the others its logits saturate
        ("model.backbone=two_stream_cnn", "model.num_slow_frames=1", "train.lr=0.0003"),
    ),
    "slow_only": Row("Slow-only", ("model.backbone=slow_only", "model.alpha=8"), "72.6", "19.0"),
    "fast_only": Row("Fast-only", ("model.backbone=fast_only",), "51.7"),
    "i3d": Row("I3D R50", _dense("i3d"), "73.5"),
    "i3d_inception": Row("I3D", _dense("i3d_inception"), "71.1", "14.5"),
    "s3d": Row("S3D-G", _dense("s3d", "model.s3d.gating=true"), "77.2 with flow", "17.4 (ACRN)"),
    "r2plus1d": Row("R(2+1)D", _dense("r2plus1d", "model.r2plus1d.depth=10"), "72.0"),
    "nl_i3d": Row("Nonlocal I3D R50", _dense("nl_i3d", *_NON_LOCAL), "76.5", "22.2"),
    "artnet": Row("ARTNet", _dense("artnet"), "69.2"),
    "eco": Row("ECO Lite", _dense("eco"), "70.0 (four together)"),
    "stc": Row("STC-ResNeXt-101", _dense("stc", "model.stc.reduction=4"), "68.7"),
    "vit": Row(
        "ViT-B, VideoMAE",
        _dense("vit", "model.vit.width=96", "model.vit.depth=4", "model.vit.heads=3"),
        ava="31.8 (v2.2)",
    ),
    "mvit_v2_s": Row("MViTv2-S", _dense("mvit_v2_s", "model.torchvision.width=16"), "80.8"),
    "swin3d_t": Row("Video Swin-T", _dense("swin3d_t", "model.torchvision.width=24"), "77.7"),
    "slowfast": Row("SlowFast R50 4x16", (), "75.6", "24.2"),
}


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the study and returns its exit code."""
    parser = ToolParser("python -m studies.families", __doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/families"))
    parser.add_argument("--full", action="store_true", help="three seeds, twice the steps")
    parser.add_argument("--families", nargs="+", choices=tuple(ROWS), default=list(ROWS))
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time (default: 1)")
    parser.add_overrides()
    args = parser.parse_intermixed_args(argv)
    seeds = (0, 1, 2) if args.full else (0,)
    overrides = args.overrides if args.full else [*SHORT, *args.overrides]
    runs = measure(args.families, args.output, seeds, args.jobs, overrides)
    costs = {
        family: compute_gmacs("slowfast", [*overrides, *ROWS[family].overrides])
        for family in args.families
    }
    table = format_table(runs, costs)
    write_text(args.output / "table.md", table)
    print(table)
    return 0


def measure(
    families: Sequence[str],
    output: Path,
    seeds: Sequence[int],
    jobs: int,
    overrides: Sequence[str],
) -> dict[str, list[Run]]:
    """Trains what is not there yet, seed by seed, and returns each family's runs."""
    plan = [(family, seed) for seed in seeds for family in families]

    def train(item: tuple[str, int]) -> Run:
        family, seed = item
        changed = [*overrides, *ROWS[family].overrides]
        return train_and_score(output / f"{family}_{seed}", "slowfast", seed, jobs, changed)

    with ThreadPoolExecutor(jobs) as pool:
        runs = dict(zip(plan, pool.map(train, plan), strict=True))
    return {family: [runs[family, seed] for seed in seeds] for family in families}


def format_table(runs: dict[str, list[Run]], costs: dict[str, float]) -> str:
    """Formats a Markdown table, a row a family: means and standard deviations over seeds.

    Args:
        runs: Of each family, one a seed.
        costs: GMACs of one clip of each family's small form.
    """
    lines = [
        f"| network | frame mAP | {' | '.join(CLASS_GROUPS)} | GMACs, small form | training | "
        "paper: Kinetics-400 top-1 | AVA mAP |",
        "|" + "---|" * (6 + len(CLASS_GROUPS)),
    ]
    for family, family_runs in runs.items():
        row = ROWS[family]
        groups = [
            spread([compute_group_ap(run.labeled, group) for run in family_runs])
            for group in CLASS_GROUPS
        ]
        cells = [
            f"{row.name} (`{family}`)",
            spread([run.labeled["mAP"] for run in family_runs]),
            *groups,
            f"{costs[family]:.3f}",
            f"{mean(run.train_seconds for run in family_runs):.0f} s",
            row.kinetics,
            row.ava,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    seeds = max((len(family_runs) for family_runs in runs.values()), default=0)
    lines.append(f"\n{seeds} seed(s), labeled boxes, the same steps for all.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
