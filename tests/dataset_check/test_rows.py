"""Property: rows that mean what they say give no error, whatever their values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_det.dataset_check.boxes import check_boxes
from ava_det.dataset_check.findings import ERROR
from ava_det.dataset_check.keyframes import check_persons
from ava_det.dataset_check.labels import check_labels
from ava_det.dataset_check.split_rows import SplitFiles, SplitRows
from ava_det.formats.annotations import AvaRows

LABEL_MAP = {action_id: f"action {action_id}" for action_id in range(1, 8)}


def make_split(boxes: np.ndarray, actions: list[int], seconds: list[int]) -> SplitRows:
    """Person n, a box [4], does one action at one second."""
    count = len(boxes)
    rows = AvaRows(
        ["v"] * bool(count),
        np.zeros(count, np.int32),
        np.array(seconds, dtype=np.float64),
        boxes,
        np.array(actions, dtype=np.int64),
        np.arange(count, dtype=np.float64),
        path="train.csv",
    )
    return SplitRows(SplitFiles("train", (Path("train.csv"),), (), ("gt",)), rows, set(), None)


corner = st.integers(0, 5000)
side = st.integers(10, 4900)
person = st.tuples(corner, corner, side, side, st.integers(1, 7), st.integers(0, 5))


@settings(max_examples=200)
@given(st.lists(person, max_size=30, unique_by=lambda values: values[:4]))
def test_no_error_for_rows_that_mean_what_they_say(people: list[tuple[int, ...]]) -> None:
    boxes = np.array(
        [(x, y, x + width, y + height) for x, y, width, height, *_ in people], float
    ).reshape(-1, 4)
    split = make_split(
        boxes / 10_000, [values[4] for values in people], [values[5] for values in people]
    )
    findings = (
        check_boxes("train", split.rows) + check_persons(split) + check_labels(split, LABEL_MAP, 7)
    )
    assert not [finding for finding in findings if finding.severity == ERROR]


@given(st.integers(1, 12), st.integers(1, 12))
def test_every_row_counts_once(num_pixels: int, num_inverted: int) -> None:
    boxes = np.tile([0.2, 0.6, 0.5, 0.9], (num_pixels + num_inverted + 20, 1))
    split = make_split(boxes, [1] * len(boxes), list(range(len(boxes))))
    split.rows.boxes[:num_pixels] *= 640
    split.rows.boxes[num_pixels : num_pixels + num_inverted] = [0.9, 0.6, 0.5, 0.9]
    found = {finding.problem.split()[0]: finding for finding in check_boxes("train", split.rows)}
    assert (found["boxes"].count, found["boxes"].where) == (num_pixels, "train.csv:1")
    assert (found["corners"].count, found["corners"].where) == (
        num_inverted,
        f"train.csv:{num_pixels + 1}",
    )
