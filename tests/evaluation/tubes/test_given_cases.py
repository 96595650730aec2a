"""Every protocol gives the numbers that the public code gave, on cases kept beside the checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ava_det.evaluation.tubes import RANGES, evaluate_frames, evaluate_tubes
from ava_det.evaluation.tubes.results import TubeMap
from ava_det.formats.tubes import FrameBoxes, Tube, TubeTruth
from ava_det.linking.viterbi import link_by_viterbi

FRAME_NAMES = {
    "multisports": "multisports",
    "mmaction2": "mmaction2",
    "act_moc": "act",
    "retinanet3d": "retinanet3d",
    "padilla_yowov2": "yowo",
}
VIDEO_NAMES = {name: FRAME_NAMES[name] for name in list(FRAME_NAMES)[:4]}
YOWO_NAMES = {"yowov2": "yowo", "yowov2_spatial_only": "yowo-spatial"}

pytestmark = pytest.mark.needs_shared


def load(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8"))["cases"])


def read_truth(case: dict[str, Any]) -> TubeTruth:
    tubes = {}
    for video, by_label in case["gttubes"].items():
        rows = [
            (int(label), np.array(tube, dtype=np.float32))
            for label, found in by_label.items()
            for tube in found
        ]
        tubes[video] = [Tube(video, i, t[:, 0].astype(np.int64), t[:, 1:5]) for i, t in rows]
    return TubeTruth(
        tuple(case["labels"]), ((),), (tuple(case["videos"]),), case["nframes"], {}, tubes
    )


def read_boxes(case: dict[str, Any]) -> FrameBoxes:
    table = np.array(case["frame_detections"], dtype=np.float64).reshape(-1, 8)
    whole = table[:, :3].astype(np.int64)
    return FrameBoxes(
        tuple(case["videos"]), whole[:, 0], whole[:, 1], whole[:, 2], table[:, 3], table[:, 4:]
    )


def read_tubes(case: dict[str, Any]) -> list[Tube]:
    tubes = []
    for label, video, score, rows in case["tubes"]:
        table = np.array(rows, dtype=np.float32)
        tubes.append(Tube(video, label, table[:, 0].astype(np.int64), table[:, 1:5], score))
    return tubes


def check(found: TubeMap, expected: dict[str, Any]) -> None:
    values = {str(k): 100 * row.ap for k, row in found.per_class.items() if row.ap is not None}
    assert values == pytest.approx(expected["per_class"], abs=1e-9)
    assert found.mean_ap is not None
    assert 100 * found.mean_ap == pytest.approx(expected["mean"], abs=1e-9)


def test_frame_map(shared_data: Path) -> None:
    compared = 0
    for case in load(shared_data / "tubes_cases" / "frame_map.json"):
        truth, boxes = read_truth(case), read_boxes(case)
        for threshold, evaluators in case["expected"].items():
            for evaluator, expected in evaluators.items():
                arguments = (truth, boxes, FRAME_NAMES[evaluator], [float(threshold)])
                if "error" in expected:
                    with pytest.raises(ValueError, match="divides by zero"):
                        evaluate_frames(*arguments)
                else:
                    check(evaluate_frames(*arguments).by_threshold[float(threshold)], expected)
                compared += 1
    assert compared >= 100


def test_video_map(shared_data: Path) -> None:
    compared = 0
    for case in load(shared_data / "tubes_cases" / "video_map.json"):
        truth, tubes = read_truth(case), read_tubes(case)
        for threshold, evaluators in case["expected"].items():
            for evaluator, expected in evaluators.items():
                protocol = VIDEO_NAMES[evaluator]
                compared += 1
                if "error" in expected:
                    with pytest.raises(ValueError, match="divides by zero"):
                        evaluate_tubes(truth, tubes, protocol)
                    continue
                if threshold != "ranges":
                    result = evaluate_tubes(truth, tubes, protocol, [float(threshold)])
                    check(result.by_threshold[float(threshold)], expected)
                    continue
                result = evaluate_tubes(truth, tubes, protocol, (), tuple(RANGES))
                for name, value in expected.items():
                    assert 100 * (result.ranges[name] or 0) == pytest.approx(value, abs=1e-9)
    assert compared >= 90


def test_yowo_video_map(shared_data: Path) -> None:
    """From boxes of frames: YOWO's evaluator links them itself."""
    compared = 0
    for case in load(shared_data / "tubes_cases" / "yowo_video_map.json"):
        truth, boxes = read_truth(case), read_boxes(case)
        tubes = link(case, boxes)
        for threshold, evaluators in case["expected"].items():
            for evaluator, expected in evaluators.items():
                result = evaluate_tubes(truth, tubes, YOWO_NAMES[evaluator], [float(threshold)])
                check(result.by_threshold[float(threshold)], expected)
                compared += 1
    assert compared >= 24


def link(case: dict[str, Any], boxes: FrameBoxes) -> list[Tube]:
    tubes = []
    for number, video in enumerate(boxes.videos):
        for label in range(len(case["labels"])):
            rows = [
                (boxes.video == number) & (boxes.labels == label) & (boxes.frames == frame)
                for frame in range(1, case["nframes"][video] + 1)
            ]
            frames = [np.column_stack([boxes.boxes[row], boxes.scores[row]]) for row in rows]
            for found in link_by_viterbi(frames):
                table = found.rows.astype(np.float32)
                whole = table[:, 0].astype(np.int64)
                tubes.append(Tube(video, label, whole, table[:, 1:5], found.score))
    return tubes
