"""The table of published results, and what is said when a run does not give them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from ava_det.checkpoint.zoo import ZOO
from ava_det.config import load_config
from ava_det.evaluation.metrics import (
    ClassResult,
    FrameMap,
    FrameMapResult,
    ProtocolResult,
    Refusal,
)
from ava_det.inference.unlike_input import describe_unlike_input
from ava_det.reproduction.causes import (
    compare,
    find_annotation_problems,
    find_list_problems,
    find_odd_classes,
    name_causes,
)
from ava_det.reproduction.published import PUBLISHED, find_published, load_reference
from ava_det.reproduction.videos import VideoFacts, find_video_problems, require_start_second

BEST = PUBLISHED["pyslowfast/SLOWFAST_32x2_R101_50_50_v2.1"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_row_has_weights_and_a_config_that_shows_them_what_they_saw(name: str) -> None:
    published = PUBLISHED[name]
    url = ZOO[name].url
    assert url is not None
    config = load_config(published.config, published.overrides)
    assert describe_unlike_input(config, name, {}) == []
    assert config.data.ava_version == published.version
    annotations = config.data.val.annotations
    boxes = config.data.val.boxes
    assert annotations is not None
    assert f"v{published.version}" in annotations
    assert find_annotation_problems(published, config.data.ava_version, [annotations]) == []
    assert find_list_problems(published, boxes, config.data.min_person_score) == []
    assert find_published(f"somewhere/{url.rpartition('/')[2]}") is published
    assert 0.19 < published.mean_ap < 0.40


def test_the_issues_rows_are_all_there() -> None:
    numbers = {(p.version, round(100 * p.mean_ap, 2)) for p in PUBLISHED.values()}
    assert {("2.1", 28.2), ("2.2", 29.1), ("2.2", 29.4), ("2.2", 19.5), ("2.2", 24.67)} <= numbers


def test_unknown_files_have_no_published_number() -> None:
    assert find_published("outputs/run/checkpoints/last.pt") is None


def test_a_published_log_gives_every_class(tmp_path: Path) -> None:
    log = tmp_path / "test.log"
    log.write_text(
        "[INFO] {'PascalBoxes_PerformanceByCategory/AP@0.5IOU/answer phone': 0.743493322077844,\n"
        " 'PascalBoxes_PerformanceByCategory/AP@0.5IOU/climb (e.g., a mountain)': 1.5e-02,\n"
        " 'PascalBoxes_PerformanceByCategory/AP@0.5IOU/kiss': nan}\n"
        "PerformanceByCategory/AP@0.5IOU/drive (e.g., a car, a truck)=\t0.25\n"
    )
    assert load_reference(log) == {
        "answer phone": 0.743493322077844,
        "climb (e.g., a mountain)": 0.015,
        "drive (e.g., a car, a truck)": 0.25,
    }
    log.write_text("nothing")
    with pytest.raises(ValueError, match="expected a test log"):
        load_reference(log)


def movie(name: str = "a", **changes: object) -> VideoFacts:
    facts = {
        "file": f"{name}.mkv",
        "is_folder": False,
        "fps": 24.0,
        "width": 640,
        "height": 360,
        "start": 0.0,
        "end": 5000.0,
        "has_audio": True,
        "is_prepared": False,
        **changes,
    }
    return VideoFacts(name, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"start": 900.0, "end": 1801.0, "is_folder": True, "fps": 30.0}, None),
        ({"start": 900.0, "end": 900 + 27030 / 30}, None),
        ({"start": 900.0, "end": 900 + 26174 / 30}, "wrong cut: a hold about 26174 pictures"),
        ({"end": 1700.0}, "ends early: a end before 1799.1 s, at 1700.0 s"),
        ({"is_prepared": True, "height": 320}, "prepared videos: a were made by transcode.py"),
        ({"height": 256, "width": 454}, "rescaled videos: a have a short side of 256"),
        ({"fps": 10.0}, "frame rate: a have 10 frames a second"),
    ],
)
def test_each_fault_of_a_movie_is_named(changes: dict[str, Any], said: str | None) -> None:
    problems = find_video_problems([movie(**changes)])
    assert len(problems) == (said is not None)
    if said is not None:
        assert problems[0].startswith(said)


def test_many_faulty_movies_are_one_sentence() -> None:
    [problem] = find_video_problems([movie(f"m{i}", end=1000.0) for i in range(64)])
    assert "m0, m1, m2 and 61 more" in problem


def test_cut_movies_read_as_whole_ones_are_refused_with_the_remedy() -> None:
    with pytest.raises(
        ValueError, match=r"a\.mkv: ends after 901 s, .* add data\.start_second=900"
    ):
        require_start_second([movie(end=901.0)], 900.0)
    with pytest.raises(ValueError, match=r"a\.mkv: 5000 s long, .* add data\.start_second=0"):
        require_start_second([movie(start=900.0, end=5900.0)], 900.0)
    require_start_second([movie(), movie(end=901.0)], 900.0)


def test_wrong_lists_and_thresholds_are_named() -> None:
    def faults(boxes: str, score: float) -> list[str]:
        return [problem.partition(":")[0] for problem in find_list_problems(BEST, boxes, score)]

    best = "annotations/person_box_67091280_iou90/ava_detection_val_boxes_and_labels.csv"
    assert faults(best, 0.8) == []
    assert faults(best, 0.9) == ["wrong threshold"]
    assert faults(best.replace("iou90", "iou75"), 0.8) == ["wrong list"]
    assert faults("x/ava_val_predicted_boxes.csv", 0.9) == ["wrong list", "wrong threshold"]
    assert find_list_problems(None, "mine.csv", 0.5) == []
    assert find_annotation_problems(BEST, "2.2", ["ava_val_v2.2.csv"])[0].startswith(
        "wrong version"
    )


def result_of(name: str, value: float | None, rows: dict[int, ClassResult]) -> FrameMapResult:
    return FrameMapResult(FrameMap(value, (value, value), rows), name, 0.5, 10, {})


def results_of(value: float | None) -> dict[str, ProtocolResult]:
    return {
        name: result_of(name, known, {})
        for name, known in (("pyslowfast", value), ("mmaction2", 0.5))
    }


@pytest.mark.parametrize(
    ("value", "num_videos", "difference", "verdict"),
    [
        (0.2815, 64, -0.0005, "reproduced: 28.15 against 28.2 published (-0.05), pyslowfast"),
        (0.252, 64, -0.03, "off: 25.20 against 28.2"),
        (0.282, 1, None, "not comparable: 28.2 is of 64 movies, this is of 1"),
        (None, 64, None, "not comparable: no mAP under pyslowfast"),
    ],
)
def test_a_number_is_compared_with_the_published_one(
    value: float | None, num_videos: int, difference: float | None, verdict: str
) -> None:
    found, sentence = compare(BEST, results_of(value), num_videos)
    assert (found is None) == (difference is None)
    assert found is None or math.isclose(found, difference or 0, abs_tol=1e-9)
    assert sentence.startswith(verdict)


def test_causes_are_named_only_where_they_may_matter() -> None:
    assert name_causes(0.001, 0.283, []) == []
    assert name_causes(None, 0.1, ["wrong list: x"]) == ["wrong list: x"]
    known = name_causes(-0.03, 0.252, [])
    assert known[0].startswith("nothing unusual was found")
    assert "another version of ffmpeg" in known[1]


def test_classes_are_compared_by_name_largest_difference_first() -> None:
    rows = {
        1: ClassResult("answer phone", 0.7, 1, 1),
        2: ClassResult("bend/bow (at the waist)", 0.1, 1, 1),
        3: ClassResult("kiss", None, 0, 1),
        4: ClassResult("cut", 0.3, 1, 1),
    }
    result = result_of("pyslowfast", 0.3, rows)
    odd = find_odd_classes(result, {**BEST.reference, "kiss": 0.4})
    assert find_odd_classes(Refusal("other rows"), BEST.reference) == []
    assert [name for name, _, _ in odd] == ["bend/bow (at the waist)", "answer phone"]
