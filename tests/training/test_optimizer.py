from __future__ import annotations

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
