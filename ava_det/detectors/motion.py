"""Persons as whatever differs from the empty room: a detector for fixed cameras that needs no weights.

The background is the per-pixel median of frames spread over the video, after each was brought to a common
brightness. A frame is brought to that brightness too, compared with the background, and the blobs of what differs
become boxes. Whoever stays in one place for more than half of the video becomes background: that is the method's
limit, together with everything else that moves.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

_WORKING_SIDE = 384  # frames are compared at this length of the long side at most: finer costs time, not recall


NUM_STRETCHES = 8
SAME_LEVEL = 12.0


def _compute_gain(frame: np.ndarray, background: np.ndarray) -> np.ndarray:
    """[3] brightness of ``frame`` against ``background`` per channel: the median ratio, blind to persons."""
    return np.median((frame + 1.0) / (background + 1.0), axis=(0, 1))


def compute_background(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The empty room of a video.

    Args:
        samples: float32 [N, H, W, 3] frames spread over the video, in order of time.

    Returns:
        background float32 [H, W, 3], and noise float32 [H, W]: how much the background moves by itself, in grey
        levels (mean absolute deviation, largest of the channels).
    """
    reference = np.median(samples[:, ::2, ::2], axis=0)
    gains = np.stack([_compute_gain(frame[::2, ::2], reference) for frame in samples])
    level = np.clip(samples / gains[:, None, None, :], 0, 255).astype(np.float32)
    stretch = np.arange(len(level)) * min(NUM_STRETCHES, len(level)) // len(level)
    best_votes = np.full(level.shape[1:3], -1.0, np.float32)
    chosen = np.zeros(level.shape[1:3], np.intp)
    for candidate in range(len(level)):
        near = np.abs(level - level[candidate]).max(axis=3) < SAME_LEVEL
        votes = sum(np.sqrt(near[stretch == i].sum(axis=0, dtype=np.float32)) for i in range(stretch[-1] + 1))
        better = votes > best_votes
        best_votes[better] = votes[better]
        chosen[better] = candidate
    value = np.take_along_axis(level, chosen[None, :, :, None], axis=0)
    near = (np.abs(level - value).max(axis=3) < SAME_LEVEL)[..., None]
    count = near.sum(axis=0)
    background = (level * near).sum(axis=0) / count
    noise = ((np.abs(level - background) * near).sum(axis=0) / count).max(axis=2)
    return background.astype(np.float32), noise.astype(np.float32)


class MotionDetector:
    """Background subtraction; follows :class:`~ava_det.detectors.PersonDetector`.

    Args:
        threshold: difference in grey levels (after smoothing) from which a pixel is surely no background.
        min_height: smallest height of a person, as a fraction of the frame's height.
    """

    name = "motion"

    def __init__(self, threshold: float = 24.0, min_height: float = 0.08) -> None:
        self.threshold = threshold
        self.min_height = min_height
        self._background: np.ndarray | None = None
        self._noise: np.ndarray | None = None

    def begin_video(self, samples: Sequence[np.ndarray]) -> None:
        """Learns the background from RGB uint8 [H, W, 3] frames spread over the video."""
        if len(samples) == 0:
            raise ValueError("the motion detector needs frames of the video to learn its background from, got none")
        small = np.stack([self._shrink(frame) for frame in samples])
        self._background, self._noise = compute_background(small)

    def __call__(self, frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """RGB uint8 [H, W, 3] frames to (boxes [N, 4] xyxy pixels, scores [N]) per frame."""
        return [self._detect(frame) for frame in frames]

    @staticmethod
    def _shrink(frame: np.ndarray) -> np.ndarray:
        scale = min(1.0, _WORKING_SIDE / max(frame.shape[:2]))
        if scale < 1.0:
            size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
            frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        return frame.astype(np.float32)

    def compute_foreground(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What of a shrunken float32 frame is not background: mask uint8 0/1 [H, W], difference float32 [H, W]."""
        background, noise = self._background, self._noise
        assert background is not None and noise is not None
        level = frame / _compute_gain(frame[::2, ::2], background[::2, ::2])[None, None, :].astype(np.float32)
        change = cv2.GaussianBlur(level - background, (0, 0), 0.7)
        difference = np.abs(change).max(axis=2)
        # Shadow: darker, and all channels by nearly the same factor.
        ratio = (background + change + 4) / (background + 4)
        shadow = (ratio.max(axis=2) < 1.0) & (ratio.min(axis=2) > 0.6) & (np.ptp(ratio, axis=2) < 0.08)
        strong = (difference > self.threshold + 3 * noise) & ~shadow
        weak = (difference > 0.5 * self.threshold + 2 * noise) & ~shadow
        mask = _keep_seeded(weak.astype(np.uint8), strong)
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        return mask, difference

    def _detect(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._background is None:
            raise ValueError("the motion detector was given a frame before begin_video: it has no background yet")
        small = self._shrink(frame)
        if small.shape != self._background.shape:
            raise ValueError(f"a frame of {frame.shape} in a video whose background has another shape")
        mask, difference = self.compute_foreground(small)
        scale = np.array([frame.shape[1] / mask.shape[1], frame.shape[0] / mask.shape[0]] * 2, np.float32)
        boxes, scores = [], []
        smallest = self.min_height * mask.shape[0]
        for part in _find_persons(mask):
            x, y, w, h = cv2.boundingRect(part)
            area = int(np.count_nonzero(part))
            if max(w, h) < smallest or area < 0.3 * smallest**2:
                continue
            boxes.append([x, y, x + w, y + h])
            contrast = float(difference[part > 0].mean())
            scores.append(contrast / (contrast + self.threshold) * min(1.0, area / mask.size / 0.03))
        order = np.argsort(-np.array(scores, np.float32), kind="stable")
        return (
            np.array(boxes, np.float32).reshape(-1, 4)[order] * scale,
            np.array(scores, np.float32)[order],
        )


def _keep_seeded(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The connected parts of ``mask`` that hold at least one seed: hysteresis."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    kept = np.zeros(count, np.uint8)
    kept[labels[seeds]] = 1
    kept[0] = 0
    return kept[labels]


def _find_persons(mask: np.ndarray) -> list[np.ndarray]:
    """One mask uint8 0/1 [H, W] per person: parts a small gap apart are joined, wide blobs are cut."""
    gap = max(1, round(JOIN_GAP * mask.shape[0]))
    joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((2 * gap + 1, gap + 1), np.uint8))
    count, labels = cv2.connectedComponents(joined, connectivity=8)
    parts = []
    for i in range(1, count):
        parts += _split(mask * (labels == i))
    return parts


def _split(part: np.ndarray) -> list[np.ndarray]:
    """Cuts a blob between two persons side by side, again and again.

    A person shows as a column of pixels that is tall against the blob. Between two of them there must be a
    column much emptier than both.
    """
    x, y, w, h = cv2.boundingRect(part)
    if w == 0:
        return []
    cut = _find_cut(part[y : y + h, x : x + w])
    if cut is None:
        return [part]
    left, right = part.copy(), part.copy()
    left[:, x + cut :] = 0
    right[:, : x + cut] = 0
    return _split(left) + _split(right)


JOIN_GAP = 0.03
VALLEY, PEAK, APART = 0.6, 0.5, 0.2
FLAT = 1.6
LOW, LONG, UPRIGHT, LYING = 0.5, 0.4, 1.3, 1.0


def _find_cut(blob: np.ndarray) -> int | None:
    """The column at which to cut a tight blob [h, w] in two, or None if it looks like one person."""
    cut = _find_step(blob)
    if cut is None and blob.shape[1] < FLAT * blob.shape[0]:
        cut = _find_valley(blob)
    return cut


def _find_step(blob: np.ndarray) -> int | None:
    """Where somebody upright ends and somebody lying beside begins: the outline falls, and stays low for long."""
    h, w = blob.shape
    tall = np.flatnonzero((h - blob.argmax(axis=0)) * blob.any(axis=0) > LOW * h)
    first, last = int(tall[0]), int(tall[-1]) + 1
    for cut, low in ((first, blob[:, :first]), (last, blob[:, last:])):
        if low.shape[1] < LONG * h:
            continue
        rows = np.flatnonzero(low.any(axis=1))
        lying = len(rows) > 0 and low.shape[1] > LYING * (rows[-1] + 1 - rows[0])
        if lying and last - first < h / UPRIGHT:
            return cut
    return None


def _find_valley(blob: np.ndarray) -> int | None:
    """The emptiest column between two persons upright side by side."""
    h, w = blob.shape
    filled = cv2.blur(blob.sum(axis=0, dtype=np.float32)[None], (max(1, h // 24) * 2 + 1, 1), borderType=cv2.BORDER_CONSTANT)[0]
    best, best_ratio = None, VALLEY
    left_peak = np.maximum.accumulate(filled)
    right_peak = np.maximum.accumulate(filled[::-1])[::-1]
    margin = max(2, round(APART * h / 2))
    for x in range(margin, w - margin):
        lower = min(left_peak[x], right_peak[x])
        if lower < PEAK * h:
            continue
        ratio = filled[x] / lower
        if ratio < best_ratio:
            best, best_ratio = x, ratio
    return best
