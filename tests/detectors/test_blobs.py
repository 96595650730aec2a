"""One part per person: what is joined, what is cut."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ava_det.detectors.blobs import find_persons

Box = tuple[int, int, int, int]


def draw(*boxes: Box) -> np.ndarray:
    mask = np.zeros((144, 192), np.uint8)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = 1
    return mask


def find(*boxes: Box) -> list[Box]:
    return sorted(part.box for part in find_persons(draw(*boxes), min_area=30))


def test_one_person_stays_whole() -> None:
    assert find((50, 30, 70, 120)) == [(50, 30, 70, 120)]


def test_an_outstretched_arm_with_a_parcel_is_no_second_person() -> None:
    assert find((50, 30, 68, 120), (68, 50, 78, 56), (78, 45, 98, 62)) == [(50, 30, 98, 120)]


def test_a_head_a_little_off_is_joined() -> None:
    assert find((50, 36, 70, 120), (54, 20, 66, 33)) == [(50, 20, 70, 120)]


def test_persons_apart_stay_apart() -> None:
    assert find((20, 30, 40, 120), (60, 40, 80, 130)) == [(20, 30, 40, 120), (60, 40, 80, 130)]


def test_two_persons_joined_by_an_arm_are_cut() -> None:
    left, right = find((20, 30, 40, 120), (40, 60, 60, 66), (60, 34, 80, 120))
    assert left[0] == 20
    assert right[2] == 80
    assert 40 <= left[2] <= right[0] <= 61


def test_three_persons_in_a_row_are_cut_twice() -> None:
    assert (
        len(
            find(
                (10, 30, 30, 120),
                (30, 60, 45, 66),
                (45, 34, 65, 120),
                (65, 60, 80, 66),
                (80, 30, 100, 120),
            )
        )
        == 3
    )


def test_somebody_lying_beside_somebody_upright_is_cut_off() -> None:
    assert find((100, 20, 122, 120), (20, 96, 100, 118)) == [
        (20, 96, 100, 118),
        (100, 20, 122, 120),
    ]
    assert find((20, 20, 42, 120), (42, 96, 120, 118)) == [(20, 20, 42, 120), (42, 96, 120, 118)]


def test_somebody_lying_with_a_knee_up_stays_whole() -> None:
    assert find((20, 108, 100, 122), (30, 90, 42, 108), (80, 100, 100, 108)) == [(20, 90, 100, 122)]


def test_specks_are_dropped_and_nothing_is_nobody() -> None:
    assert find((50, 50, 54, 54)) == []
    assert find() == []


boxes = st.tuples(
    st.integers(0, 180), st.integers(0, 130), st.integers(1, 80), st.integers(1, 100)
).map(lambda box: (box[0], box[1], min(192, box[0] + box[2]), min(144, box[1] + box[3])))


@given(st.lists(boxes, max_size=6))
def test_parts_are_disjoint_tight_pieces_of_the_mask(drawn: list[Box]) -> None:
    mask = draw(*drawn)
    covered = np.zeros_like(mask)
    for part in find_persons(mask, min_area=10):
        x1, y1, x2, y2 = part.box
        assert part.mask.shape == (y2 - y1, x2 - x1)
        assert part.mask.any(axis=1)[[0, -1]].all()
        assert part.mask.any(axis=0)[[0, -1]].all()
        covered[y1:y2, x1:x2] += part.mask
    assert (covered <= mask).all()
