"""torchvision's video transformers as backbones: its outputs, its names, its costs, any size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models.video import swin3d_t

from ava_det.checkpoint import load_weights
from ava_det.checkpoint.architecture import describe_network
from ava_det.config import Config, load_config
from ava_det.models.build import build_model
from ava_det.models.cost import compute_cost
from tests.support.parity import load_fixture, make_clips, make_state_dict

SLOW_ONLY = "configs/ava/mmaction2/slowonly_r50_4x16_v2.1.yaml"
FIXTURE = "torchvision_mvit_v2_s"


def make_config(family: str, *overrides: str) -> Config:
    return load_config(SLOW_ONLY, [f"model.backbone={family}", *overrides])


@pytest.fixture(scope="module")
def mvit_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fixture = load_fixture(FIXTURE)
    path = tmp_path_factory.mktemp("parity") / "mvit.pth"
    torch.save(make_state_dict(fixture["keys"], set(fixture["norm_stems"])), path)
    return path


@pytest.mark.parametrize("case", ["96x128", "100x134"])
def test_maps_and_logits_of_mvit(case: str, mvit_file: Path) -> None:
    fixture = load_fixture(FIXTURE)["cases"][case]
    model = build_model(make_config("mvit_v2_s", "model.roi_resolution=7")).eval()
    load_weights(model, mvit_file)
    batch, frames, height, width, _ = fixture["input"]["make_input"]
    clip = make_clips({"inputs_shape": [[batch, 3, frames, height, width]], "alpha": 1})["fast"]
    with torch.no_grad():
        (features,) = model.backbone(clip)
        logits = model.head([features], torch.tensor(fixture["rois"]))
    expected = fixture["feature_map"]
    assert list(features.shape) == expected["shape"]
    assert features.mean().item() == pytest.approx(expected["mean"], abs=1e-6)
    assert features.std(correction=0).item() == pytest.approx(expected["std"], rel=1e-6)
    first = torch.tensor(fixture["feature_map_first_8"])
    assert torch.allclose(features.flatten()[:8], first, atol=2e-5)
    reference = torch.tensor(fixture["logits"])
    deviation = float((logits - reference).abs().max() / reference.std(correction=0))
    assert deviation < 3e-5


def test_torchvisions_own_file_and_logits_of_swin(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = swin3d_t(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "swin3d_t.pth")
    overrides = ("model.head=classification", "model.num_classes=400")
    model = build_model(make_config("swin3d_t", *overrides)).eval()
    report = load_weights(model, tmp_path / "swin3d_t.pth")
    assert report.source == "torchvision_swin3d"
    assert not report.missing
    assert not report.unexpected
    clip = torch.randn(1, 3, 6, 70, 52, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs(clip)
        received = model(clip)
    assert float((received - expected).abs().max() / expected.std()) < 1e-5


# GMACs of a clip of 16 frames (mvit) or 32 (swin), and parameters in millions without a head
COSTS = [
    ("mvit_v2_s", 16, 224, 64.2, 34.230),
    ("mvit_v2_s", 16, 256, 89.7, 34.230),
    ("swin3d_t", 32, 224, 87.8, 27.850),
    ("swin3d_t", 32, 256, 148.0, 27.850),
    ("swin3d_s", 16, 224, 82.84, 49.508),
    ("swin3d_b", 16, 224, 140.67, 87.638),
]


@pytest.mark.parametrize(("family", "frames", "size", "gmacs", "params"), COSTS)
def test_costs(family: str, frames: int, size: int, gmacs: float, params: float) -> None:
    with torch.device("meta"):
        model = build_model(make_config(family, f"model.num_slow_frames={frames}"))
    cost = compute_cost(model, {"slow": (3, frames)}, size)
    assert cost.backbone_gmacs == pytest.approx(gmacs, rel=0.005)
    backbone = model.backbone
    assert isinstance(backbone, nn.Module)
    own = sum(p.numel() for p in backbone.parameters()) / 1e6
    assert own == pytest.approx(params, rel=0.002)


@pytest.mark.parametrize(
    ("family", "frames", "width", "gmacs"),
    [
        ("mvit_v2_s", 16, 341, 135.0),
        ("mvit_v2_s", 16, 464, 201.0),
        ("swin3d_t", 32, 341, 193.0),
        ("swin3d_t", 32, 464, 255.0),
    ],
)
def test_costs_of_wide_frames(family: str, frames: int, width: int, gmacs: float) -> None:
    with torch.device("meta"):
        model = build_model(make_config(family, f"model.num_slow_frames={frames}"))
    cost = compute_cost(model, {"slow": (3, frames)}, 256, width)
    assert cost.backbone_gmacs == pytest.approx(gmacs, rel=0.005)


@pytest.mark.parametrize("family", ["mvit_v2_s", "swin3d_t"])
def test_a_map_has_one_cell_for_32_pixels(family: str) -> None:
    width = {"mvit_v2_s": 8, "swin3d_t": 24}[family]
    model = build_model(make_config(family, f"model.torchvision.width={width}")).eval()
    assert model.head.feature_stride == 32
    for frames, height, wide in ((4, 64, 96), (16, 33, 200), (7, 100, 134)):
        with torch.no_grad():
            (features,) = model.backbone(torch.zeros(1, 3, frames, height, wide))
        cells = [-(-frames // 2), -(-height // 32), -(-wide // 32)]
        assert list(features.shape) == [1, 8 * width, *cells]


@pytest.mark.parametrize(("family", "eps"), [("mvit_v2_s", 1e-6), ("swin3d_t", 1e-5)])
def test_every_norm_has_the_published_eps(family: str, eps: float) -> None:
    """No output pins it well: asserted by value, so that another torchvision cannot change it."""
    with torch.device("meta"):
        model = build_model(make_config(family))
    assert {m.eps for m in model.modules() if isinstance(m, nn.LayerNorm)} == {eps}


@pytest.mark.parametrize("family", ["swin3d_s", "swin3d_b"])
def test_weights_of_one_depth_are_told_apart_by_their_width(family: str) -> None:
    with torch.device("meta"):
        model = build_model(make_config(family))
    assert describe_network(model.state_dict())["model.backbone"] == family
