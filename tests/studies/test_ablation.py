"""The ablation's rows, its numbers from runs, and (slow) the whole command in the small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ava_det.config import load_config
from ava_det.models.build import build_model
from studies import ablation
from studies.ablation import ROWS, format_table, main, measure
from studies.synthetic_table import Run, compute_gmacs

CONFIGS = Path(__file__).resolve().parent.parent.parent / "configs/synthetic"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.table} {row.name}")
def test_every_row_is_the_network_it_says(row: ablation.Row) -> None:
    model = load_config(CONFIGS / f"{row.config}.yaml", row.overrides).model
    build_model(load_config(CONFIGS / f"{row.config}.yaml", row.overrides))
    if row.table == "beta":
        assert (model.lateral, f"1/{model.beta_inv}") == ("t_conv", row.name)
    else:
        kinds = {
            "none": "no lateral",
            "ttoc_sum": "TtoC, sum",
            "ttoc_concat": "TtoC, concat",
            "t_sample": "T-sample",
        }
        pathways = {"slow_only": "Slow-only", "fast_only": "Fast-only"}
        assert row.name == pathways.get(model.backbone, kinds.get(model.lateral, "T-conv"))


def test_a_wider_fast_pathway_costs_more_as_in_the_paper() -> None:
    rows = [row for row in ROWS if row.table == "beta"]
    ours = [compute_gmacs(row.config, row.overrides) for row in rows]
    assert ours == sorted(ours, reverse=True)
    assert [row.gflops for row in rows] == sorted((row.gflops for row in rows), reverse=True)


def fake_run(folder: Path, name: str, seed: int, jobs: int, overrides: list[str]) -> Run:
    value = (0.5 if name == "slowfast" else 0.4) + seed / 10
    metrics = {
        "mAP": value,
        "per_class": {
            "69": {"AP": value},
            "43": {"AP": value},
            "34": {"AP": None},
            "36": {"AP": 0},
        },
    }
    return Run(name, seed, metrics, metrics, [0.5] * 4, 1.0)


def test_the_table_has_a_row_a_network_and_trains_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Path] = []

    def train(folder: Path, *rest: object) -> Run:
        assert rest[-1][0] == "train.epochs=1"
        trained.append(folder)
        return fake_run(folder, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ablation, "train_and_score", train)
    assert main([f"--output={tmp_path}", "--seeds", "0", "1", "train.epochs=1"]) == 0
    # T-conv and beta 1/4 are the same network
    assert len(trained) == len(set(trained)) == 2 * (len(ROWS) - 1)
    with open(tmp_path / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [row.name for row in ROWS]
    tconv = next(row for row in rows if row["name"] == "T-conv")
    assert (tconv["mAP"], tconv["fast_AP"], tconv["top1"]) == ("0.5500", "0.2750", "75.6")
    assert (tmp_path / "ablation.png").stat().st_size > 1000
    table = format_table(measure(ROWS[:2], tmp_path, [0, 1], 1, ["train.epochs=1"]))
    assert "| Slow-only | 0.450 ± 0.071 |" in table
    assert {line.count("|") for line in table.splitlines() if line} == {8}


@pytest.mark.slow
def test_the_command_trains_every_row(synthetic: Path, tmp_path: Path) -> None:
    data = [
        f"data.video_dir={synthetic}/videos",
        f"data.label_map={synthetic}/labelmap.pbtxt",
        "train.epochs=1",
    ]
    for split in ("train", "val"):
        data += [f"data.{split}.annotations={synthetic}/{split}.csv", f"data.{split}.boxes=gt"]
        data += [f"data.{split}.excluded={synthetic}/{split}_excluded.csv"]
    assert main([f"--output={tmp_path}/ablation", "--seeds", "0", *data]) == 0
    with open(tmp_path / "ablation/table.csv", newline="") as file:
        assert all(0 < float(row["mAP"]) <= 1 for row in csv.DictReader(file))
