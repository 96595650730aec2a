from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ava_det.config import load_config
from ava_det.models.backbone import Backbone
from ava_det.models.build import build_model
from ava_det.structures import ClipBatch
from ava_det.training.loop import LoopSettings, take_step
from ava_det.training.loss import StepLoss
from ava_det.training.optimizer import build_optimizer, build_parameter_groups, compute_lr
from tests.support.toy import make_batch

RESNET = "configs/ava/mmaction2/slowonly_r50_4x16_v2.1.yaml"


def test_norms_and_biases_do_not_decay() -> None:
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.Linear(4, 2))
    decayed, free = build_parameter_groups(model, 0.1)
    assert decayed["weight_decay"] == 0.1
    assert free["weight_decay"] == 0.0
    assert [p.ndim > 1 for p in decayed["params"]] == [True, True]
    assert len(free["params"]) == 4


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    decayed, free = build_parameter_groups(model, 0.1)
    assert (len(decayed["params"]), len(free["params"])) == (0, 1)


def test_optimizers_have_the_asked_settings() -> None:
    model = nn.Linear(3, 2)
    sgd = build_optimizer(model, "sgd", 0.1, 0.9, True, 1e-7)
    assert isinstance(sgd, torch.optim.SGD)
    assert (sgd.defaults["momentum"], sgd.defaults["nesterov"]) == (0.9, True)
    assert isinstance(build_optimizer(model, "adamw", 0.1, 0.9, False, 0.02), torch.optim.AdamW)


def lr(epoch: float, schedule: str, warmup: float = 2.0) -> float:
    return compute_lr(epoch, 0.8, 10, warmup, schedule, [4.0, 8.0])


def test_steps_divide_by_ten() -> None:
    assert lr(2, "steps") == pytest.approx(0.8)
    assert lr(3.99, "steps") == pytest.approx(0.8)
    assert lr(4, "steps") == pytest.approx(0.08)
    assert lr(9, "steps") == pytest.approx(0.008)


def test_cosine_is_half_a_period() -> None:
    assert lr(5, "cosine") == pytest.approx(0.4)
    assert lr(10, "cosine") == pytest.approx(0.0)
    assert lr(0, "cosine", warmup=0) == pytest.approx(0.8)


@given(st.sampled_from(["steps", "cosine"]), st.floats(0, 1.99), st.floats(0, 1.99))
def test_warm_up_climbs_from_a_hundredth(schedule: str, a: float, b: float) -> None:
    first, second = sorted((a, b))
    assert lr(first, schedule) <= lr(second, schedule) + 1e-12
    assert lr(0, schedule) == pytest.approx(0.008)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_fused_step_is_the_plain_one_in_any_layout(name: str) -> None:
    """Fused kernels read memory in a row: weights, gradients and momenta must stand in the same
    order.
    """
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv3d(3, 4, (3, 1, 1)), nn.Conv3d(4, 5, (1, 3, 3)), nn.Conv3d(5, 2, 1)
    )
    fused = copy.deepcopy(plain).to(memory_format=torch.channels_last_3d)
    ours = build_optimizer(fused, name, 0.1, 0.9, True, 0.01)
    groups = build_parameter_groups(plain, 0.01)
    theirs = (
        torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True, foreach=False)
        if name == "sgd"
        else torch.optim.AdamW(groups, lr=0.1, foreach=False)
    )
    for _ in range(3):
        clip = torch.randn(2, 3, 4, 6, 7)
        for model, optimizer in ((plain, theirs), (fused, ours)):
            optimizer.zero_grad(set_to_none=True)
            model(clip).square().mean().backward()
            optimizer.step()
    for one, other in zip(plain.parameters(), fused.parameters(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


def list_scales(model: nn.Module, layer_decay: float) -> dict[str, float]:
    """Returns the share of the learning rate of each parameter; each has exactly one."""
    backbone = model.backbone
    assert isinstance(backbone, Backbone)
    groups = build_parameter_groups(model, 0.05, backbone.list_layers(), layer_decay)
    names = {parameter: name for name, parameter in model.named_parameters()}
    scales: dict[str, float] = {}
    for group in groups:
        for parameter in group["params"]:
            assert names[parameter] not in scales
            assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0.0)
            scales[names[parameter]] = float(group["lr_scale"])
    assert set(scales) == set(names.values())
    return scales


def build_tiny(backbone: str, *overrides: str) -> nn.Module:
    wanted = ("model.num_slow_frames=4", "model.torchvision.width=24", *overrides)
    with torch.device("meta"):
        return build_model(load_config(RESNET, [f"model.backbone={backbone}", *wanted]))


def test_layer_decay_counts_the_blocks_from_the_end() -> None:
    sizes = ("model.vit.width=16", "model.vit.depth=3", "model.vit.heads=2")
    scales = list_scales(build_tiny("vit", *sizes), 0.5)
    assert scales["head.projection.weight"] == 1.0
    assert scales["backbone.norm.weight"] == 1.0
    assert [scales[f"backbone.blocks.{i}.attn.qkv.weight"] for i in range(3)] == [
        1 / 8,
        1 / 4,
        1 / 2,
    ]
    assert scales["backbone.blocks.0.norm1.bias"] == 1 / 8
    assert scales["backbone.patch_embed.weight"] == 1 / 16


def test_layer_decay_of_torchvisions_transformers() -> None:
    scales = list_scales(build_tiny("swin3d_t"), 0.5)  # 2 + 2 + 6 + 2 blocks
    assert scales["backbone.patch_embed.proj.weight"] == 0.5**13
    assert scales["backbone.features.0.1.mlp.0.weight"] == 0.5**11
    assert scales["backbone.features.1.reduction.weight"] == 0.5**11
    assert scales["backbone.features.6.1.mlp.0.weight"] == 0.5
    assert scales["backbone.norm.weight"] == scales["head.projection.bias"] == 1.0
    scales = list_scales(build_tiny("mvit_v2_s", "model.torchvision.width=8"), 0.5)  # 16 blocks
    assert scales["backbone.conv_proj.weight"] == scales["backbone.pos_encoding.class_token"]
    assert scales["backbone.conv_proj.weight"] == 0.5**17
    assert scales["backbone.blocks.15.norm1.weight"] == 0.5


def test_without_layer_decay_there_are_two_groups() -> None:
    model = build_tiny("vit", "model.vit.width=16", "model.vit.depth=3", "model.vit.heads=2")
    groups = build_parameter_groups(model, 0.1, model.backbone.list_layers())
    assert [group["lr_scale"] for group in groups] == [1.0, 1.0]


def test_a_step_moves_each_layer_by_its_share() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1))
    optimizer = build_optimizer(model, "sgd", 0.1, 0, False, 0, [[model[0]], [model[1]]], 0.5)
    before = [layer.bias.detach().clone() for layer in model]
    settings = LoopSettings(1, None, False, CountingLoss(), 1, None, 1)
    batch = make_batch([0])
    take_step(model, batch, 1, 0.2, optimizer, lambda batch: batch, settings)
    moved = [
        float((layer.bias.detach() - old).mean()) for layer, old in zip(model, before, strict=True)
    ]
    assert moved == pytest.approx([-0.05, -0.1, -0.2])


class CountingLoss:
    """Adds up all parameters, so that every gradient is 1."""

    initial_loss = None

    def count(self, batch: ClipBatch) -> int:
        return 1

    def compute(self, model: nn.Module, batch: ClipBatch, num_examples: float) -> StepLoss:
        return StepLoss({"loss": torch.stack([p.sum() for p in model.parameters()]).sum()})
