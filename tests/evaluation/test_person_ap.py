"""Average precision of person boxes: answers known by hand."""

from __future__ import annotations

from dataclasses import astuple

import pytest
import torch

from ava_det.evaluation.metrics import PersonAp
from ava_det.evaluation.person_ap import compute_person_ap
from ava_det.structures import Keyframe, KeyframeKey, Persons

LEFT = [0.1, 0.1, 0.3, 0.5]
RIGHT = [0.6, 0.2, 0.9, 0.9]
ELSEWHERE = [0.4, 0.0, 0.5, 0.1]


def labeled(*boxes: list[float], timestamp: float = 1.0) -> Keyframe:
    tensor = torch.tensor(boxes).reshape(-1, 4)
    return Keyframe("v", timestamp, tensor, None, torch.ones(len(tensor)))


def detected(*boxes: list[float], timestamp: float = 1.0) -> dict[KeyframeKey, Persons]:
    tensor = torch.tensor(boxes).reshape(-1, 4)
    return {KeyframeKey.at("v", timestamp): Persons(tensor, torch.linspace(0.9, 0.1, len(tensor)))}


def test_the_labeled_boxes_themselves_are_perfect() -> None:
    perfect = compute_person_ap([labeled(LEFT, RIGHT)], detected(LEFT, RIGHT))
    assert astuple(perfect) == pytest.approx((1.0, 1.0, 1.0))


def test_a_false_box_between_two_true_ones() -> None:
    # precision 1 up to recall 0.5 (51 of COCO's 101 recalls), 2/3 beyond
    found = compute_person_ap([labeled(LEFT, RIGHT)], detected(LEFT, ELSEWHERE, RIGHT))
    assert found.ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_thresholds_part_at_the_overlap() -> None:
    # 0.7 of the box's width: IoU 0.7 counts at 0.5, 0.55 .. 0.7, so 5 of 10 thresholds
    narrow = [LEFT[0], LEFT[1], LEFT[0] + 0.7001 * 0.2, LEFT[3]]
    found = compute_person_ap([labeled(LEFT)], detected(narrow))
    assert astuple(found) == pytest.approx((0.5, 1.0, 0.0))


def test_a_second_box_on_a_person_is_false_and_other_keyframes_do_not_count() -> None:
    twice = compute_person_ap([labeled(LEFT, RIGHT)], detected(LEFT, LEFT, RIGHT))
    assert twice.ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)
    elsewhere = detected(LEFT) | detected(RIGHT, timestamp=2.0)
    assert compute_person_ap([labeled(LEFT)], elsewhere).ap50 == pytest.approx(1.0)


def test_nobody_found_and_nobody_there() -> None:
    assert compute_person_ap([labeled(LEFT)], {}) == PersonAp(0.0, 0.0, 0.0)
    assert compute_person_ap([labeled()], detected(LEFT)).ap50 is None
