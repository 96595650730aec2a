"""The study of two-stream networks: its rows, what is done again, and its table."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from ava_det.config import load_config
from ava_det.models.build import build_model
from ava_det.models.two_stream import TwoStream, TwoStreamBackbone, view_stream
from studies import two_stream
from studies.synthetic_table import CLASS_GROUPS
from studies.two_stream import CONFIG, ROWS, Milliseconds, format_table, join_and_score, time_clip


def test_a_network_that_is_joined_is_its_halves() -> None:
    with torch.device("meta"):
        built = {row: build_model(load_config(CONFIG, ROWS[row].overrides)) for row in ROWS}
    for row, (_, _, halves) in ROWS.items():
        model = built[row]
        assert isinstance(model, TwoStream) == bool(halves)
        for stream, half in zip(("rgb", "flow"), halves, strict=False):
            part = view_stream(model, stream).state_dict()
            expected = built[half].state_dict()
            assert {name: t.shape for name, t in part.items()} == {
                name: t.shape for name, t in expected.items()
            }
    assert isinstance(built["map"].backbone, TwoStreamBackbone)


def test_what_was_scored_after_both_halves_is_not_scored_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def run(name: str, arguments: list[str], jobs: int, folder: Path) -> None:
        calls.append(name)
        if name == "test":
            folder.mkdir(exist_ok=True)
            (folder / "metrics.json").write_text(json.dumps({"mAP": 0.25}))

    monkeypatch.setattr(two_stream, "run_command", run)
    halves = [tmp_path / f"{half}_3/checkpoints/last.pt" for half in ROWS["late"].halves]
    for half in halves:
        half.parent.mkdir(parents=True)
        half.write_bytes(b"")
        os.utime(half, (1, 1))
    for _ in range(2):
        assert join_and_score("late", tmp_path, 3, 1, []) == {"mAP": 0.25}
    assert calls == ["convert", "test"]
    metrics = tmp_path / "late_3/metrics.json"
    os.utime(halves[1], (metrics.stat().st_mtime + 5,) * 2)
    join_and_score("late", tmp_path, 3, 1, [])
    assert calls == ["convert", "test"] * 2


def test_flow_costs_time_where_it_is_read(synthetic: Path) -> None:
    small = [f"data.video_dir={synthetic}/videos", "model.width=4", "data.test_short_side=32"]
    network, flow = time_clip(load_config(CONFIG, [*small, *ROWS["late"].overrides]))
    assert network > 0
    assert flow > 0
    assert time_clip(load_config(CONFIG, [*small, *ROWS["rgb"].overrides])).flow == 0


def planted(ap: float) -> dict[str, Any]:
    groups = zip(CLASS_GROUPS.values(), (ap, ap / 2, 0.0), strict=True)
    return {
        "mAP": ap,
        "per_class": {str(action): {"AP": value} for ids, value in groups for action in ids},
    }


def test_the_table_holds_groups_cost_and_time() -> None:
    scores = {"rgb": [planted(0.2), planted(0.4)], "slowfast_flow": [planted(0.5)]}
    costs = {"rgb": 0.5327, "slowfast_flow": 0.7}
    times = {"rgb": Milliseconds(12.04, 0.0), "slowfast_flow": Milliseconds(20.0, 15.5)}
    lines = format_table(scores, costs, times).splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[:4]]
    assert len({len(row) for row in rows}) == 1
    assert rows[2][:3] == ["I3D, RGB", "0.300 ± 0.141", "0.300 ± 0.141"]
    assert rows[2][5:] == ["0.533", "12.0", "0.0", "12.0"]
    assert rows[3][4:] == ["0.000", "0.700", "20.0", "15.5", "35.5"]
    assert lines[-1].startswith("2 seed(s)")
