"""The motion detector on scenes small enough to know the answer, and on real footage from a fixed
camera.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from ava_det.detectors import MotionDetector, PersonDetector
from ava_det.detectors.background import _count_by_stretch, compute_background
from ava_det.video.file import VideoReader

Box = tuple[int, int, int, int]


def make_room(width: int = 160, height: int = 120) -> np.ndarray:
    """A textured empty scene, float [H, W, 3]."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:height, 0:width]
    room = 120 + 25 * np.sin(columns / 9) + 20 * np.cos(rows / 7)
    return room[:, :, None] + rng.normal(0, 4, (height, width, 3))


def paint(
    room: np.ndarray, *persons: tuple[Box, tuple[int, int, int]], light: float = 1.0
) -> np.ndarray:
    """A uint8 frame of the room with colored boxes in it and sensor noise over it."""
    frame = room.copy()
    for (x1, y1, x2, y2), color in persons:
        frame[y1:y2, x1:x2] = color
    noise = np.random.default_rng(int(frame.sum()) % 2**32).normal(0, 1.5, frame.shape)
    return np.clip(frame * light + noise, 0, 255).astype(np.uint8)


def walk(room: np.ndarray, count: int = 32) -> list[np.ndarray]:
    """Somebody in red crosses the room."""
    return [
        paint(room, ((x, 40, x + 16, 100), (220, 30, 30)))
        for x in np.linspace(0, 140, count).astype(int)
    ]


def compute_iou(a: np.ndarray, b: np.ndarray) -> float:
    size = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    shared = size[0] * size[1]
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


@pytest.fixture
def room() -> np.ndarray:
    return make_room()


@pytest.fixture
def detector(room: np.ndarray) -> MotionDetector:
    detector = MotionDetector()
    detector.begin_video(walk(room))
    return detector


def test_it_follows_the_protocol(detector: MotionDetector) -> None:
    assert isinstance(detector, PersonDetector)
    assert detector.name == "motion"


def test_persons_are_found_where_they_are_best_first(
    detector: MotionDetector, room: np.ndarray
) -> None:
    large = (20, 30, 40, 100)
    small = (110, 60, 122, 95)
    [(boxes, scores)] = detector([paint(room, (small, (60, 60, 200)), (large, (20, 200, 20)))])
    assert boxes.dtype == scores.dtype == np.float32
    assert boxes.shape == (2, 4)
    assert compute_iou(boxes[0], np.array(large)) > 0.85
    assert compute_iou(boxes[1], np.array(small)) > 0.75
    assert 0 < scores[1] <= scores[0] <= 1


def test_an_empty_room_has_nobody(detector: MotionDetector, room: np.ndarray) -> None:
    [(boxes, scores)] = detector([paint(room)])
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)
    assert boxes.dtype == scores.dtype == np.float32


def test_no_frames_no_results(detector: MotionDetector) -> None:
    assert detector([]) == []


@pytest.mark.parametrize("light", [0.75, 1.25])
def test_a_change_of_light_is_nobody(
    detector: MotionDetector, room: np.ndarray, light: float
) -> None:
    assert len(detector([paint(room, light=light)])[0][0]) == 0
    person = (60, 40, 78, 100)
    [(boxes, _)] = detector([paint(room, (person, (20, 200, 20)), light=light)])
    assert len(boxes) == 1
    assert compute_iou(boxes[0], np.array(person)) > 0.85


def test_a_shadow_is_nobody(detector: MotionDetector, room: np.ndarray) -> None:
    shaded = room.copy()
    shaded[60:100, 50:90] *= 0.75
    assert len(detector([paint(shaded)])[0][0]) == 0


def test_boxes_are_in_pixels_of_the_frame_at_any_size() -> None:
    room = make_room(800, 600)
    detector = MotionDetector()
    detector.begin_video(
        [paint(room, ((x, 200, x + 80, 500), (220, 30, 30))) for x in range(0, 720, 40)]
    )
    person = (301, 152, 402, 507)
    [(boxes, _)] = detector([paint(room, (person, (20, 200, 20)))])
    assert len(boxes) == 1
    assert compute_iou(boxes[0], np.array(person)) > 0.95


def test_every_video_starts_anew(detector: MotionDetector) -> None:
    other = make_room()[::-1, ::-1].copy()
    detector.begin_video(walk(other))
    assert len(detector([paint(other)])[0][0]) == 0


def test_results_do_not_depend_on_the_other_frames(
    detector: MotionDetector, room: np.ndarray
) -> None:
    frames = walk(room, 5)
    together = detector(frames)
    for frame, (boxes, scores) in zip(frames, together, strict=True):
        [(alone, alone_scores)] = detector([frame])
        np.testing.assert_array_equal(boxes, alone)
        np.testing.assert_array_equal(scores, alone_scores)


def test_people_who_take_turns_in_one_place_do_not_become_background(room: np.ndarray) -> None:
    """Two thirds of the time somebody stands in one place, where a median would show no wall."""
    place = (70, 30, 90, 100)
    samples = []
    for color in (
        (220, 30, 30),
        (20, 200, 20),
        (30, 30, 220),
        (220, 200, 20),
        (20, 20, 20),
        (230, 230, 230),
    ):
        samples += [paint(room, (place, color))] * 4 + [paint(room)] * 2
    background, _ = compute_background(np.stack(samples).astype(np.float32))
    assert np.abs(background - room).mean() < 2
    detector = MotionDetector()
    detector.begin_video(samples)
    assert len(detector([samples[-1]])[0][0]) == 0
    assert compute_iou(detector([samples[0]])[0][0][0], np.array(place)) > 0.85


def test_one_sample_is_its_own_background(room: np.ndarray) -> None:
    detector = MotionDetector()
    detector.begin_video([paint(room)])
    assert len(detector([paint(room)])[0][0]) == 0


def test_odd_sizes_work() -> None:
    room = make_room(97, 73)
    detector = MotionDetector()
    detector.begin_video(
        [paint(room, ((x, 20, x + 14, 60), (220, 30, 30))) for x in range(0, 80, 5)]
    )
    assert len(detector([paint(room, ((40, 20, 54, 60), (20, 200, 20)))])[0][0]) == 1


def test_a_frame_before_any_video_is_an_error(room: np.ndarray) -> None:
    with pytest.raises(ValueError, match="begin_video"):
        MotionDetector()([paint(room)])


def test_a_video_without_frames_is_an_error() -> None:
    with pytest.raises(ValueError, match="got none"):
        MotionDetector().begin_video([])


def test_a_frame_of_another_size_is_an_error(detector: MotionDetector) -> None:
    with pytest.raises(ValueError, match="64x48"):
        detector([np.zeros((48, 64, 3), np.uint8)])


@pytest.mark.slow
@pytest.mark.needs_shared
def test_real_footage_from_a_fixed_camera(shared_data: Path) -> None:
    """Six people who stand at one table for most of the video; annotated by eye, 104 boxes."""
    video_id = "intel_one-by-one-person-detection"
    labeled: dict[int, set[tuple[float, ...]]] = {}
    unclear = set()
    for split in ("train", "val"):
        with (shared_data / "mini_ava" / f"{split}.csv").open(newline="") as file:
            for row in csv.reader(file):
                if row[0] == video_id:
                    labeled.setdefault(int(row[1]), set()).add(tuple(map(float, row[2:6])))
        with (shared_data / "mini_ava" / f"{split}_excluded_timestamps.csv").open(
            newline=""
        ) as file:
            unclear |= {int(row[1]) for row in csv.reader(file) if row[0] == video_id}
    seconds = [second for second in range(1, 139) if second not in unclear]
    detector = MotionDetector()
    with VideoReader(shared_data / "videos" / f"{video_id}.mp4") as reader:
        detector.begin_video(reader.sample(32))
        results = detector(list(reader.read(seconds)))
    hits = found = 0
    for second, (boxes, scores) in zip(seconds, results, strict=True):
        sure = boxes[scores >= 0.5]
        found += len(sure)
        for truth in labeled.get(second, ()):
            pixels = np.array(truth) * [768, 432, 768, 432]
            hits += any(compute_iou(box, pixels) >= 0.5 for box in sure)
    assert hits / sum(map(len, labeled.values())) > 0.95
    assert hits / found > 0.9


@pytest.mark.parametrize("num_samples", [1, 5, 8, 13, 32])
def test_samples_are_counted_by_stretch(num_samples: int) -> None:
    near = np.random.default_rng(num_samples).random((num_samples, 7)) < 0.6
    starts = np.unique(np.arange(8) * num_samples // 8)
    stretches = np.split(near, starts[1:])
    assert _count_by_stretch(near).tolist() == [part.sum(axis=0).tolist() for part in stretches]
