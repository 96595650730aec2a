"""Detectron2's own boxes, written down: ours must be the same, and one wrong number must be enough
to tell.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from torchvision.ops import roi_align

from ava_det.detectors.faster_rcnn import box_head, detector, proposals
from ava_det.detectors.faster_rcnn.detector import FasterRCNNDetector
from ava_det.detectors.faster_rcnn.resize import resize_frame
from tests.support.golden_cases import (
    CASES,
    GOLDEN,
    KEPT,
    build_ours,
    build_theirs,
    detect,
    make_frames,
)

Results = list[tuple[np.ndarray, np.ndarray]]
NARROW = ["narrow_r50", "narrow_x50"]
FULL = ["r50", "x101"]


def is_golden(name: str, results: Results) -> bool:
    """Same number of boxes, the best of them at the same place with the same score: to 0.005 pixels
    and 5e-5.

    Boxes whose scores are that near may change places, since processors add up in different orders.
    """
    golden = json.loads(GOLDEN.read_text())[name]
    assert len(golden) >= len(results)
    return all(
        len(boxes) == wanted["count"]
        and has_all(boxes, scores, np.array(wanted["boxes"]), np.array(wanted["scores"]))
        for index, ((boxes, scores), wanted) in enumerate(zip(results, golden, strict=False))
        if index not in CASES[name].tied
    )


def has_all(
    boxes: np.ndarray, scores: np.ndarray, wanted: np.ndarray, wanted_scores: np.ndarray
) -> bool:
    """Whether each wanted box is there with its score, and the best scores are these and no
    others.
    """
    near = np.abs(boxes[:, None] - wanted).max(axis=2) < 5e-3
    near &= np.abs(scores[:, None] - wanted_scores) < 5e-5
    return bool(near.any(axis=0).all()) and np.allclose(
        scores[:KEPT], wanted_scores, atol=5e-5, rtol=0
    )


def test_the_golden_numbers_are_many_and_various() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert golden.keys() == CASES.keys()
    for results in golden.values():
        assert sum(result["count"] for result in results) > 300
        # other classes take part in the choice of 100
        assert min(result["count"] for result in results) < 100
        assert all(np.ptp(result["scores"]) > 0.05 for result in results)


@pytest.mark.parametrize("name", NARROW)
def test_a_narrow_network_gives_detectron2_s_boxes(name: str) -> None:
    assert is_golden(name, detect(build_ours(CASES[name])))


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_the_zoo_s_networks_give_detectron2_s_boxes(name: str) -> None:
    assert is_golden(name, detect(build_ours(CASES[name])))


def shrink_by_opencv(frame: np.ndarray, short_side: int, long_side: int) -> np.ndarray:
    right = detector_resize(frame, short_side, long_side)
    return cv2.resize(frame, (right.shape[1], right.shape[0]), interpolation=cv2.INTER_LINEAR)


detector_resize = resize_frame
align = roi_align


@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        (detector, "resize_frame", shrink_by_opencv),
        (
            box_head,
            "roi_align",
            lambda *arguments, **named: align(*arguments, **(named | {"aligned": False})),
        ),
        (
            box_head,
            "roi_align",
            lambda *arguments, **named: align(*arguments, **(named | {"sampling_ratio": 2})),
        ),
        (box_head, "PROPOSAL_WEIGHTS", (1.0, 1.0, 1.0, 1.0)),
        (box_head, "NMS_IOU", 0.55),
        (proposals, "NMS_IOU", 0.75),
        (proposals, "MAX_PER_LEVEL", 500),
        (proposals, "STRIDES", (4, 8, 17, 32, 64)),
    ],
)
def test_one_wrong_number_is_seen(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, wrong: object
) -> None:
    monkeypatch.setattr(module, name, wrong)
    assert not is_golden("narrow_r50", first_three(build_ours(CASES["narrow_r50"])))


@pytest.mark.parametrize(
    "wrong",
    [
        {"stride_in_1x1": False},
        {"pixel_std": (1.02, 1.0, 1.0)},
        {"pixel_mean": (123.675, 116.28, 103.53)},
        {"anchor_sizes": (32, 66, 128, 256, 512)},
        {"max_boxes": 60},
    ],
)
def test_one_wrong_argument_is_seen(wrong: dict[str, Any]) -> None:
    assert not is_golden("narrow_r50", first_three(build_ours(CASES["narrow_r50"], **wrong)))


def test_the_wrong_order_of_channels_is_seen() -> None:
    ours = build_ours(CASES["narrow_r50"])
    assert is_golden("narrow_r50", first_three(ours))
    ours.channel_order = "RGB"
    assert not is_golden("narrow_r50", first_three(ours))


def first_three(ours: FasterRCNNDetector) -> Results:
    return [ours([frame])[0] for frame in make_frames()[:3]]


@pytest.mark.needs_detectron2
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*NARROW, *FULL])
def test_detectron2_itself(name: str, tmp_path: Path) -> None:
    """End to end against the library: alone and in a batch, boxes to 1e-3 pixels and scores to
    1e-5, in order.
    """
    pytest.importorskip("detectron2", reason="Detectron2 is not installed")
    theirs = detect(build_theirs(CASES[name], tmp_path))
    ours = detect(build_ours(CASES[name]))
    for (boxes, scores), (own_boxes, own_scores) in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(own_boxes, boxes, atol=1e-3, rtol=0)
        np.testing.assert_allclose(own_scores, scores, atol=1e-5, rtol=0)
    assert is_golden(name, theirs)
