"""ACRN's head: MMAction2's outputs, and what no boxes and other boxes may not change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ava_det.checkpoint import load_weights
from ava_det.checkpoint.names import translate
from ava_det.config import ConfigError, load_config
from ava_det.models.acrn_head import ACRNHead
from ava_det.models.build import build_model
from ava_det.models.cost import compute_cost
from ava_det.models.inference_form import optimize_for_inference
from tests.support.foreign_names import to_mmaction2
from tests.support.parity import deviation, load_fixture, make_state_dict

SMALL = ["model.depth=14", "model.width=8", "model.beta_inv=4", "model.num_slow_frames=2"]
CONFIG = "configs/ava/slowfast_r50_8x8_acrn.yaml"
ROIS = torch.tensor(
    [[0, 4.0, 4.0, 30.0, 40.0], [1, 10.0, 2.0, 60.0, 47.0], [1, -20.0, -9.0, 15.0, 90.0]]
)


def build_small(*overrides: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(load_config(CONFIG, [*SMALL, *overrides]))


def make_clips() -> tuple[Tensor, Tensor]:
    fast = torch.randn(2, 3, 8, 48, 64, generator=torch.Generator().manual_seed(1))
    return fast[:, :, ::4], fast


def test_relations_of_the_public_implementation() -> None:
    fixture = load_fixture("acrn_head_mmaction2")
    keys = fixture["keys"]
    state = {f"roi_head.{name}": tensor for name, tensor in make_state_dict(keys).items()}
    head = ACRNHead([48], 5, 16).eval()
    ours = {name.removeprefix("head."): t for name, t in translate(state, "mmaction2").items()}
    missing, unexpected = head.load_state_dict(ours, strict=False)
    assert unexpected == []
    assert missing == ["projection.weight", "projection.bias"]
    random = np.random.RandomState(20181210)
    maps, boxes = (
        torch.from_numpy(random.standard_normal(shape).astype(np.float32))
        for shape in ((2, 48, 12, 16), (5, 48, 8, 8))
    )
    with torch.no_grad():
        persons = boxes.flatten(2).amax(dim=2)
        out = head.compute_relations(maps, persons, torch.tensor([0, 0, 1, 1, 0]))
    assert out.shape == (5, 48, 12, 16)
    assert deviation(out.mean(dim=(2, 3)), fixture["out_mean_over_space"]) < 1e-5
    assert deviation(out.amax(dim=(2, 3)), fixture["out_max_over_space"]) < 1e-5


def test_mmaction2_names_are_read_back_without_the_background(tmp_path: Path) -> None:
    expected = build_small()
    state = {}
    for name, tensor in expected.state_dict().items():
        if name.startswith(("head.relate", "head.refine")):
            _, part, leaf = name.split(".")
            number = 1 if part.startswith("relate") else 2
            kind = "bn" if part.endswith("_bn") else "conv"
            state[f"roi_head.shared_head.conv{number}.{kind}.{leaf}"] = tensor
        else:
            state[to_mmaction2(name, two_pathways=True)] = tensor
    for name in ("weight", "bias"):
        last = state[f"roi_head.bbox_head.fc_cls.{name}"]
        last.normal_()
        state[f"roi_head.bbox_head.fc_cls.{name}"] = torch.cat([torch.zeros_like(last[:1]), last])
    torch.save({"state_dict": state}, tmp_path / "acrn.pth")
    model = build_small("seed=1")
    assert load_weights(model, tmp_path / "acrn.pth").source == "mmaction2"
    for name, tensor in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_no_boxes_leave_the_statistics_and_still_train() -> None:
    model = build_small().train()
    norm = model.get_submodule("head.relate_bn")
    assert isinstance(norm, torch.nn.BatchNorm3d)
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    logits = model(*make_clips(), torch.zeros(0, 5))
    assert logits.shape == (0, 80)
    logits.sum().backward()
    assert torch.equal(norm.running_mean, before)
    assert all(
        p.grad is not None and p.grad.isfinite().all()
        for p in model.get_submodule("head").parameters()
    )


def test_batched_equals_single_and_a_box_changes_its_row_alone() -> None:
    model = build_small().eval()
    slow, fast = make_clips()
    moved = ROIS.clone()
    moved[1, 1:] -= 7
    with torch.no_grad():
        batched = model(slow, fast, ROIS)
        alone = model(slow[:1], fast[:1], ROIS[:1])
        after = model(slow, fast, moved)
        form = optimize_for_inference(model)(slow, fast, ROIS)
    torch.testing.assert_close(alone, batched[:1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after[[0, 2]], batched[[0, 2]], rtol=0, atol=0)
    assert not torch.allclose(after[1], batched[1])
    torch.testing.assert_close(form, batched, rtol=1e-4, atol=1e-5)


def test_every_parameter_gets_a_gradient() -> None:
    model = build_small("model.zero_init_last_gamma=false")
    model(*make_clips(), ROIS).square().sum().backward()
    assert [n for n, p in model.named_parameters() if not p.grad.abs().sum() > 0] == []


def test_its_cost_is_counted() -> None:
    with torch.device("meta"):
        model = build_model(load_config(CONFIG))
    cost = compute_cost(model, {"slow": (3, 8), "fast": (3, 32)})
    (head,) = (stage for stage in cost.per_stage if stage.name == "head")
    assert head.params_m == pytest.approx(58.588 - 2305e-6, rel=1e-4)  # 80 rows, not 81


def test_what_it_cannot_be_joined_with_is_said() -> None:
    with pytest.raises(ConfigError, match=r"model\.roi_context: expected false"):
        build_small("model.roi_context=true")
    with pytest.raises(ConfigError, match=r"model\.head: expected roi"):
        build_small("model.head=classification")
