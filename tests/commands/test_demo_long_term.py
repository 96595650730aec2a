"""The demo with a long-term head: two passes over a file, with a detector and with own boxes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ava_det.checkpoint import save_checkpoint
from ava_det.config import config_to_dict, load_config
from ava_det.formats.annotations import load_detections
from ava_det.models.build import build_model
from tests.support.tool_runs import RunTool


@pytest.fixture
def long_term_weights(synthetic_config: list[str], weights: Path, tmp_path: Path) -> Path:
    """Weights that carry the name of the network, `weights`, that fills their bank."""
    bank = {"operator": "non_local", "bank_weights": weights, "channels": 8, "window_seconds": 4}
    keys = [f"model.long_term.{key}={value}" for key, value in bank.items()]
    plain = build_model(load_config(synthetic_config[1], synthetic_config[2:]))
    width = plain.get_submodule("head").num_features
    keys.append(f"model.long_term.bank_channels={width}")
    config = load_config(synthetic_config[1], [*synthetic_config[2:], *keys])
    torch.manual_seed(1)
    model = build_model(config)
    torch.nn.init.normal_(model.get_submodule("head").get_parameter("projection.weight"))
    path = tmp_path / "long_term.pt"
    save_checkpoint(path, {"model": model.state_dict(), "config": config_to_dict(config)})
    return path


@pytest.mark.slow
def test_a_second_pass_scores_the_same_each_time_with_found_and_with_own_boxes(
    run_tool: RunTool, long_term_weights: Path, synthetic: Path, video: Path, tmp_path: Path
) -> None:
    boxes = tmp_path / "boxes.csv"
    own = {line.rsplit(",", 2)[0] for line in (synthetic / "demo.csv").read_text().splitlines()}
    boxes.write_text("".join(f"{line},,0.95\n" for line in sorted(own)))
    texts = []
    for name, who in (
        ("first", ["--detector", "motion"]),
        ("again", ["--detector", "motion"]),
        ("own", ["--boxes", boxes]),
    ):
        table = tmp_path / f"{name}.csv"
        options = ["--weights", long_term_weights, *who, "--csv", table, "--end", "4"]
        code, _, err = run_tool("demo", "--video", video, *options)
        assert code == 0, err
        assert len(load_detections(table).scores)
        texts.append(table.read_text())
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
