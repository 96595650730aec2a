"""Trimming in time: known answers, and the best labels found by trying all of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from ava_det.linking.trimming import Span, trim_by_dynamic_programming, trim_by_hysteresis

SIGNAL = [0, 0.3, 0.6, 0.3, 0, 0.3, 0.3, 0, 0.7]


def test_hysteresis_needs_the_high_score_once_and_the_low_one_throughout() -> None:
    assert trim_by_hysteresis(SIGNAL, 0.5, 0.2) == [Span(1, 4), Span(8, 9)]
    assert trim_by_hysteresis(SIGNAL, 0.5, 0.5) == [Span(2, 3), Span(8, 9)]
    assert trim_by_hysteresis(SIGNAL, 0.5, 0.2, min_length=2) == [Span(1, 4)]
    assert trim_by_hysteresis(SIGNAL, 0.5, 0.2, max_gap=4) == [Span(1, 9)]
    assert trim_by_hysteresis(SIGNAL, 0.5, 0.2, max_gap=3) == [Span(1, 4), Span(8, 9)]
    assert trim_by_hysteresis([], 0.5, 0.2) == []


@pytest.mark.parametrize("seed", range(5))
def test_hysteresis_gives_separate_spans_that_a_lower_threshold_covers(seed: int) -> None:
    signal = np.random.default_rng(seed).uniform(0, 1, 60)
    spans = trim_by_hysteresis(signal, 0.8, 0.4, 2, 1)
    ends = [edge for span in spans for edge in span]
    assert ends == sorted(set(ends))
    wider = trim_by_hysteresis(signal, 0.7, 0.3, 1, 1)
    for start, stop in spans:
        assert any(a <= start and stop <= b for a, b in wider)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_dynamic_programming_finds_the_best_of_all_labels(seed: int, alpha: float) -> None:
    signal = np.random.default_rng(seed).uniform(0, 1, 9)

    def total(labels: tuple[int, ...]) -> float:
        score = sum(s if label else 1 - s for s, label in zip(signal, labels, strict=True))
        return float(score) - alpha * sum(np.diff(labels) != 0)

    best = max(map(total, product((0, 1), repeat=len(signal))))
    labels = np.zeros(len(signal), int)
    for start, stop in trim_by_dynamic_programming(signal, alpha):
        labels[start:stop] = 1
    assert total(tuple(labels.tolist())) == pytest.approx(best)


def test_a_dearer_change_makes_fewer_spans() -> None:
    signal = [0.1, 0.9, 0.2, 0.9, 0.9, 0.1, 0.1, 0.1, 0.9]
    assert len(trim_by_dynamic_programming(signal, 0.0)) == 3
    assert trim_by_dynamic_programming(signal, 0.5) == [Span(1, 5), Span(8, 9)]
    assert trim_by_dynamic_programming(signal, 0.5, min_length=2) == [Span(1, 5)]
    assert trim_by_dynamic_programming([0.9, 0.9], 100.0) == [Span(0, 2)]


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="low <= high"):
        trim_by_hysteresis(SIGNAL, 0.2, 0.5)
    with pytest.raises(ValueError, match="finite scores"):
        trim_by_hysteresis([float("nan")], 0.5, 0.2)
    with pytest.raises(ValueError, match="alpha of 0 or more"):
        trim_by_dynamic_programming(SIGNAL, -1.0)
