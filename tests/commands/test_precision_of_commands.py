"""`precision` from the command line to the files: both answers a machine can give, on every
machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ava_det import Predictor
from ava_det.checkpoint import load_checkpoint
from tests.support.instruction_sets import needs_any_bfloat16
from tests.support.precision_answers import WITH, WITHOUT, answer

RunTool = Callable[..., tuple[int, str, str]]


def read_environment(folder: Path) -> dict[str, str]:
    return json.loads((folder / "environment.json").read_text())["precision"]


@needs_any_bfloat16
def test_what_one_machine_trains_at_auto_the_other_kind_runs(
    synthetic: Path,
    synthetic_config: list[str],
    tmp_path: Path,
    run_tool: RunTool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer(monkeypatch, WITH)
    code, out, err = run_tool("train_ava", *synthetic_config, "precision=auto")
    assert code == 0
    assert "precision" not in err
    assert out.count(f"precision auto: bf16 ({WITH.reason})\n") == 1
    assert read_environment(tmp_path / "run") == {
        "asked": "auto",
        "used": "bf16",
        "reason": WITH.reason,
    }
    weights = tmp_path / "run/checkpoints/last.pt"
    assert load_checkpoint(weights)["config"]["precision"] == "auto"
    answer(monkeypatch, WITHOUT)
    code, out, err = run_tool("test_ava", *synthetic_config, "precision=auto", "--weights", weights)
    assert code == 0
    assert "precision" not in err
    assert out.count(f"precision auto: fp32 ({WITHOUT.reason})\n") == 1
    predictor = Predictor.from_pretrained(
        weights, "motion", device="cpu", overrides=["precision=bf16"]
    )
    assert predictor(next((synthetic / "videos").glob("*.mp4")), every=4.0)


@needs_any_bfloat16
def test_bf16_asked_for_by_name_trains_slowly_and_scores_in_fp32(
    synthetic_config: list[str], tmp_path: Path, run_tool: RunTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, WITHOUT)
    code, _, err = run_tool("train_ava", *synthetic_config, "precision=bf16")
    assert code == 0
    assert err.count(f"warning: precision bf16: {WITHOUT.reason}: a convolution takes ") == 1
    assert (
        err.count(f"warning: precision bf16: fp32 is used in its place ({WITHOUT.reason})\n") == 1
    )
    assert read_environment(tmp_path / "run")["used"] == "bf16"
    weights = tmp_path / "run/checkpoints/last.pt"
    answer(monkeypatch, WITHOUT)
    code, _, err = run_tool("test_ava", *synthetic_config, "precision=bf16", "--weights", weights)
    assert code == 0
    assert (
        err.count(f"warning: precision bf16: fp32 is used in its place ({WITHOUT.reason})\n") == 1
    )


def test_a_head_learns_from_features_of_the_arithmetic_this_machine_has(
    synthetic_config: list[str], tmp_path: Path, run_tool: RunTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, WITHOUT)
    run_tool("train_ava", *synthetic_config)
    weights = f"weights={tmp_path}/run/checkpoints/last.pt"
    code, _, _ = run_tool("train_head", *synthetic_config, weights, "precision=auto")
    assert code == 0
    assert read_environment(tmp_path / "run/head") == {
        "asked": "auto",
        "used": "fp32",
        "reason": WITHOUT.reason,
    }
