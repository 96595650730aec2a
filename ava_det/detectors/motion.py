"""Finds persons as whatever differs from the empty scene: for fixed cameras, without weights.

The background of the whole video is compared with each frame, after the frame is brought to the
brightness of the background. What differs and is no shadow becomes blobs, and blobs become boxes.
The limits are those of the method: everything that moves is a person, somebody who never moves is
not found, and a moving camera gives nothing of use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ava_det.detectors.background import compute_background, compute_gain
from ava_det.detectors.blobs import find_persons
from ava_det.detectors.detector import FramePersons

WORKING_SIDE = 384  # largest long side of the compared frames, in pixels: enough to find people
SMOOTHING = 0.7  # sigma in pixels, against codec noise
# A shadow leaves at least SHADOW_DARKEST of the light, and the parts that it leaves of the three
# channels differ by less than SHADOW_TINT.
SHADOW_DARKEST = 0.6
SHADOW_TINT = 0.08


class MotionDetector:
    """Finds persons by background subtraction; implements `PersonDetector`.

    A person score grows with contrast and size; 0.5 is a sensible smallest score.

    Args:
        threshold: Difference from the background, in gray levels, that one pixel of a blob must
            reach; the blob then extends over all connected pixels above half of it.
        min_height: Longest side of the smallest person, as a fraction of the height of the frame.
    """

    name = "motion"

    def __init__(self, threshold: float = 24.0, min_height: float = 0.08) -> None:
        self.threshold = threshold
        self.min_height = min_height
        self._latest: MotionScene | None = None

    def begin_video(self, samples: Sequence[np.ndarray]) -> MotionScene:
        """Learns the background of a video.

        Args:
            samples: RGB uint8 [H, W, 3] frames spread over the video, in order of time.

        Raises:
            ValueError: There is no sample.
        """
        if len(samples) == 0:
            raise ValueError(
                "the motion detector needs frames of the video to learn its background from, "
                "got none"
            )
        background, noise = compute_background(np.stack([_shrink(frame) for frame in samples]))
        self._latest = MotionScene(background, noise, self.threshold, self.min_height)
        return self._latest

    def __call__(self, frames: Sequence[np.ndarray]) -> list[FramePersons]:
        """Finds the persons in frames of the video that was begun last.

        Raises:
            ValueError: No video was begun, or the frames have another size.
        """
        if self._latest is None:
            raise ValueError(
                "the motion detector was given a frame before begin_video: it has no background yet"
            )
        return self._latest(frames)


@dataclass(frozen=True)
class MotionScene:
    """Finds persons in front of one background.

    Args:
        background: See `compute_background`.
        noise: See `compute_background`.
        threshold: See `MotionDetector`.
        min_height: See `MotionDetector`.
    """

    background: np.ndarray
    noise: np.ndarray
    threshold: float
    min_height: float

    def __call__(self, frames: Sequence[np.ndarray]) -> list[FramePersons]:
        """Finds the persons of each frame.

        Args:
            frames: RGB uint8 [H, W, 3].

        Returns:
            Boxes [N, 4], xyxy in pixels, and person_scores [N] of each frame.
        """
        return [self._detect(frame) for frame in frames]

    def _detect(self, frame: np.ndarray) -> FramePersons:
        small = _shrink(frame)
        if small.shape != self.background.shape:
            raise ValueError(
                f"the motion detector was given a frame of {frame.shape[1]}x{frame.shape[0]} "
                "pixels, expected the size of the frames that begin_video saw"
            )
        height, width = small.shape[:2]
        mask, difference = compute_foreground(small, self.background, self.noise, self.threshold)
        smallest = self.min_height * height
        boxes = []
        scores = []
        for part in find_persons(mask, min_area=round(0.3 * smallest**2)):
            x1, y1, x2, y2 = part.box
            if max(x2 - x1, y2 - y1) < smallest:
                continue
            contrast = float(difference[y1:y2, x1:x2][part.mask].mean())
            size = np.count_nonzero(part.mask) / (0.03 * height * width)
            boxes.append([x1, y1, x2, y2])
            scores.append(contrast / (contrast + self.threshold) * min(1.0, size))
        order = np.argsort(-np.array(scores, np.float32), kind="stable")
        scale = np.array([frame.shape[1] / width, frame.shape[0] / height] * 2, np.float32)
        return np.array(boxes, np.float32).reshape(-1, 4)[order] * scale, np.array(
            scores, np.float32
        )[order]


def compute_foreground(
    frame: np.ndarray, background: np.ndarray, noise: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Separates a frame from the background.

    Args:
        frame: float32 [H, W, 3].
        background: float32 [H, W, 3].
        noise: float32 [H, W], see `compute_background`.
        threshold: Gray levels, see `MotionDetector`.

    Returns:
        Mask uint8 [H, W], 1 where the frame is not background, and difference float32 [H, W] in
        gray levels, largest of the channels.
    """
    change = frame / compute_gain(frame, background) - background
    change = cv2.GaussianBlur(change, (0, 0), SMOOTHING)
    difference = _largest(np.abs(change))
    ratio = (background + change + 4) / (background + 4)
    most = _largest(ratio)
    least = -_largest(-ratio)
    shadow = (most < 1) & (least > SHADOW_DARKEST) & (most - least < SHADOW_TINT)
    strong = (difference > threshold + 3 * noise) & ~shadow
    weak = (difference > 0.5 * threshold + 2 * noise) & ~shadow
    return _open(_keep_seeded(weak.astype(np.uint8), strong)), difference


def _largest(image: np.ndarray) -> np.ndarray:
    """Computes the largest of three channels, several times faster than max(axis=2)."""
    largest: np.ndarray = np.maximum(np.maximum(image[:, :, 0], image[:, :, 1]), image[:, :, 2])
    return largest


def _open(mask: np.ndarray) -> np.ndarray:
    """Drops what is only one pixel wide.

    OpenCV's own opening by an even kernel would shift the rest by one pixel.
    """
    kernel = np.ones((2, 2), np.uint8)
    opened: np.ndarray = cv2.dilate(cv2.erode(mask, kernel, anchor=(0, 0)), kernel, anchor=(1, 1))
    return opened


def _keep_seeded(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Keeps the connected parts of `mask` that hold at least one seed (hysteresis)."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    kept = np.zeros(count, np.uint8)
    kept[labels[seeds]] = 1
    kept[0] = 0
    seeded: np.ndarray = kept[labels]
    return seeded


def _shrink(frame: np.ndarray) -> np.ndarray:
    """Resizes a frame to a long side of at most WORKING_SIDE: float32 [h, w, 3]."""
    scale = WORKING_SIDE / max(frame.shape[:2])
    if scale < 1:
        size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return frame.astype(np.float32)
