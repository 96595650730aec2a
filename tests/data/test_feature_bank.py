"""The bank of features: whose features stand in which place of a window."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ava_det.data.feature_bank import FeatureBank
from ava_det.structures import Keyframe


def make_keyframe(timestamp: float, *scores: float) -> Keyframe:
    boxes = torch.tensor([[0.1, 0.1, 0.5, 0.9]]).repeat(len(scores), 1)
    return Keyframe("film", timestamp, boxes, None, torch.tensor(scores))


def mark(timestamp: float, count: int) -> Tensor:
    """Features (second, number of the person)."""
    return torch.tensor([[timestamp, float(i + 1)] for i in range(count)]).reshape(count, 2)


@pytest.fixture
def bank() -> FeatureBank:
    """Seconds 902, 904 and 905, given out of order; three persons in 904."""
    scores = {905.0: (0.9,), 904.0: (0.5, 0.9, 0.7), 902.0: (1.0, 1.0)}
    keyframes = [make_keyframe(moment, *own) for moment, own in scores.items()]
    bank = FeatureBank(window_seconds=4, persons_per_second=2, channels=2)
    bank.add_video("film", keyframes, [mark(k.timestamp, len(k.boxes)) for k in keyframes])
    return bank


def test_each_second_has_its_places_and_the_surest_persons_take_them(bank: FeatureBank) -> None:
    window = bank.cut_out("film", 904.0)  # the seconds 902, 903, 904, 905
    nobody = [0.0, 0.0]
    expected = [[902, 1], [902, 2], nobody, nobody, [904, 2], [904, 3], [905, 1], nobody]
    assert window.tolist() == expected


@pytest.mark.parametrize(("timestamp", "seconds"), [(900, []), (907, [905]), (906.5, [905])])
def test_a_window_holds_the_seconds_from_its_half_before(
    bank: FeatureBank, timestamp: float, seconds: list[float]
) -> None:
    window = bank.cut_out("film", timestamp)
    assert window.shape == (8, 2)
    assert sorted({row[0] for row in window.tolist() if row[1]}) == seconds


def test_a_video_without_features_gives_zeros(bank: FeatureBank) -> None:
    assert not bank.cut_out("another", 904.0).any()
    bank.add_video("empty", [], [])
    assert not bank.cut_out("empty", 904.0).any()


def test_a_batch_has_one_window_a_keyframe(bank: FeatureBank) -> None:
    keyframes = [make_keyframe(904.0, 1.0), make_keyframe(950.0, 1.0)]
    windows = bank.cut_out_batch(keyframes)
    assert torch.equal(windows[0], bank.cut_out("film", 904.0))
    assert not windows[1].any()


def test_features_of_another_width_are_one_sentence(bank: FeatureBank) -> None:
    with pytest.raises(ValueError, match=r"bank_channels: expected 3, .* received 2"):
        bank.add_video("film", [make_keyframe(904.0, 1.0)], [torch.zeros(1, 3)])
