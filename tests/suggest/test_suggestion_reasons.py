"""The three reasons, calibrated scores and what may be suggested, on arrays with known answers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ava_det.suggest import Calibration, shows_labeled
from ava_det.suggest.novelty import Distances
from ava_det.suggest.rarity import ExampleCounts
from ava_det.suggest.uncertainty import count_expected_errors


def test_a_draft_of_calibrated_scores_is_expected_to_be_wrong_so_often() -> None:
    scores = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.5, 0.5], [0.9, 0.2, 0.0]])
    assert count_expected_errors(scores).tolist() == pytest.approx([0.0, 1.5, 0.3])


def test_distances_are_to_the_nearest_labeled_or_taken_box() -> None:
    """On a line: what is labeled at 0, boxes at 1, 2, 6, 10; k-centre takes 10, then 6, then 2."""
    features = torch.tensor([[1.0], [2.0], [6.0], [10.0]])
    distances = Distances(features, torch.tensor([[0.0]]))
    scale = torch.tensor([0.0, 1.0, 2.0, 6.0, 10.0]).std(correction=0)
    taken = []
    for expected in ([1, 2, 6, 10], [1, 2, 4, 0], [1, 2, 0, 0]):
        assert (distances.values * scale).tolist() == pytest.approx(expected, abs=1e-5)
        taken.append(int(distances.values.argmax()))
        distances.take(torch.tensor(taken[-1:]))
    assert taken == [3, 2, 1]


def test_a_feature_that_never_changes_counts_nothing_and_scales_do_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    features, labeled = (
        torch.randn(6, 4, generator=generator),
        torch.randn(3, 4, generator=generator),
    )
    plain = Distances(features, labeled).values
    scales = torch.tensor([1.0, 100.0, 0.01, 5.0])
    assert torch.allclose(Distances(features * scales, labeled * scales).values, plain, atol=1e-4)
    constant = torch.full((6, 4), 7.0)
    wide = Distances(torch.cat((features, constant), 1), torch.cat((labeled, constant[:3]), 1))
    assert torch.allclose(wide.values, plain, atol=1e-4)


def test_without_labels_what_is_far_from_the_mean_is_new() -> None:
    features = torch.tensor([[0.0], [0.0], [0.0], [4.0]])
    distances = Distances(features, torch.zeros(0, 1))
    assert int(distances.values.argmax()) == 3
    distances.take(torch.tensor([3]))
    assert float(distances.values[3]) == 0


def test_actions_of_few_examples_count_more_until_some_are_taken() -> None:
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    examples = ExampleCounts(scores, torch.tensor([99.0, 0.0]))
    assert examples.compute_rarity().tolist() == pytest.approx([0.01, 1.0, 0.505])
    examples.take(torch.tensor([1, 2]))
    assert examples.compute_rarity().tolist() == pytest.approx(
        [1 / 100.5, 1 / 2.5, 0.2 + 0.5 / 100.5]
    )


def test_scores_that_are_too_sure_become_shares() -> None:
    """Truth drawn from sigmoid(logit / 2 - 1), for all actions alike."""
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(3000, 3, generator=generator)
    labels = (torch.rand(3000, 3, generator=generator) < (logits / 2 - 1).sigmoid()).float()
    fitted = Calibration.fit(logits.sigmoid(), labels)
    assert fitted == pytest.approx((0.5, -1.0), abs=0.05)
    shares = fitted.apply(logits.sigmoid())
    sure = (shares > 0.6) & (shares < 0.8)
    assert float(labels[sure].mean()) == pytest.approx(float(shares[sure].mean()), abs=0.04)
    assert torch.allclose(Calibration().apply(logits.sigmoid()), logits.sigmoid(), atol=1e-5)


@given(
    labeled=st.lists(st.floats(0, 30), max_size=8),
    every=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
)
def test_no_moment_is_left_that_a_labeled_keyframe_shows(
    labeled: list[float], every: float
) -> None:
    for moment in (number * every for number in range(int(30 / every))):
        distance = min((abs(moment - one) for one in labeled), default=every)
        if abs(distance - every / 2) > 1e-3:
            assert shows_labeled(moment, labeled, every) == (distance < every / 2)
