from __future__ import annotations

import pytest
import torch
from torch import nn

from ava_det.own_classes import calibrate, find_thresholds


def identity(width: int) -> nn.Linear:
    layer = nn.Linear(width, width)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(width))
        layer.bias.zero_()
    return layer


def test_scores_that_are_too_sure_become_honest() -> None:
    """Truth drawn from sigmoid(logit / 3 - 1): that is what calibration must find."""
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(4000, 2, generator=generator)
    labels = (torch.rand(4000, 2, generator=generator) < (logits / 3 - 1).sigmoid()).float()
    layer = identity(2)
    calibrate(layer, logits, labels)
    assert layer.weight.diagonal().tolist() == pytest.approx([1 / 3, 1 / 3], abs=0.03)
    assert layer.bias.tolist() == pytest.approx([-1, -1], abs=0.12)
    scores = layer(logits)[:, 0].detach().sigmoid()
    for low in (0.1, 0.3, 0.5, 0.7):
        inside = (scores >= low) & (scores < low + 0.2)
        assert float(labels[inside, 0].mean()) == pytest.approx(
            float(scores[inside].mean()), abs=0.05
        )


def test_a_class_keeps_its_scores_where_nothing_can_be_fitted() -> None:
    logits = torch.tensor(
        [[2.0, 3.0, -1.0], [1.0, 2.0, -2.0], [-1.0, -2.0, 1.0], [-2.0, -3.0, 2.0]]
    )
    # one example, none, the wrong way round
    labels = torch.tensor([[1.0, 0, 1], [0, 0, 1], [0, 0, 0], [0, 0, 0]])
    layer = identity(3)
    calibrate(layer, logits, labels)
    assert torch.equal(layer(logits), logits)


@pytest.mark.parametrize(
    ("scores", "labels", "threshold"),
    [
        # between the last that is right and the first that is wrong
        ([0.9, 0.8, 0.4, 0.1], [1, 1, 0, 0], 0.6),
        ([0.9, 0.8, 0.4, 0.1], [1, 0, 1, 0], 0.25),  # F1 0.8 of three shown, 0.67 of one
        ([0.9, 0.8], [1, 1], 0.4),
        ([0.9, 0.8], [0, 0], 0.5),  # nothing to show
        # equal scores are shown together: one of three is right
        ([0.5, 0.5, 0.5, 0.2], [1, 0, 0, 0], 0.5),
        ([0.3, 0.2, 0.1, 0.1, 0.1], [0, 0, 0, 0, 1], 0.5),  # never half of them right
    ],
)
def test_thresholds_of_known_cases(
    scores: list[float], labels: list[int], threshold: float
) -> None:
    found = find_thresholds(
        torch.tensor(scores)[:, None], torch.tensor(labels, dtype=torch.float32)[:, None]
    )
    assert found == pytest.approx([threshold], abs=1e-6)
