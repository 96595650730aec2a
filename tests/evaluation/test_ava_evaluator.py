"""The evaluator object, and that memory, batches, ranks and files give one number."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ava_det.evaluation import PROTOCOLS, AvaEvaluator, evaluate_csv, evaluate_rows, protocol_named
from ava_det.evaluation.metrics import ClassResult
from ava_det.evaluation.summary import compute_group_means
from ava_det.formats.annotations import (
    AvaRows,
    load_annotations,
    load_detections,
    rows_from_detections,
    rows_from_keyframes,
    write_detections,
)
from ava_det.structures import Detections, Keyframe, KeyframeKey

LABEL_MAP = {3: "c", 1: "a", 2: "b", 5: "e"}


@pytest.fixture
def keyframes() -> list[Keyframe]:
    generator = torch.Generator().manual_seed(1)
    found = []
    for second in range(902, 932):
        count = int(torch.randint(0, 4, (1,), generator=generator))
        corners = torch.rand(count, 2, generator=generator) / 2
        boxes = torch.cat(
            [corners, corners + 0.1 + torch.rand(count, 2, generator=generator) / 3], 1
        )
        labels = (torch.rand(count, 5, generator=generator) < 0.5).float()
        found.append(
            Keyframe(f"video{second % 3}", float(second), boxes, labels, torch.ones(count))
        )
    return found


@pytest.fixture
def detections(keyframes: list[Keyframe]) -> list[Detections]:
    generator = torch.Generator().manual_seed(2)
    found = []
    for keyframe in keyframes:
        assert keyframe.labels is not None
        boxes = keyframe.boxes + torch.randn(keyframe.boxes.shape, generator=generator) * 0.03
        noise = torch.randn(keyframe.labels.shape, generator=generator)
        scores = torch.sigmoid(keyframe.labels + noise).round(decimals=2)  # two decimals: with ties
        found.append(Detections(boxes, scores, keyframe.person_scores, None, keyframe))
    return found


def test_a_result_is_ready_for_json_and_lists_every_class(
    keyframes: list[Keyframe], detections: list[Detections]
) -> None:
    evaluator = AvaEvaluator(keyframes, {**LABEL_MAP, 70: "never"}, iou_thresholds=(0.5, 0.75))
    evaluator.process(detections)
    result = evaluator.evaluate()
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert list(result["per_class"]) == ["1", "2", "3", "5", "70"]
    assert result["per_class"]["70"] == {"name": "never", "AP": None, "num_gt": 0, "num_det": 0}
    assert 0.3 < result["mAP"] < 1
    assert result["tie_interval"][0] <= result["mAP"] <= result["tie_interval"][1]
    assert result["tie_interval"][0] < result["tie_interval"][1]
    assert result["num_keyframes"] == len(keyframes)
    assert result["protocol"] == "activitynet-2020"
    assert result["by_iou"]["0.75"]["mAP"] < result["mAP"]
    assert set(result["counts"]) == {"ignored", "excluded", "capped", "invalid", "tied", "off_list"}


def test_batches_reset_and_order_change_nothing(
    keyframes: list[Keyframe], detections: list[Detections]
) -> None:
    evaluator = AvaEvaluator(keyframes, LABEL_MAP)
    evaluator.process(detections)
    expected = evaluator.evaluate()
    evaluator.reset()
    for detection in detections:
        evaluator.process([detection])
    assert evaluator.evaluate() == expected
    evaluator.reset()
    distinct = [
        replace(d, action_scores=d.action_scores + torch.rand_like(d.action_scores) / 1000)
        for d in detections
    ]
    evaluator.process(distinct)
    in_order = evaluator.evaluate()
    evaluator.reset()
    evaluator.process(distinct[::-1])
    assert evaluator.evaluate()["mAP"] == pytest.approx(in_order["mAP"], abs=1e-12)


@pytest.mark.parametrize(
    "protocol", [name for name, settings in PROTOCOLS.items() if settings.sorts_matches]
)
def test_the_order_of_rows_changes_nothing(
    protocol: str, keyframes: list[Keyframe], detections: list[Detections]
) -> None:
    truth = rows_from_keyframes([keyframe for keyframe in keyframes if len(keyframe.boxes)])
    rows = rows_from_detections(detections)
    generator = np.random.default_rng(0)
    rows.ids_or_scores = generator.permutation(len(rows)) / len(rows)  # no ties
    order = generator.permutation(len(rows))
    columns = ("video_index", "timestamps", "boxes", "action_ids", "ids_or_scores")
    shuffled = replace(rows, **{name: getattr(rows, name)[order] for name in columns})
    before, after = (
        evaluate_rows(truth, r, LABEL_MAP, protocol=protocol).result for r in (rows, shuffled)
    )
    assert after.mean_ap == pytest.approx(before.mean_ap, abs=1e-12)
    assert after.counts == before.counts


def test_parts_of_several_ranks_are_gathered(
    keyframes: list[Keyframe], detections: list[Detections]
) -> None:
    def evaluate(
        part: list[Detections], gather: Callable[[AvaRows], list[AvaRows]] | None = None
    ) -> dict[str, Any]:
        evaluator = AvaEvaluator(keyframes, LABEL_MAP, gather=gather)
        evaluator.process(part)
        return evaluator.evaluate()

    kept: list[AvaRows] = []
    evaluate(detections[15:], gather=lambda rows: [kept.append(rows) or rows])
    assert evaluate(detections[:15], gather=lambda rows: [rows, *kept]) == evaluate(detections)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_written_file_scores_the_same_to_the_last_bit(
    protocol: str, keyframes: list[Keyframe], detections: list[Detections], tmp_path: Path
) -> None:
    truth = rows_from_keyframes([keyframe for keyframe in keyframes if len(keyframe.boxes)])
    evaluator = AvaEvaluator(truth, LABEL_MAP, protocol=protocol)
    evaluator.process(detections)
    write_detections(tmp_path / "d.csv", detections, LABEL_MAP)
    from_file = evaluate_rows(
        truth, load_detections(tmp_path / "d.csv"), LABEL_MAP, protocol=protocol
    ).result
    assert from_file.to_json() == evaluator.evaluate()


def test_nothing_detected_is_zero_and_said(keyframes: list[Keyframe]) -> None:
    result = AvaEvaluator(keyframes, LABEL_MAP).evaluate()
    assert result["mAP"] == 0.0
    assert result["warnings"] == ["the detections: no rows"]


def test_no_ground_truth_is_undefined_and_said(
    keyframes: list[Keyframe], detections: list[Detections]
) -> None:
    evaluator = AvaEvaluator(keyframes, {77: "never"})
    evaluator.process(detections)
    result = evaluator.evaluate()
    assert result["mAP"] is None
    assert result["tie_interval"] == [None, None]
    assert any(
        "no ground-truth row has an action of the label map" in sentence
        for sentence in result["warnings"]
    )


def test_mistakes_of_the_caller_are_named(keyframes: list[Keyframe]) -> None:
    with pytest.raises(
        ValueError, match="protocol 'coco': expected one of activitynet-2020, activitynet-2019"
    ):
        AvaEvaluator(keyframes, LABEL_MAP, protocol="coco")
    with pytest.raises(ValueError, match="IoU threshold: expected above 0 and at most 1, found 50"):
        AvaEvaluator(keyframes, LABEL_MAP, iou_thresholds=(50,)).evaluate()
    with pytest.raises(ValueError, match="label map: expected at least one class"):
        AvaEvaluator(keyframes, {}).evaluate()
    assert protocol_named("mmaction2").single_precision


def test_excluded_keyframes(keyframes: list[Keyframe], detections: list[Detections]) -> None:
    with_boxes = [
        keyframe
        for keyframe in keyframes
        if keyframe.labels is not None and bool(keyframe.labels.any())
    ]
    truth = rows_from_keyframes(with_boxes)
    first = with_boxes[0]
    excluded = {KeyframeKey.at(first.video_id, first.timestamp)}
    rest = rows_from_keyframes(with_boxes[1:])
    results = {}
    for name, ground_truth, keys in (
        ("2019", truth, excluded),
        ("rest", rest, frozenset()),
        ("2020", truth, excluded),
    ):
        protocol = "activitynet-2020" if name == "2020" else "activitynet-2019"
        evaluator = AvaEvaluator(ground_truth, LABEL_MAP, keys, protocol=protocol)
        evaluator.process(
            detections if name != "rest" else [d for d in detections if d.keyframe is not first]
        )
        results[name] = evaluator.evaluate()
    assert results["2019"]["mAP"] == results["rest"]["mAP"]
    assert results["2019"]["num_keyframes"] == results["2020"]["num_keyframes"] - 1
    assert results["2019"]["counts"]["excluded"] == 4 * len(first.boxes)
    assert results["2020"]["counts"]["excluded"] == 0


def test_group_means() -> None:
    per_class = {i: ClassResult("", ap, 1, 1) for i, ap in ((1, 0.5), (2, 0.25), (3, None))}
    means = compute_group_means(per_class, {1: "x", 2: "x", 3: "y"})
    assert means == {"x": 0.375, "y": None}


def test_fractional_timestamps_are_other_keyframes(tmp_path: Path) -> None:
    box = "0.1,0.1,0.5,0.5,1"
    (tmp_path / "gt.csv").write_text(f"v,902.5,{box},0\nv,903,{box},0\nw,903.123456\n")
    (tmp_path / "det.csv").write_text(f"v,902.500,{box},0.9\nv,903.5,{box},0.95\n")
    (tmp_path / "map.pbtxt").write_text('item {\n  name: "a"\n  id: 1\n}\n')
    result = evaluate_csv(tmp_path / "gt.csv", tmp_path / "det.csv", tmp_path / "map.pbtxt")
    assert result["mAP"] == 0.5
    assert result["counts"]["ignored"] == 1
    assert result["num_keyframes"] == 3
    assert len(load_annotations(tmp_path / "gt.csv")) == 3
    with pytest.raises(
        ValueError,
        match=r"gt\.csv, line 1: protocol pyslowfast expects timestamps written as whole",
    ):
        evaluate_csv(
            tmp_path / "gt.csv", tmp_path / "det.csv", tmp_path / "map.pbtxt", protocol="pyslowfast"
        )
