"""A person detector of one's own: what it must be, what it may give, and whose video it
remembers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from ava_det.detectors import MotionDetector, VideoDetector, check_detector

FRAME = np.zeros((48, 64, 3), np.uint8)


class Own:
    """Gives what it was made with."""

    name = "own"

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    def begin_video(self, samples: Sequence[np.ndarray]) -> Own:
        return self

    def __call__(self, frames: Sequence[np.ndarray]) -> Any:
        return self.answer


class Remembering(Own):
    """Keeps the brightness of the latest video, and gives it as a score."""

    def begin_video(self, samples: Sequence[np.ndarray]) -> None:
        self.brightness = float(np.mean(samples[0])) / 255

    def __call__(self, frames: Sequence[np.ndarray]) -> Any:
        return [([[0, 0, 9, 9]], [self.brightness]) for _ in frames]


def find(answer: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return VideoDetector(check_detector(Own(answer)), [FRAME])([FRAME])


@pytest.mark.parametrize(
    ("boxes", "scores"),
    [
        (np.array([[1, 2, 3, 4]], np.float64), np.array([0.5])),
        ([[1, 2, 3, 4]], [0.5]),
        (torch.tensor([[1, 2, 3, 4]]), torch.tensor([0.5], requires_grad=True)),
    ],
)
def test_arrays_lists_and_tensors_are_taken(boxes: Any, scores: Any) -> None:
    [(found, sure)] = find([(boxes, scores)])
    assert found.dtype == sure.dtype == torch.float32
    assert found.tolist() == [[1, 2, 3, 4]]
    assert sure.tolist() == [0.5]


@pytest.mark.parametrize("nobody", [([], []), (np.zeros((0, 4)), np.zeros(0)), ([[]], [])])
def test_nobody_is_an_answer(nobody: Any) -> None:
    [(boxes, scores)] = find([nobody])
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (None, r"expected a list of 1 pairs \(boxes, scores\), received a NoneType"),
        ([], "received a list of 0"),
        ([None], "for each frame, received a NoneType"),
        ([(1, 2, 3)], "received a tuple of 3"),
        ([([[1, 2, "x", 4]], [0.5])], "received a tuple of 2"),
        ([([[1, 2, 3, 4, 0.9, 0]], [0.9])], r"expected boxes \[N, 4\].*received \[1, 6\]"),
        ([([1, 2, 3, 4], [0.9])], r"received \[4\]"),
        ([([[1, 2, 3, 4]], [0.9, 0.8])], r"a score for each of 1 boxes, received \[2\]"),
        ([([[1, 2, 3, 4]], [[0.9]])], r"received \[1, 1\]"),
        ([([[1, 2, np.nan, 4]], [0.9])], r"all finite, received \[1\.0, 2\.0, nan, 4\.0\]"),
        ([([[1, 2, 3, np.inf]], [0.9])], "inf"),
        ([([[9, 2, 3, 4]], [0.9])], r"x1 <= x2, .*received \[9\.0, 2\.0, 3\.0, 4\.0\]"),
        ([([[1, 2, 3, 4]], [95])], r"expected person scores 0\.\.1, received 95"),
        ([([[1, 2, 3, 4]], [np.nan])], "received nan"),
        ([([[1, 2, 3, 4]], [-0.1])], r"received -0\.1"),
    ],
)
def test_what_is_no_answer_is_a_sentence(answer: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=rf"^the detector own: .*{sentence}"):
        find(answer)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            object(),
            "a object without name and begin_video and __call__",
        ),
        (type("Nameless", (Own,), {"name": property()})(), "without name"),
        (type("Unnamed", (Own,), {"name": 3})(), "expected its name to be a text, received 3"),
        (Own, "received the class Own itself"),
        (None, "received a NoneType"),
        ([FRAME], "received a list"),
    ],
)
def test_what_is_no_detector_is_a_sentence(given: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_detector(given)


def test_a_detector_that_remembers_one_video_refuses_to_mix_two() -> None:
    detector = check_detector(Remembering())
    first = VideoDetector(detector, [FRAME])
    assert first([FRAME])[0][1].tolist() == [0.0]
    second = VideoDetector(detector, [FRAME + 255])
    assert second([FRAME])[0][1].tolist() == [1.0]
    with pytest.raises(ValueError, match="the detector own remembers one video at a time"):
        first([FRAME])
    del second  # the scene is the second one's, whether it is still watched or not
    with pytest.raises(ValueError, match="one video at a time"):
        first([FRAME])
    assert VideoDetector(detector, [FRAME])([FRAME])[0][1].tolist() == [0.0]


def test_the_motion_detector_watches_several_videos() -> None:
    motion = MotionDetector()
    frames = []
    for gray in (40, 180):
        frame = np.full((96, 128, 3), gray, np.uint8)
        frame[20:80, 50:70] = (220, 30, 30)
        frames.append(frame)
    empty = [np.full_like(frame, frame[0, 0]) for frame in frames]
    both = [VideoDetector(motion, [background] * 5) for background in empty]
    for find_in, frame in zip(both, frames, strict=True):
        [(boxes, _)] = find_in([frame])
        assert boxes.tolist() == [pytest.approx([50, 20, 70, 80], abs=1.5)]


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([0.1, 0.2, 0.5, 0.9], "expected pixels, not fractions"),
        ([70, 2, 90, 40], "lies outside the frame"),
        ([60, 2, 90, 40], None),
    ],
)
def test_boxes_in_other_units_are_reported_once(
    caplog: pytest.LogCaptureFixture, box: list[float], words: str | None
) -> None:
    detect = VideoDetector(check_detector(Own([([box], [0.9])])), [FRAME])
    for _ in range(2):
        detect([FRAME])
    assert len(caplog.messages) == (words is not None)
    assert words is None or words in caplog.text


@pytest.mark.parametrize("kind", [np.float16, np.int32, np.uint8, np.float64])
def test_numbers_of_any_type_are_taken(kind: Any) -> None:
    [(found, _)] = find([(np.array([[1, 2, 3, 4]], kind), np.ones(1, kind))])
    assert found.tolist() == [[1, 2, 3, 4]]
