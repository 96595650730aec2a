"""Outputs of the networks that SlowFast is compared with, from their authors' names and weights.

tests/assets/parity_systems holds names, shapes and logits of public implementations that were
filled by the rule of tests/support/parity.py and run on its normal noise.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ava_det.checkpoint import WeightsError, load_weights
from ava_det.config import load_config
from ava_det.models.build import build_model
from tests.support.parity import make_state_dict

ASSETS = Path(__file__).parents[1] / "assets" / "parity_systems"
# fixture, config, source of the names
NETWORKS = [
    (
        "i3d_nln_r50_8x8_pyslowfast",
        "configs/kinetics/pyslowfast/I3D_NLN_8x8_R50.yaml",
        "pyslowfast",
    ),
    ("r2plus1d34_ig65m", "configs/kinetics/r2plus1d_34_8f.yaml", "torchvision_r2plus1d"),
    ("i3d_inception_rgb_piergiaj", "configs/kinetics/i3d_inception.yaml", "piergiaj"),
    ("s3d_torchvision", "configs/kinetics/torchvision/s3d.yaml", "torchvision_s3d"),
    ("s3dg_antoine_space_to_depth", "configs/kinetics/antoine77340/s3dg.yaml", "antoine77340"),
]


def load_fixture(name: str) -> dict[str, Any]:
    fixture: dict[str, Any] = json.loads((ASSETS / f"{name}.json").read_text())
    return fixture


def make_weights(fixture: dict[str, Any]) -> dict[str, Tensor]:
    """Draws the weights; some are scaled, where the plain rule overflows."""
    state = make_state_dict(fixture["keys"])
    for scaled in fixture.get("scaled_keys", []):
        for key in state:
            if key.endswith(tuple(scaled["endswith"])) and scaled.get("contains", "") in key:
                state[key] = state[key] * np.float32(scaled["factor"])
    return state


def make_clip(shape: list[int]) -> Tensor:
    values = np.random.RandomState(20181210).standard_normal(shape).astype(np.float32)
    return torch.from_numpy(values)


@pytest.mark.parametrize(("name", "config", "source"), NETWORKS)
def test_logits(name: str, config: str, source: str, tmp_path: Path) -> None:
    fixture = load_fixture(name)
    torch.save({"state_dict": make_weights(fixture)}, tmp_path / "weights.pth")
    model = build_model(load_config(config)).eval()
    report = load_weights(model, tmp_path / "weights.pth")
    assert report.source == source
    for case in fixture["cases"]:
        expected = torch.tensor(case["logits"])
        with torch.no_grad():
            logits = model(make_clip(case["input_shape"]))
        assert float((logits - expected).abs().max() / expected.std()) < 1e-4


@pytest.mark.slow
def test_logits_of_ten_fields_of_flow(tmp_path: Path) -> None:
    fixture = load_fixture("two_stream_flow_resnet101_jeffreyyihuang")
    torch.save({"state_dict": make_weights(fixture)}, tmp_path / "weights.pth.tar")
    path = "configs/kinetics/jeffreyyihuang/two_stream_resnet101.yaml"
    config = load_config(path, ["model.streams=flow"])
    model = build_model(config).eval()
    assert load_weights(model, tmp_path / "weights.pth.tar").source == "jeffreyyihuang"
    (case,) = fixture["cases"]
    stack = make_clip(case["input_shape"]).roll(2, 1)[:, :, None]  # its first field stood last
    with torch.no_grad():
        logits = model(flow=stack)
    expected = torch.tensor(case["logits"])
    assert float((logits - expected).abs().max() / expected.std()) < 1e-4


@pytest.mark.parametrize(("name", "config", "source"), NETWORKS)
def test_a_file_of_another_family_is_refused_by_name(
    name: str, config: str, source: str, tmp_path: Path
) -> None:
    # names and shapes say whose it is: no numbers are drawn or stored
    shapes = load_fixture(name)["keys"]
    state = {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}
    torch.save(state, tmp_path / "weights.pth")
    own = load_config(config).model.backbone
    other = "s3d" if own != "s3d" else "i3d_inception"
    model = build_model(load_config(config, [f"model.backbone={other}"]))
    with pytest.raises(WeightsError, match=f"model.backbone={own}"):
        load_weights(model, tmp_path / "weights.pth")


def test_mmaction2_leaves_the_norms_between_two_halves_at_another_eps() -> None:
    config = load_config(
        "configs/kinetics/mmaction2/r2plus1d_34.yaml", ["model.width=4", "model.r2plus1d.depth=10"]
    )
    eps = {
        name: module.eps
        for name, module in build_model(config).named_modules()
        if isinstance(module, torch.nn.BatchNorm3d)
    }
    inner = [name for name in eps if name.endswith("spatial.bn")]
    assert len(inner) == 1 + 8 + 3  # the stem, two a block, three shortcuts
    assert {eps[name] for name in inner} == {1e-5}
    assert {value for name, value in eps.items() if name not in inner} == {1e-3}
