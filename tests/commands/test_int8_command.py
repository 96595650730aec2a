"""What `ava-det export --precision int8` reads, hands on and says; nothing is quantized here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ava_det.config import load_config
from ava_det.export.int8 import Trial
from ava_det.formats.label_map import load_label_map
from ava_det.operations import export as operation
from ava_det.operations.int8_clips import read_int8_clips

RunTool = Callable[..., tuple[int, str, str]]


def test_clips_are_of_train_and_val_or_of_two_parts_of_train(synthetic_config: list[str]) -> None:
    _, path, *overrides = synthetic_config
    used, _, split = read_int8_clips(load_config(path, overrides))
    assert split == "val"
    assert [used[0][name].shape[1:3] for name in ("slow", "fast")] == [(3, 4), (3, 16)]
    assert used[0]["slow"].dtype == torch.float32 and float(used[0]["slow"].min()) < 0
    again = read_int8_clips(load_config(path, overrides))[0]
    assert len(again) == len(used) and torch.equal(again[-1]["fast"], used[-1]["fast"])
    alone = load_config(path, [*overrides, "data.val.annotations=null"])
    first, second, split = read_int8_clips(alone)
    assert split == "train" and len(first) == len(second) == len(used) // 2
    assert not any(torch.equal(a["fast"], b["fast"]) for a in first for b in second)


def test_the_command_says_how_the_file_was_made(
    run_tool: RunTool,
    synthetic_config: list[str],
    synthetic: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, Any] = {}

    def export(model: object, checks: object, clips: Any, *rest: Any) -> Trial:
        names = ("path", "format", "facts", "columns", "score")
        given.update(zip(names, rest, strict=True), sizes=[len(part) for part in clips])
        return Trial(["head"], 0.99312, 1.904, None)

    monkeypatch.setattr(operation, "import_nncf", lambda: None)
    monkeypatch.setattr(operation, "export_int8", export)
    options = ["--weights", weights, "--format", "openvino", "--precision", "int8"]
    options += ["--calibrate", synthetic_config[1], "--output", tmp_path / "model.xml"]
    code, out, err = run_tool("export", *synthetic_config, *options)
    assert code == 0, err
    used, held_out = given["sizes"]
    assert out.splitlines()[-1] == (
        f"{tmp_path}/model.xml: 1.90 times as fast as float32 on this CPU, rank correlation of the "
        f"scores 0.9931 on {held_out} held-out clips of val; in float32: head"
    )
    learned = load_label_map(synthetic / "labelmap.pbtxt")
    assert given["columns"] == [action_id - 1 for action_id in learned]
    assert given["facts"]["precision"] == "int8"
    assert given["facts"]["int8"] == {
        "config": synthetic_config[1],
        "clips": used,
        "held_out_clips": held_out,
        "held_out_split": "val",
    }
