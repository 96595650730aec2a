"""The average of the weights: its values, its score beside the weights', and a run that resumes."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ava_det.checkpoint import load_weights
from ava_det.tasks.run_folder import RunFolder
from ava_det.training.average import WeightAverage
from tests.support.toy import ToyDetector, ToyMetrics, run


def test_the_average_is_the_recursion_of_its_definition() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    average = WeightAverage(model, 0.9)
    expected: dict[str, torch.Tensor] = {}
    for step in range(5):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        model(torch.randn(8, 3))  # moves the statistics of the batch norm
        average.update(model)
        for name, value in model.state_dict().items():
            if step == 0 or not value.is_floating_point():
                expected[name] = value.clone()
            else:
                expected[name] = 0.9 * expected[name] + 0.1 * value
    torch.testing.assert_close(dict(average.model.state_dict()), expected)


def test_whole_numbers_are_copied() -> None:
    """torch's own average makes 5 of 5: 5 * 0.9999 + 5 * 0.0001 is 4.9999, cut to 4."""
    model = nn.Linear(1, 1)
    model.register_buffer("table", torch.arange(1000))
    average = WeightAverage(model, 0.9999)
    for _ in range(3):
        average.update(model)
    assert torch.equal(average.model.state_dict()["table"], torch.arange(1000))


def test_a_resumed_run_averages_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    saved: list[dict[str, Any]] = []
    torch.manual_seed(1)
    whole = run(tmp_path, 3, 3, save_every=0, eval_every=1, saved=saved, ema_decay=0.5)
    assert not torch.equal(
        whole["average"]["weights"]["linear.weight"], whole["model"]["linear.weight"]
    )
    for state in saved[1::4]:
        torch.manual_seed(99)
        again = run(tmp_path, 3, 3, state=state, eval_every=1, ema_decay=0.5)
        torch.testing.assert_close(again, whole, rtol=0, atol=0)


def test_training_is_the_same_with_an_average_beside_it(tmp_path: Path) -> None:
    torch.manual_seed(1)
    plain = run(tmp_path, 2, 2)
    torch.manual_seed(1)
    averaged = run(tmp_path, 2, 2, ema_decay=0.9)
    del averaged["average"]
    torch.testing.assert_close(averaged, plain, rtol=0, atol=0)


def test_both_are_scored_and_the_average_loads_as_weights(tmp_path: Path) -> None:
    scored: list[nn.Module] = []

    def evaluate(model: nn.Module) -> ToyMetrics:
        """The average is scored first: 0.1, 0.3, 0.2 over the epochs, the weights 0.4, 0.5, 0.6."""
        scored.append(copy.deepcopy(model))
        return ToyMetrics([0.1, 0.4, 0.3, 0.5, 0.2, 0.6][len(scored) - 1])

    saved: list[dict[str, Any]] = []
    run(tmp_path, 3, 3, eval_every=1, saved=saved, evaluate=evaluate, ema_decay=0.8)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    pairs = [(line["mAP"], line["ema_mAP"]) for line in lines if "mAP" in line]
    assert pairs == [(0.4, 0.1), (0.5, 0.3), (0.6, 0.2)]
    folder = RunFolder(tmp_path / "run")
    for state in saved:
        folder.save_training_state({**state, "config": {}, "label_map": {1: "walk"}}, 1)
    for name, index in (("last", 4), ("best", 2)):
        model = ToyDetector()
        load_weights(model, folder.checkpoints / f"{name}_ema.pt")
        torch.testing.assert_close(model.state_dict(), scored[index].state_dict())
    content = torch.load(folder.checkpoints / "best_ema.pt")
    assert set(content) == {"model", "epoch", "config", "label_map"}
    load_weights(model, folder.checkpoints / "best.pt")
    torch.testing.assert_close(model.state_dict(), scored[5].state_dict())
    folder.remove_checkpoints()
    assert [path.name for path in folder.checkpoints.iterdir()] == ["last.pt"]
