"""The study of suggestions: its arithmetic, its loop in the small, and what is not done again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ava_det.checkpoint import save_checkpoint
from ava_det.config import load_config
from ava_det.models.build import build_model
from studies import learning_curve
from studies.learning_curve import CONFIG, Point, average, find_needed, format_table, measure


def test_labels_for_an_map_are_interpolated() -> None:
    curve = [(10.0, 0.2), (20.0, 0.4), (40.0, 0.5)]
    assert find_needed(curve, 0.3) == pytest.approx(15)
    assert find_needed(curve, 0.5) == 40
    assert find_needed(curve, 0.6) is None
    assert find_needed([(10.0, 0.3), (20.0, 0.2), (30.0, 0.4)], 0.3) == pytest.approx(25)


def test_the_table_says_how_many_fewer_suggestions_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_curve, "COUNTS", (10, 20))
    drawn = [[Point(10, 20, 0.1), Point(20, 40, 0.3)], [Point(10, 22, 0.1), Point(20, 44, 0.3)]]
    chosen = [[Point(10, 20, 0.1), Point(20, 60, 0.5)], [Point(10, 22, 0.1), Point(20, 60, 0.5)]]
    assert average(drawn) == [(10, 21, 0.1), (20, 42, 0.3)]
    lines = format_table({"suggest": chosen, "random": drawn}).splitlines()
    assert lines[2] == "| 10 | 0.100 ± 0.000 (21) | 0.100 ± 0.000 (21) |  |"
    assert lines[3] == "| 20 | 0.500 ± 0.000 (60) | 0.300 ± 0.000 (42) | 15 (-25%) |"


def test_the_loop_labels_round_by_round_and_nothing_twice(
    synthetic_config: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = synthetic_config[2:]
    torch.manual_seed(0)
    weights = tmp_path / "start.pt"
    model = build_model(load_config(CONFIG, overrides))
    save_checkpoint(weights, {"model": model.state_dict()})
    monkeypatch.setattr(learning_curve, "COUNTS", (3, 4, 6))
    arms = ("suggest", "random")
    curves = measure(tmp_path, weights, [5], arms, overrides)
    for arm in arms:
        [points] = curves[arm]
        assert [point.keyframes for point in points] == [3, 4, 6]
        persons = [point.persons for point in points]
        assert persons == sorted(set(persons))
        assert all(0 <= point.mean_ap <= 1 for point in points)
    assert curves["suggest"][0][0] == curves["random"][0][0]

    def never(*_: object) -> None:
        raise AssertionError("the curves were there")

    monkeypatch.setattr(learning_curve, "Loop", never)
    assert measure(tmp_path, weights, [5], arms, overrides) == curves


def test_a_set_that_is_not_rendered_is_missed_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert learning_curve.main(["--output", "curve"]) == 2
    assert "data/synthetic/rendered/labelmap.pbtxt" in capsys.readouterr().err
    assert not (tmp_path / "curve").exists()
