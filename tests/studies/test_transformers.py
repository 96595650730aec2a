"""The study of the small ViT: equal time, runs that are kept, and its table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ava_det.config import config_to_yaml, load_config
from ava_det.files import write_json
from ava_det.models.build import build_model
from studies import transformers
from studies.transformers import SETS, Run, find_config, format_table, main, plan_epochs


@pytest.mark.parametrize("data", SETS)
def test_both_networks_see_the_same_boxes_and_the_vit_has_the_recipe(data: str) -> None:
    vit, slowfast = (load_config(find_config(data, name)) for name in ("vit", "slowfast"))
    assert (vit.data.train, vit.data.val) == (slowfast.data.train, slowfast.data.val)
    assert vit.train.batch_size == slowfast.train.batch_size
    assert vit.train.layer_decay < 1
    assert vit.train.ema_decay is not None
    assert vit.data.hsv_jitter == [20, 0.1, 0.1]
    assert vit.model.vit.drop_path > 0
    assert sum(parameter.numel() for parameter in build_model(vit).parameters()) < 2e6


def test_epochs_cost_the_same_time_as_timed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers, "time_steps", lambda configs: {"slowfast": 3.0, "vit": 2.0})
    assert plan_epochs(tmp_path, "mini_ava", 10, []) == [("slowfast", 10), ("vit", 15)]
    monkeypatch.setattr(transformers, "time_steps", lambda configs: pytest.fail("timed again"))
    assert plan_epochs(tmp_path, "mini_ava", None, []) == [("slowfast", 30), ("vit", 45)]


def test_a_study_that_was_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[tuple[str, bool]] = []

    def fake_command(name: str, arguments: list[str], jobs: int, folder: Path) -> None:
        trained.append((folder.name, "--resume" in arguments))
        folder.mkdir(parents=True, exist_ok=True)
        path, *overrides = [text for text in arguments if text not in ("--config", "--resume")]
        (folder / "config.yaml").write_text(config_to_yaml(load_config(path, overrides)))
        lines = [{"step": step, "loss": 1 / step, "seconds": 2.0} for step in range(1, 9)]
        score = {"epoch": 1, "mAP": 0.25, "ema_mAP": 0.5}
        (folder / "log.jsonl").write_text("\n".join(map(json.dumps, [*lines, score])))
        write_json(folder / "metrics.json", {"mAP": 0.25})

    monkeypatch.setattr(transformers, "run_command", fake_command)
    write_json(tmp_path / "mini_ava_seconds_a_step.json", {"slowfast": 1.0, "vit": 1.0})
    stopped = tmp_path / "mini_ava_vit_1" / "checkpoints" / "last.pt"
    stopped.parent.mkdir(parents=True)
    stopped.touch()
    options = [
        "--output",
        str(tmp_path),
        "--sets",
        "mini_ava",
        "--seeds",
        "0",
        "1",
        "--epochs",
        "2",
    ]
    assert main(options) == 0
    names = [f"mini_ava_{network}_{seed}" for seed in (0, 1) for network in ("slowfast", "vit")]
    assert trained == [(name, name.endswith("vit_1")) for name in names]
    assert main(options) == 0
    assert len(trained) == 4
    row = "| mini_ava | vit | 2 | 2 | 0.250 ± 0.000 | 0.500 ± 0.000 | 0.7500, 0.2917,"
    assert row in capsys.readouterr().out


def test_a_table_of_one_seed_has_no_deviation() -> None:
    table = format_table([Run("synthetic", "slowfast", 4, 0.9, None, [0.5, 0.1], 60.0)])
    assert "| synthetic | slowfast | 4 | 1 | 0.900 |  | 0.5000, 0.1000 | 60 s |" in table
