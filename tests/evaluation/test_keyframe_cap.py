"""The cap against the heap it stands for."""

from __future__ import annotations

import heapq
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_det.evaluation.keyframe_cap import kept_under_cap


def heap_keeps(entries: list[tuple[float, ...]], cap: int) -> list[tuple[float, ...]]:
    heap: list[tuple[float, ...]] = []
    for entry in entries:
        if len(heap) < cap:
            heapq.heappush(heap, entry)
        elif entry[0] > heap[0][0]:
            heapq.heapreplace(heap, entry)
    return sorted(heap)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**20), cap=st.integers(1, 6), levels=st.sampled_from([2, 4, 1000]))
def test_the_same_rows_stay_as_in_a_heap_fed_in_file_order(
    seed: int, cap: int, levels: int
) -> None:
    generator = random.Random(seed)
    sizes = [generator.randrange(12) for _ in range(6)]
    rows = [
        (
            generator.randrange(levels) / levels,
            generator.randrange(1, 4),
            *(generator.randrange(3) / 2 for _ in range(4)),
        )
        for _ in range(sum(sizes))
    ]
    keyframes = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    scores = torch.tensor([row[0] for row in rows], dtype=torch.float64)
    keep = (
        kept_under_cap(keyframes, scores, cap, lambda span: rows[span])
        if rows
        else torch.zeros(0, dtype=torch.bool)
    )
    for keyframe in range(len(sizes)):
        mine = [
            row for row, number in zip(rows, keyframes.tolist(), strict=True) if number == keyframe
        ]
        kept = [
            row
            for row, number, kept in zip(rows, keyframes.tolist(), keep.tolist(), strict=True)
            if number == keyframe and kept
        ]
        assert sorted(kept) == heap_keeps(mine, cap)


def test_the_heap_is_replayed_only_where_the_cut_is_unclear() -> None:
    scores = torch.tensor([0.9, 0.8, 0.7, 0.9, 0.5, 0.5], dtype=torch.float64)
    keyframes = torch.tensor([0, 0, 0, 1, 1, 1])
    replayed = []

    def entries(span: slice) -> list[tuple[float, ...]]:
        replayed.append((span.start, span.stop))
        return [(float(score), 1, 0.0, 0.0, 1.0, 1.0) for score in scores[span]]

    keep = kept_under_cap(keyframes, scores, 2, entries)
    assert keep[:3].tolist() == [True, True, False]
    assert int(keep[3:].sum()) == 2
    assert replayed == [(3, 6)]


@pytest.mark.parametrize("scores", [[0.1, float("nan"), 0.3], [float("nan")] * 3])
def test_a_nan_score_is_left_to_the_heap(scores: list[float]) -> None:
    rows: list[tuple[float, ...]] = [(score, 1, 0.0, 0.0, 1.0, 1.0) for score in scores]
    keep = kept_under_cap(
        torch.zeros(3, dtype=torch.int64), torch.tensor(scores).double(), 2, lambda span: rows[span]
    )
    assert int(keep.sum()) == 2
