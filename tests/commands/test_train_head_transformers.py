"""Own classes on frozen features of the video transformers, in tiny form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ava_det.checkpoint import load_checkpoint, save_checkpoint
from ava_det.config import load_config
from ava_det.models.build import build_model
from tests.support.tool_runs import RunTool

SHARED = ("model.num_slow_frames=4", "model.slow_stride=4", "data.test_short_side=48")
VIT = ("model.vit.width=24", "model.vit.depth=1", "model.vit.heads=3")


@pytest.mark.parametrize(
    ("family", "overrides"),
    [
        ("vit", VIT),
        pytest.param("vit", (*VIT, "model.roi_context=true"), marks=pytest.mark.slow),
        pytest.param("mvit_v2_s", ("model.torchvision.width=8",), marks=pytest.mark.slow),
        pytest.param("swin3d_t", ("model.torchvision.width=24",), marks=pytest.mark.slow),
    ],
)
def test_a_head_for_own_classes_is_scored_as_it_was_fitted(
    family: str,
    overrides: tuple[str, ...],
    run_tool: RunTool,
    synthetic_config: list[str],
    tmp_path: Path,
) -> None:
    settings = [*synthetic_config, f"model.backbone={family}", *SHARED, *overrides]
    torch.manual_seed(0)
    backbone = build_model(load_config(settings[1], settings[2:])).state_dict()
    save_checkpoint(tmp_path / "start.pt", {"model": backbone})
    code, _, err = run_tool("train_head", *settings, f"weights={tmp_path}/start.pt")
    assert code == 0, err
    head = tmp_path / "run/head"
    trained = load_checkpoint(head / "checkpoints/last.pt")["model"]
    kept = [name for name in backbone if name.startswith("backbone.")]
    assert kept
    assert all(torch.equal(trained[name], backbone[name]) for name in kept)
    fitted = json.loads((head / "metrics.json").read_text())["mAP"]
    again = [*settings, "--weights", head / "checkpoints/last.pt", f"output_dir={tmp_path}/again"]
    code, _, err = run_tool("test_ava", *again, "--boxes", "gt")
    assert code == 0, err
    tested = json.loads((tmp_path / "again/metrics.json").read_text())["mAP"]
    assert tested == pytest.approx(fitted, abs=1e-4)
