from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ava_det.own_classes import choose_head, place_columns
from ava_det.own_classes.head_fit import NEVER, fit_head


def make_set(count: int, seed: int, width: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Two actions that depend on two of the features, one of them with noise."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, width, generator=generator)
    noise = torch.randn(count, generator=generator)
    return features, torch.stack((features[:, 0] > 0.5, features[:, 1] + noise > 0), dim=1).float()


def test_the_fit_is_the_minimum_whatever_it_starts_from() -> None:
    features, labels = make_set(200, seed=0)
    fits = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        fits.append(fit_head(nn.Sequential(nn.Linear(6, 2)), features, labels, penalty=0.03))
    torch.testing.assert_close(fits[0](features), fits[1](features), atol=1e-3, rtol=1e-3)
    weight = fits[0][0].weight
    assert int(weight[0].abs().argmax()) == 0
    assert int(weight[1].abs().argmax()) == 1


@settings(max_examples=8)
@given(st.floats(-50, 50), st.floats(0.01, 100))
def test_units_of_the_features_do_not_matter(shift: float, scale: float) -> None:
    features, labels = make_set(60, seed=1)
    layers = nn.Sequential(nn.Linear(6, 2))
    expected = fit_head(layers, features, labels, penalty=0.1)(features)
    moved = features * scale + shift
    torch.testing.assert_close(
        fit_head(layers, moved, labels, penalty=0.1)(moved), expected, atol=2e-2, rtol=1e-2
    )


def test_a_strong_penalty_leaves_how_often_each_action_is() -> None:
    features, labels = make_set(300, seed=2)
    scores = fit_head(nn.Sequential(nn.Linear(6, 2)), features, labels, penalty=1e4)(
        features
    ).sigmoid()
    torch.testing.assert_close(scores.mean(dim=0), labels.mean(dim=0), atol=0.01, rtol=0)
    assert float(scores.std(dim=0).max()) < 0.01


def test_a_constant_feature_is_no_number_only_to_a_naive_scaling() -> None:
    features, labels = make_set(100, seed=3)
    features[:, 4] = 7.0
    fitted = fit_head(nn.Sequential(nn.Linear(6, 2)), features, labels, penalty=0.01)
    assert bool(fitted(features).isfinite().all())
    assert not fitted[0].weight[:, 4].any()


@pytest.mark.parametrize("hidden", [False, True])
def test_unseen_boxes_are_classified(hidden: bool) -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(6, 6), nn.ReLU()] if hidden else []
    fitted, penalty = choose_head(
        nn.Sequential(*layers, nn.Linear(6, 2)), make_set(200, 4), make_set(200, 5)
    )
    features, labels = make_set(500, seed=6)
    right = ((fitted(features) > 0) == labels.bool()).float().mean(dim=0)
    assert float(right[0]) > 0.9
    assert float(right[1]) > 0.7  # noise of the feature's own size: 0.75 is what can be had
    assert 0.003 <= penalty <= 1


def test_few_noisy_boxes_want_a_stronger_penalty_than_many() -> None:
    val = make_set(400, seed=7, width=40)
    few = choose_head(nn.Sequential(nn.Linear(40, 2)), make_set(30, 8, width=40), val)[1]
    many = choose_head(nn.Sequential(nn.Linear(40, 2)), make_set(3000, 8, width=40), val)[1]
    assert few > many


def test_outputs_go_to_their_columns_and_the_others_say_never() -> None:
    narrow = nn.Linear(3, 2)
    wide = nn.Linear(3, 5)
    place_columns(narrow, wide, [4, 1])
    vectors = torch.randn(7, 3)
    logits = wide(vectors)
    torch.testing.assert_close(logits[:, [4, 1]], narrow(vectors))
    assert bool((logits[:, [0, 2, 3]] == NEVER).all())
