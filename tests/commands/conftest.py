"""The demo on a synthetic video, with weights that nobody trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ava_det.checkpoint import save_checkpoint
from ava_det.config import config_to_dict, load_config
from ava_det.formats.label_map import load_label_map
from ava_det.models.build import build_model
from tests.support.tool_runs import RunTool


@pytest.fixture
def weights(synthetic_config: list[str], synthetic: Path, tmp_path: Path) -> Path:
    """A checkpoint that carries its config and label map, as training writes them."""
    config = load_config(synthetic_config[1], synthetic_config[2:])
    torch.manual_seed(0)
    path = tmp_path / "weights" / "weights.pt"
    names = load_label_map(synthetic / "labelmap.pbtxt")
    save_checkpoint(
        path,
        {
            "model": build_model(config).state_dict(),
            "config": config_to_dict(config),
            "label_map": names,
        },
    )
    return path


@pytest.fixture
def video(synthetic: Path) -> Path:
    return next((synthetic / "videos").glob("demo_*.mp4"))


@pytest.fixture
def demo(run_tool: RunTool, weights: Path, video: Path) -> RunTool:
    def run(*arguments: object) -> tuple[int, str, str]:
        given = [str(argument) for argument in arguments]
        source = [] if "--video" in given else ["--video", str(video)]
        who = [] if "--boxes" in given or "--detector" in given else ["--detector", "motion"]
        return run_tool(
            "demo", *source, "--weights", weights, *who, "data.min_person_score=0.1", *given
        )

    return run
