"""The array code against the rules of docs/tubes.md written as plain loops, on crowded tubes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from ava_det.evaluation.tubes import TUBE_PROTOCOLS, TubeProtocol, evaluate_frames, evaluate_tubes
from ava_det.evaluation.tubes.overlap import compute_tube_overlaps
from ava_det.evaluation.tubes.table import make_table
from ava_det.formats.tubes import FrameBoxes, Tube, TubeTruth
from tests.support.tube_cases import make_random

THRESHOLDS = (0.2, 0.5, 0.75)


def box_iou(first: np.ndarray, second: np.ndarray, pixels: str) -> float:
    plus = 0 if pixels == "continuous" else 1
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if pixels == "touching" and min(width, height) < 0:
        return 0.0
    shared = max(width + plus, 0) * max(height + plus, 0)
    areas = [(b[2] - b[0] + plus) * (b[3] - b[1] + plus) for b in (first, second)]
    return float(shared / (sum(areas) - shared))


def tube_iou(first: Tube, second: Tube, protocol: TubeProtocol) -> float:
    frames = sorted(set(first.frames.tolist()) & set(second.frames.tolist()))
    if not frames:
        return 0.0
    ious = [
        box_iou(
            first.boxes[frame - first.frames[0]].astype(float),
            second.boxes[frame - second.frames[0]].astype(float),
            protocol.video.pixels,
        )
        for frame in frames
    ]
    extent = [int(f(tube.frames)) for f, tube in ((min, first), (min, second))]
    ends = [int(max(tube.frames)) for tube in (first, second)]
    shared, joint = frames[-1] - frames[0], max(ends) - min(extent)
    if protocol.time != "distance":
        if protocol.time == "counted two" and not shared:
            return 0.0
        shared, joint = shared + 1, joint + 1
    return float(np.mean(ious)) * shared / joint if joint else float("nan")


@dataclass
class Side:
    """Detections of one class in order of score, each with its overlaps in its group."""

    num_gt: int = 0
    found: list[tuple[float, object, np.ndarray]] = field(default_factory=list)


def area(side: Side, threshold: float, takes_next: bool, trapezoid: bool) -> float:
    taken: dict[object, set[int]] = {}
    points = [(1.0, 0.0)]
    hits = 0
    for number, (_, group, ious) in enumerate(sorted(side.found, key=lambda row: -row[0]), 1):
        used = taken.setdefault(group, set())
        offered = [i for i in range(len(ious)) if not (takes_next and i in used)]
        best = max(offered, key=lambda i: (np.isnan(ious[i]), ious[i], -i), default=None)
        if best is not None and ious[best] >= threshold and best not in used:
            used.add(best)
            hits += 1
        points.append((hits / number, hits / max(side.num_gt, 1)))
    total = 0.0
    for place in range(1, len(points)):
        step = points[place][1] - points[place - 1][1]
        height = max(p for p, _ in points[place:])
        if trapezoid:
            height = (points[place][0] + points[place - 1][0]) / 2
        total += step * height
    return total


def suppress(tubes: list[Tube], protocol: TubeProtocol) -> list[Tube]:
    left = sorted(tubes, key=lambda tube: -(tube.score or 0))
    kept: list[Tube] = []
    while protocol.nms is not None and left:
        kept.append(left.pop(0))
        left = [tube for tube in left if tube_iou(tube, kept[-1], protocol) <= protocol.nms]
    return kept or left


def video_sides(truth: TubeTruth, tubes: list[Tube], protocol: TubeProtocol) -> list[Side]:
    sides = []
    for label in range(len(truth.labels)):
        side = Side()
        for video in truth.test_videos[0]:
            labeled = [tube for tube in truth.tubes[video] if tube.label == label]
            side.num_gt += len(labeled)
            mine = [tube for tube in tubes if (tube.video, tube.label) == (video, label)]
            for tube in suppress(mine, protocol):
                ious = np.array([tube_iou(other, tube, protocol) for other in labeled])
                side.found.append((tube.score or 0.0, video, ious))
        sides.append(side)
    return sides


def frame_sides(truth: TubeTruth, boxes: FrameBoxes, protocol: TubeProtocol) -> list[Side]:
    sides = [Side() for _ in truth.labels]
    labeled: dict[tuple[str, int, int], list[np.ndarray]] = {}
    for video, tubes in truth.tubes.items():
        for tube in tubes:
            sides[tube.label].num_gt += len(tube)
            for frame, box in zip(tube.frames.tolist(), tube.boxes.astype(float), strict=True):
                labeled.setdefault((video, frame, tube.label), []).append(box)
    for row in range(len(boxes)):
        label = int(boxes.labels[row])
        group = (boxes.videos[boxes.video[row]], int(boxes.frames[row]), label)
        others = labeled.get(group, [])
        ious = np.array([box_iou(o, boxes.boxes[row], protocol.frame.pixels) for o in others])
        sides[label].found.append((float(boxes.scores[row]), group, ious))
    return sides


@pytest.mark.parametrize("name", [name for name in TUBE_PROTOCOLS if name != "yowo-spatial"])
@pytest.mark.parametrize("seed", range(3))
def test_every_protocol_by_loops(name: str, seed: int) -> None:
    protocol = TUBE_PROTOCOLS[name]
    truth, tubes, boxes = make_random(seed)
    result = evaluate_tubes(truth, tubes, name, THRESHOLDS)
    frames = evaluate_frames(truth, boxes, name, THRESHOLDS)
    for rules, found, sides in (
        (protocol.video, result, video_sides(truth, tubes, protocol)),
        (protocol.frame, frames, frame_sides(truth, boxes, protocol)),
    ):
        # float32 curves, and hundredths of a percent
        bound = 1e-4 if rules.curve.rounding == "hundredths" else 1e-6
        for threshold in THRESHOLDS:
            for label, side in enumerate(sides):
                expected = area(side, threshold, rules.takes_next, rules.curve.trapezoid)
                ap = found.by_threshold[threshold].per_class[label].ap
                assert ap == pytest.approx(expected, abs=bound), (rules, threshold, label)


def test_the_loops_tell_the_protocols_apart() -> None:
    means = set()
    for name in ("multisports", "act", "retinanet3d", "yowo"):
        values = [
            evaluate_tubes(make_random(seed)[0], make_random(seed)[1], name, [0.5])
            .by_threshold[0.5]
            .mean_ap
            for seed in range(3)
        ]
        means.add(tuple(values))
    assert len(means) == 4


@pytest.mark.gpu
def test_cpu_and_cuda_are_equal_to_the_bit() -> None:
    assert torch.cuda.is_available()
    truth, tubes, boxes = make_random(5, num_videos=20)
    videos = {video: number for number, video in enumerate(truth.test_videos[0])}
    table = make_table(tubes, videos, "tubes")
    first, second = (a.ravel() for a in np.meshgrid(np.arange(len(table)), np.arange(len(table))))
    for pixels in ("continuous", "inclusive", "touching"):
        cpu, cuda = (
            compute_tube_overlaps(table, table, first, second, pixels, device).space
            for device in ("cpu", "cuda")
        )
        np.testing.assert_array_equal(cpu, cuda)
    for name in TUBE_PROTOCOLS:
        if name != "yowo-spatial":
            assert (
                evaluate_tubes(truth, tubes, name, device="cuda").to_json()
                == evaluate_tubes(truth, tubes, name).to_json()
            )
        assert (
            evaluate_frames(truth, boxes, name, device="cuda").to_json()
            == evaluate_frames(truth, boxes, name).to_json()
        )
