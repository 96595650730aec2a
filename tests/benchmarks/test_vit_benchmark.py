"""The eager form that ours is compared with computes the same; the comparison runs."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from ava_det.config import load_config
from ava_det.models.action_detector import ActionDetector
from ava_det.models.build import build_model
from ava_det.models.inference_form import optimize_for_inference
from benchmarks.__main__ import main
from benchmarks.eager_vit import run_eager

CONFIG = "configs/ava/mmaction2/vit_b_videomae.yaml"
TINY = (
    "model.vit.width=24",
    "model.vit.depth=2",
    "model.vit.heads=3",
    "model.num_slow_frames=4",
    "model.num_classes=5",
)


def test_the_eager_form_computes_what_ours_does() -> None:
    torch.manual_seed(0)
    model = cast(ActionDetector, build_model(load_config(CONFIG, TINY))).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    clip = torch.randn(2, 3, 4, 50, 70)
    rois = torch.tensor([[0, 3.0, 4.0, 40.0, 45.0], [1, -5.0, 0.0, 30.0, 60.0]])
    with torch.inference_mode():
        expected = run_eager(model, clip, rois)
        ours = optimize_for_inference(model, torch.device("cpu"))(slow=clip, rois=rois)
    assert float((ours - expected).abs().max() / expected.std()) < 1e-5


@pytest.mark.parametrize("option", [[], ["--memory"]])
def test_the_comparison_runs(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["vit", "--size", "32", "--width", "48", "--repeat", "1", *option]
    assert main([*arguments, "--set", *TINY]) == 0
    printed = capsys.readouterr().out
    assert "eager, as published" in printed
    assert "inference form" in printed
