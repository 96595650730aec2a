from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ava_det.training.optimizer import build_optimizer, build_parameter_groups, compute_lr


def test_norms_and_biases_do_not_decay() -> None:
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.Linear(4, 2))
    decayed, free = build_parameter_groups(model, 0.1)
    assert decayed["weight_decay"] == 0.1
    assert free["weight_decay"] == 0.0
    assert [p.ndim > 1 for p in decayed["params"]] == [True, True]  # type: ignore[attr-defined]
    assert len(free["params"]) == 4  # type: ignore[arg-type]


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    decayed, free = build_parameter_groups(model, 0.1)
    assert (len(decayed["params"]), len(free["params"])) == (0, 1)  # type: ignore[arg-type]


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
