from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ava_det.formats.label_map import load_label_map
from studies.synthetic_table import (
    CLASS_GROUPS,
    MOTION_PAIRS,
    Run,
    compute_auc,
    compute_gmacs,
    format_table,
    main,
)


def test_auc_of_known_cases() -> None:
    low = torch.tensor([0.0, 1.0])
    high = torch.tensor([2.0, 3.0])
    assert compute_auc(high, low) == 1.0
    assert compute_auc(low, high) == 0.0
    assert compute_auc(low, low) == 0.5


def test_the_pathways_cost_what_the_paper_says_they_do() -> None:
    cost = {
        name: compute_gmacs(name)
        for name in ("single_frame", "slow_only", "fast_only", "slowfast_no_lateral")
    }
    assert cost["single_frame"] * 4 == pytest.approx(cost["slow_only"], rel=0.01)
    assert cost["slow_only"] + cost["fast_only"] == pytest.approx(
        cost["slowfast_no_lateral"], rel=0.01
    )
    assert cost["slowfast_no_lateral"] < compute_gmacs("slowfast")


def test_the_table_has_means_and_spreads() -> None:
    def run(seed: int, value: float) -> Run:
        aps = {
            str(i): {"AP": value / 2 if i in (8, 12) else value}
            for group in CLASS_GROUPS.values()
            for i in group
        }
        metrics = {"mAP": value, "per_class": aps}
        return Run("slowfast", seed, metrics, metrics, [value] * 4, 10.0)

    table = format_table([run(0, 0.7), run(1, 0.9)], ["slowfast"], jobs=1)
    header, rule, row = table.splitlines()[:3]
    assert row.startswith(
        "| slowfast | 0.800 ± 0.141 | 0.800 ± 0.141 | 0.600 ± 0.106 | 0.800 ± 0.141 | 0.800"
    )
    assert header.count("|") == rule.count("|") == row.count("|")


def test_the_groups_of_classes_are_the_whole_set(synthetic: Path) -> None:
    classes = [action_id for group in CLASS_GROUPS.values() for action_id in group]
    assert sorted(classes) == sorted(load_label_map(synthetic / "labelmap.pbtxt"))
    assert {i for pair in MOTION_PAIRS.values() for i in pair} == {
        *CLASS_GROUPS["slow motion"],
        *CLASS_GROUPS["fast motion"],
    }


@pytest.mark.slow
def test_the_command_trains_and_prints(
    synthetic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = [
        f"data.video_dir={synthetic}/videos",
        f"data.label_map={synthetic}/labelmap.pbtxt",
        "train.epochs=1",
    ]
    for split in ("train", "val"):
        data += [f"data.{split}.annotations={synthetic}/{split}.csv", f"data.{split}.boxes=gt"]
        data += [f"data.{split}.excluded={synthetic}/{split}_excluded.csv"]
    assert (
        main([f"--output={tmp_path}", "--configs", "single_frame", *data, "--seeds", "0", "1"]) == 0
    )
    assert "single_frame" in capsys.readouterr().out
