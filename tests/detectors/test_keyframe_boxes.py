from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from ava_det.detectors import MotionDetector
from ava_det.detectors.keyframe_boxes import (
    add_proposals,
    compute_recall,
    detect_persons,
    replace_boxes,
)
from ava_det.formats.annotations import keyframes_from_annotations, load_annotations
from ava_det.structures import Keyframe, KeyframeKey, Persons
from ava_det.video.reader import VideoError
from ava_det.video.sources import find_videos
from tests.support.rendering import render_synthetic

LABELED = torch.tensor([[0.1, 0.1, 0.3, 0.5], [0.6, 0.2, 0.9, 0.9]])


def make_keyframe() -> Keyframe:
    return Keyframe("video", 902.0, LABELED, torch.eye(2, 4), torch.ones(2))


def boxes_at(boxes: torch.Tensor, scores: Sequence[float]) -> dict[KeyframeKey, Persons]:
    return {KeyframeKey.at("video", 902): Persons(boxes, torch.tensor(scores))}


def test_detected_boxes_take_the_place_of_labeled_ones() -> None:
    [replaced] = replace_boxes([make_keyframe()], boxes_at(LABELED + 0.01, [0.9, 0.4]), 0.5)
    torch.testing.assert_close(replaced.boxes, LABELED[:1] + 0.01)
    assert replaced.labels is None
    assert replaced.person_scores.tolist() == pytest.approx([0.9])


def test_a_keyframe_where_nobody_was_found_has_nobody() -> None:
    [replaced] = replace_boxes([make_keyframe()], {}, 0.5)
    assert replaced.boxes.shape == (0, 4)


def test_proposals_take_over_labels_where_they_overlap_enough() -> None:
    proposals = torch.cat((LABELED[1:] + 0.01, torch.tensor([[0.0, 0.6, 0.2, 0.9]])))
    [extended] = add_proposals([make_keyframe()], boxes_at(proposals, [0.8, 0.9]), 0.5, 0.75)
    assert len(extended.boxes) == 3
    assert extended.labels is not None
    assert extended.labels[2].tolist() == [0, 1, 0, 0]
    [strict] = add_proposals([make_keyframe()], boxes_at(proposals, [0.8, 0.9]), 0.5, 0.99)
    assert len(strict.boxes) == 2


def test_recall_and_precision() -> None:
    proposals = torch.cat((LABELED[:1], torch.tensor([[0.0, 0.6, 0.2, 0.9]]), LABELED[:1] + 0.005))
    assert compute_recall(
        [make_keyframe()], boxes_at(proposals, [0.9, 0.9, 0.9]), 0.5
    ) == pytest.approx((1 / 2, 2 / 3))


def test_motion_finds_the_persons_of_the_synthetic_set(tmp_path: Path) -> None:
    # 30 s: enough to learn a background from
    synthetic = render_synthetic(tmp_path, "--num-train=1", "--num-val=3")
    keyframes = keyframes_from_annotations(load_annotations(synthetic / "val.csv"), 80)
    found = detect_persons(
        MotionDetector(), find_videos(synthetic / "videos"), keyframes, 900.0, lambda items: items
    )
    assert len(found) == len(keyframes)
    for boxes, scores in found.values():
        assert boxes.shape == (len(scores), 4)
        assert bool(((boxes >= 0) & (boxes <= 1)).all())
    recall, precision = compute_recall(keyframes, found, 0.3)
    assert recall > 0.85
    assert precision > 0.85


def test_every_video_starts_the_detector_anew(synthetic: Path) -> None:
    class Recorder:
        name = "recorder"
        starts = 0

        def begin_video(self, samples: Sequence[np.ndarray]) -> None:
            self.starts += 1
            assert len(samples) > 4

        def __call__(self, frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
            width = frames[0].shape[1]
            return [
                (np.array([[-5, 0, width + 5, 10]], np.float32), np.ones(1, np.float32))
                for _ in frames
            ]

    keyframes = keyframes_from_annotations(load_annotations(synthetic / "train.csv"), 80)
    recorder = Recorder()
    found = detect_persons(
        recorder, find_videos(synthetic / "videos"), keyframes, 900.0, lambda items: items
    )
    assert recorder.starts == 4
    assert all(boxes[0, 0] == 0 and boxes[0, 2] == 1 for boxes, _ in found.values())


def test_a_missing_video_is_named() -> None:
    with pytest.raises(VideoError, match="video id video"):
        detect_persons(MotionDetector(), {}, [make_keyframe()], 0.0, lambda items: items)
