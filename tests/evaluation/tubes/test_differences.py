"""Each setting by which the evaluators differ, on a case small enough to do by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ava_det.evaluation.tubes import TUBE_PROTOCOLS, evaluate_frames, evaluate_tubes
from ava_det.evaluation.tubes.protocols import MULTISPORTS_LEFT_OUT, tube_protocol_named
from ava_det.formats.tubes import Tube
from tests.support.tube_cases import BOX, make_boxes, make_truth, still

ALL = ("multisports", "mmaction2", "act", "retinanet3d", "yowo")


def video_map(truth: list[Tube], found: list[Tube], protocol: str, at: float = 0.5) -> float | None:
    return evaluate_tubes(make_truth(truth), found, protocol, [at]).by_threshold[at].mean_ap


def each_video_map(truth: list[Tube], found: list[Tube], at: float = 0.5) -> dict[str, float]:
    """Video AP of class 0 alone."""
    values = {}
    for name in ALL:
        result = evaluate_tubes(make_truth(truth, ["jump"]), found, name, [at])
        values[name] = result.by_threshold[at].per_class[0].ap or 0.0
    return values


def each_frame_map(truth: list[Tube], rows: Sequence[Sequence[float]]) -> dict[str, float]:
    values = {}
    for name in ALL:
        result = evaluate_frames(make_truth(truth, ["jump"]), make_boxes(rows), name, [0.5])
        values[name] = result.by_threshold[0.5].per_class[0].ap or 0.0
    return values


def test_half_of_the_frames_are_a_hit_only_where_frames_are_counted() -> None:
    values = each_video_map([still("v", 0, 1, 20)], [still("v", 0, 1, 10, score=0.9)])
    assert values == {"multisports": 0, "mmaction2": 0, "act": 1, "retinanet3d": 1, "yowo": 1}


def test_tubes_of_one_frame() -> None:
    values = each_video_map([still("v", 0, 5, 1)], [still("v", 0, 5, 1, score=0.9)])
    assert values == {"multisports": 0, "mmaction2": 0, "act": 1, "retinanet3d": 1, "yowo": 0}
    result = evaluate_tubes(make_truth([still("v", 0, 5, 1)]), [still("v", 0, 5, 1, score=0.9)])
    assert any("overlap 0/0" in sentence for sentence in result.warnings)


def test_an_undefined_overlap_hides_a_good_one_as_argmax_does() -> None:
    """Without area a box has IoU 0/0 with itself; numpy's argmax takes it before a perfect one."""
    point = (10.0, 10.0, 10.0, 10.0)
    truth = [still("v", 0, 1, 5, point), still("v", 0, 1, 5)]
    assert video_map(truth, [still("v", 0, 1, 5, score=0.9)], "multisports") == 0.5
    assert video_map(truth, [still("v", 0, 1, 5, point, 0.9)], "multisports") == 0
    mixed = Tube("v", 0, np.arange(1, 6), np.array([BOX] * 4 + [point], np.float32), 0.9)
    assert video_map(truth, [mixed], "multisports") == 0


def test_the_next_best_truth() -> None:
    truth = [still("v", 0, 1, 9), still("v", 0, 1, 9, (20, 10, 60, 90))]
    found = [still("v", 0, 1, 9, (12, 10, 52, 90), 0.9), still("v", 0, 1, 9, (13, 10, 53, 90), 0.8)]
    assert each_video_map(truth, found) == {
        "multisports": 0.5,
        "mmaction2": 0.5,
        "act": 0.5,  # its suppression removes the second tube
        "retinanet3d": 1,
        "yowo": 0.5,
    }
    rows = [(0, 1, 0, 0.9, 12, 10, 52, 90), (0, 1, 0, 0.8, 13, 10, 53, 90)]
    labeled = [still("v", 0, 1, 1), still("v", 0, 1, 1, (20, 10, 60, 90))]
    assert each_frame_map(labeled, rows) == {
        "multisports": 0.5,
        "mmaction2": 0.5,
        "act": 1,
        "retinanet3d": 1,
        "yowo": 0.5,
    }


def test_pixels_of_small_boxes() -> None:
    """6 x 6 pixels, moved by 2: IoU 24 / 48 continuous, 35 / 63 with whole pixels counted."""
    rows = [(0, 1, 0, 0.9, 12.1, 10, 18.1, 16)]
    values = each_frame_map([still("v", 0, 1, 1, (10, 10, 16, 16))], rows)
    assert values == {"multisports": 0, "mmaction2": 0, "act": 1, "retinanet3d": 0, "yowo": 1}


def test_a_gap_of_less_than_a_pixel_overlaps_under_act_alone() -> None:
    truth = make_truth([still("v", 0, 1, 1, (0, 0, 4, 4))])
    rows = make_boxes([(0, 1, 0, 0.9, 4.5, 0, 8, 4)])
    hits = {
        name: evaluate_frames(truth, rows, name, [0.01]).by_threshold[0.01].per_class[0].ap
        for name in ("act", "yowo", "multisports")
    }
    assert hits == {"act": 1.0, "yowo": 0.0, "multisports": 0.0}


def test_the_curve() -> None:
    """A hit, a miss, a hit, of four: the last quarter counts 2/3, or the mean of 1/2 and 2/3."""
    truth = [still("v", 0, 1, 4)]
    rows = [
        (0, 1, 0, 0.9, *BOX),
        (0, 2, 0, 0.8, 200, 100, 240, 180),
        (0, 3, 0, 0.7, *BOX),
    ]
    voc, trapezoid = 1 / 4 + 1 / 6, 1 / 4 + 7 / 48
    values = each_frame_map(truth, rows)
    for name, expected in (("multisports", voc), ("yowo", voc), ("act", trapezoid)):
        assert values[name] == pytest.approx(expected, abs=2e-7)
    assert values["retinanet3d"] == pytest.approx(voc, abs=1e-7)
    found = [still("v", 0, 1, 9, score=0.9), still("v", 0, 30, 9, score=0.8)]
    assert each_video_map([still("v", 0, 1, 9)], found)["yowo"] == 1.0


def test_suppression_takes_the_duplicates_that_multisports_counts() -> None:
    truth = [still("v", 0, 1, 20), still("v", 0, 31, 20)]
    found = [
        still("v", 0, 1, 20, score=0.9),
        still("v", 0, 2, 20, score=0.8),
        still("v", 0, 31, 20, score=0.7),
    ]
    values = each_video_map(truth, found)
    assert values["act"] == 1.0
    assert values["multisports"] == pytest.approx(1 / 2 + 1 / 3)
    result = evaluate_tubes(make_truth(truth), found, "act")
    assert result.counts["suppressed"] == 1


def test_a_class_without_truth() -> None:
    truth = [still("v", 0, 1, 9)]
    found = [still("v", 0, 1, 9, score=0.9), still("v", 1, 1, 9, score=0.8)]
    assert video_map(truth, found, "multisports") == 1.0
    assert video_map(truth, found, "retinanet3d") == 0.5
    assert video_map(truth, found, "yowo") == 0.5
    assert video_map(truth, found[:1], "act") == 0.5
    with pytest.raises(ValueError, match=r"1 detections of 'wave' .* divides by zero"):
        video_map(truth, found, "act")
    rows = make_boxes([(0, 1, 0, 0.9, *BOX), (0, 1, 1, 0.9, *BOX)])
    result = evaluate_frames(make_truth(truth), rows, "yowo")
    assert result.by_threshold[0.5].per_class[1].ap is None
    assert "not scored, detected without ground truth: wave" in result.warnings


def test_classes_left_out_by_name() -> None:
    labels = [MULTISPORTS_LEFT_OUT[0], "wave"]
    truth = make_truth([still("v", 0, 1, 9), still("v", 1, 1, 9)], labels)
    found = [still("v", 1, 1, 9, score=0.9)]
    for name in ("multisports", "mmaction2"):
        result = evaluate_tubes(truth, found, name)
        assert result.by_threshold[0.5].mean_ap == 1.0
        assert any("leaves 1 classes out by name" in sentence for sentence in result.warnings)
    assert evaluate_tubes(truth, found, "act").by_threshold[0.5].mean_ap == 0.5


def test_videos_outside_the_split_and_labels_outside_the_list() -> None:
    truth = make_truth([still("v", 0, 1, 9)])
    found = [
        still("other", 0, 1, 9, score=0.95),
        still("v", 0, 1, 9, score=0.9),
        still("v", 7, 1, 9, score=0.9),
    ]
    official = evaluate_tubes(truth, found, "multisports")
    assert official.by_threshold[0.5].mean_ap == 0.5
    assert evaluate_tubes(truth, found, "act").by_threshold[0.5].per_class[0].ap == 1.0
    assert official.counts == {"other_videos": 1, "off_list": 1, "suppressed": 0}
    assert any("false positives" in sentence for sentence in official.warnings)


def test_a_gap_is_one_sentence_and_only_where_it_is_compared() -> None:
    frames = np.array([1, 2, 4, 5])
    gap = Tube("v", 0, frames, np.tile(np.array(BOX, np.float32), (4, 1)), 0.9)
    with pytest.raises(ValueError, match="a tube with a gap between frames 1 and 5"):
        video_map([still("v", 0, 1, 9)], [gap], "multisports")
    assert video_map([still("v", 0, 4, 9)], [gap], "multisports", 0.05) == 1.0


def test_mistakes_are_one_sentence() -> None:
    truth = make_truth([still("v", 0, 1, 9)])
    with pytest.raises(ValueError, match="protocol 'voc': expected one of multisports"):
        tube_protocol_named("voc")
    with pytest.raises(ValueError, match="found an inverted box of v in frame 1"):
        evaluate_tubes(truth, [still("v", 0, 1, 9, (9, 0, 3, 5), 0.5)])
    with pytest.raises(ValueError, match="found an inverted box of v in frame 2"):
        evaluate_frames(truth, make_boxes([(0, 2, 0, 0.9, 9, 0, 3, 5)]))
    with pytest.raises(ValueError, match="expected a finite score"):
        evaluate_tubes(truth, [still("v", 0, 1, 9)])
    with pytest.raises(ValueError, match=r"range '0\.5:0\.9': expected one of"):
        evaluate_tubes(truth, [], ranges=["0.5:0.9"])
    with pytest.raises(ValueError, match="expected tubes over all frames"):
        evaluate_tubes(truth, [still("v", 0, 2, 9, score=0.5)], "yowo-spatial")


def test_nothing_detected_and_nothing_labeled() -> None:
    truth = make_truth([still("v", 0, 1, 9)])
    for name in TUBE_PROTOCOLS:
        assert evaluate_tubes(truth, [], name).by_threshold[0.5].per_class[0].ap == 0.0
        assert evaluate_frames(truth, make_boxes([]), name).by_threshold[0.5].per_class[0].ap == 0.0
    empty = make_truth([])
    assert evaluate_tubes(empty, []).by_threshold[0.5].mean_ap is None
    assert evaluate_frames(empty, make_boxes([], ())).by_threshold[0.5].mean_ap is None


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], "no tube was detected"),
        (
            [still("v_1", 0, 1, 9, score=0.5)],
            "no tube is of a video of the split: tubes have 'v_1', the split has 'v'",
        ),
        (
            [still("v", 0, 1, 9, (0.1, 0.2, 0.3, 1.1), 0.5)],
            "no box reaches beyond 2, which looks like fractions of the frame; boxes of tubes are "
            "expected in pixels",
        ),
        (
            [still("v", 0, 53, 9, score=0.5)],
            "1 tubes go on after the last frame of their video, such as one of v to frame 61 of 60",
        ),
    ],
)
def test_tubes_that_cannot_be_meant_are_said(found: list[Tube], expected: str) -> None:
    truth = make_truth([still("v", 0, 1, 9)])
    assert truth.num_frames["v"] == 60
    assert evaluate_tubes(truth, found).warnings[0] == expected
    right = evaluate_tubes(truth, [still("v", 0, 1, 9, score=0.5)])
    assert right.warnings == () and right.by_threshold[0.5].mean_ap == 1


def test_ties_are_said() -> None:
    truth = make_truth([still("v", 0, 1, 9)])
    found = [still("v", 0, 1, 9, score=0.5), still("v", 0, 30, 9, score=0.5)]
    assert any("2 tubes share class and score" in s for s in evaluate_tubes(truth, found).warnings)


def test_ranges_are_means_over_their_thresholds() -> None:
    truth = make_truth([still("v", 0, 1, 20)], ["jump"])
    found = [still("v", 0, 1, 13, score=0.9)]  # 12 / 19 of the time, or 13 / 20
    result = evaluate_tubes(truth, found, ranges=["0.05:0.45", "0.10:0.90", "0.50:0.95"])
    assert result.ranges == pytest.approx(
        {"0.05:0.45": 1.0, "0.10:0.90": 6 / 9, "0.50:0.95": 3 / 10}
    )
