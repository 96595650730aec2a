"""Small sets of tubes for tests, written as rows: frames from 1, boxes in pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ava_det.formats.tubes import FrameBoxes, Tube, TubeTruth

BOX = (10.0, 10.0, 50.0, 90.0)


def still(
    video: str,
    label: int,
    first: int,
    count: int,
    box: Sequence[float] = BOX,
    score: float | None = None,
) -> Tube:
    """A tube that does not move, of `count` frames from `first`."""
    return Tube(
        video,
        label,
        np.arange(first, first + count),
        np.tile(np.array(box, np.float32), (count, 1)),
        score,
    )


def make_truth(tubes: Sequence[Tube], labels: Sequence[str] = ("jump", "wave")) -> TubeTruth:
    """Ground truth of one split that holds the videos of `tubes`."""
    videos = tuple(dict.fromkeys(tube.video for tube in tubes))
    return TubeTruth(
        tuple(labels),
        ((),),
        (videos,),
        dict.fromkeys(videos, 60),
        dict.fromkeys(videos, (240, 320)),
        {video: [tube for tube in tubes if tube.video == video] for video in videos},
    )


def make_boxes(rows: Sequence[Sequence[float]], videos: Sequence[str] = ("v",)) -> FrameBoxes:
    """Detections of rows: video number, frame, label, score, x1, y1, x2, y2."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 8)
    whole = table[:, :3].astype(np.int64)
    return FrameBoxes(
        tuple(videos), whole[:, 0], whole[:, 1], whole[:, 2], table[:, 3], table[:, 4:]
    )


def make_random(
    seed: int, num_videos: int = 5, num_labels: int = 3
) -> tuple[TubeTruth, list[Tube], FrameBoxes]:
    """Crowded moving tubes, and detections that are late, early, jittered or of another class."""
    random = np.random.default_rng(seed)
    labeled: list[Tube] = []
    found: list[Tube] = []
    for number in range(num_videos):
        for _ in range(int(random.integers(2, 7))):
            label, first = int(random.integers(num_labels)), int(random.integers(1, 20))
            base = np.tile(random.uniform(20, 80, 2), 2)
            base[2:] += random.uniform(20, 90, 2)
            labeled.append(_move(random, f"v{number}", label, (first, 20), base, None))
            for _ in range(int(random.integers(0, 4))):
                near = base + random.normal(0, 8, 4)
                begin = max(1, first + int(random.integers(-8, 9)))
                other = label if random.random() < 0.8 else int(random.integers(num_labels))
                span = (begin, int(random.integers(1, 30)))
                found.append(_move(random, f"v{number}", other, span, near, float(random.random())))
    truth = make_truth(labeled, [f"c{label}" for label in range(num_labels)])
    rows = [
        (int(tube.video[1:]), frame, tube.label, random.random(), *box)
        for tube in found
        for frame, box in zip(tube.frames, tube.boxes, strict=True)
    ]
    return truth, found, make_boxes(rows, truth.test_videos[0])


def _move(
    random: np.random.Generator,
    video: str,
    label: int,
    span: tuple[int, int],
    base: np.ndarray,
    score: float | None,
) -> Tube:
    boxes = base + random.normal(0, 3, (span[1], 4))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    return Tube(video, label, np.arange(span[0], sum(span)), boxes.astype(np.float32), score)
