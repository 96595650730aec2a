"""Runs a person detector on one video, and checks what it returns."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from ava_det.detectors.detector import PersonDetector

logger = logging.getLogger("ava_det")

MEMBERS = ("name", "begin_video", "__call__")

# Id of a detector to the VideoDetector that last began a video with it. A VideoDetector keeps its
# detector alive, so no id is used twice.
_LATEST: WeakValueDictionary[int, VideoDetector] = WeakValueDictionary()


class VideoDetector:
    """Finds the persons of one video; several of these can run on different videos at once.

    Args:
        detector: Begins the video. One whose `begin_video` returns None remembers one video at a
            time.
        samples: Frames of the video, as `PersonDetector.begin_video` takes them.
    """

    def __init__(self, detector: PersonDetector, samples: Sequence[np.ndarray]) -> None:
        self._detector = detector
        _LATEST[id(detector)] = self
        begun = detector.begin_video(samples)
        self._is_shared = begun is None
        self._find = detector if begun is None else begun
        self._reported: set[str] = set()

    def __call__(self, frames: Sequence[np.ndarray]) -> list[tuple[Tensor, Tensor]]:
        """Finds the persons of each frame.

        Args:
            frames: RGB, uint8 [H, W, 3], of this video.

        Returns:
            One pair per frame: boxes float32 [N, 4], xyxy in pixels, and person scores float32 [N],
            0..1.

        Raises:
            ValueError: The detector returns something else, or another video was begun with a
                detector that remembers one at a time.
        """
        self._refuse_another_video()
        pairs = self._find(frames)
        self._refuse_another_video()
        name = f"the detector {self._detector.name}"
        if not isinstance(pairs, Sequence) or len(pairs) != len(frames):
            raise ValueError(
                f"{name}: expected a list of {len(frames)} pairs (boxes, scores), "
                f"received {_show(pairs)}"
            )
        persons = [_check_persons(name, pair) for pair in pairs]
        for frame, (boxes, _) in zip(frames, persons, strict=True):
            doubt = _find_doubt(boxes, frame.shape[1], frame.shape[0])
            if doubt is not None and doubt not in self._reported:
                self._reported.add(doubt)
                logger.warning(f"{name}: {doubt}")
        return persons

    def _refuse_another_video(self) -> None:
        if self._is_shared and _LATEST.get(id(self._detector)) is not self:
            raise ValueError(
                f"the detector {self._detector.name} remembers one video at a time, and another "
                "was begun: watch one after the other, or let begin_video return an object for "
                "each video (itself, where it keeps nothing)"
            )


def _find_doubt(boxes: Tensor, width: int, height: int) -> str | None:
    """Says why boxes are hardly in pixels of the frame; None where they may be.

    Args:
        boxes: float32 [N, 4], xyxy.
        width: Of the frame, in pixels.
        height: Likewise.
    """
    if len(boxes) and float(boxes.max()) <= 1:
        return "all its boxes of a frame are within one pixel: expected pixels, not fractions"
    if bool(((boxes[:, 0] >= width) | (boxes[:, 1] >= height)).any()):
        return "a box lies outside the frame: expected pixels of the frame it was given"
    return None


def check_detector(detector: Any) -> PersonDetector:
    """Checks that an object can be used as a person detector, and returns it.

    Raises:
        ValueError: It cannot; the sentence names what it lacks.
    """
    expected = (
        "expected a person detector (an object with name, begin_video and __call__) "
        "or a mapping of boxes"
    )
    if isinstance(detector, type):
        raise ValueError(f"detector: {expected}, received the class {detector.__name__} itself")
    missing = [member for member in MEMBERS if not hasattr(detector, member)]
    if missing:
        kind = type(detector).__name__
        raise ValueError(f"detector: {expected}, received a {kind} without {' and '.join(missing)}")
    if not isinstance(detector.name, str) or not detector.name:
        raise ValueError(f"detector: expected its name to be a text, received {detector.name!r}")
    checked: PersonDetector = detector
    return checked


def _check_persons(name: str, pair: Any) -> tuple[Tensor, Tensor]:
    """Converts the boxes and scores of one frame to tensors, after checks."""
    try:
        given_boxes, given_scores = pair
        boxes, scores = (_to_tensor(values) for values in (given_boxes, given_scores))
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"{name}: expected a pair (boxes, scores) for each frame, received {_show(pair)}"
        ) from None
    if not boxes.numel():
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            f"{name}: expected boxes [N, 4] (x1, y1, x2, y2 in pixels), "
            f"received {list(boxes.shape)}"
        )
    if scores.shape != boxes.shape[:1]:
        raise ValueError(
            f"{name}: expected a score for each of {len(boxes)} boxes, "
            f"received {list(scores.shape)}"
        )
    wrong = ~torch.isfinite(boxes).all(dim=1) | (boxes[:, 2:] < boxes[:, :2]).any(dim=1)
    if bool(wrong.any()):
        first = [round(value, 1) for value in boxes[wrong][0].tolist()]
        raise ValueError(
            f"{name}: expected boxes x1 <= x2, y1 <= y2 in pixels, all finite, received {first}"
        )
    sure = (scores >= 0) & (scores <= 1)
    if not bool(sure.all()):
        raise ValueError(f"{name}: expected person scores 0..1, received {scores[~sure][0]:g}")
    return boxes, scores


def _to_tensor(values: Any) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32).detach().cpu()


def _show(value: Any) -> str:
    """Describes a received value by its type and length."""
    length = f" of {len(value)}" if hasattr(value, "__len__") else ""
    return f"a {type(value).__name__}{length}"
