"""Links the boxes of one class over a whole video by the best path through it, as YOWO does.

This is the linking of YOWO and YOWOv2 (after Peng and Schmid, ECCV 2016): a path takes one box of
every frame, and between successive frames it earns IoU + s1 + s2 + s1 s2 / 2. The best path becomes
a tube, its boxes are taken away and the next one is looked for, until a frame has no box left, or
three are found. A tube spans the whole video: nothing is trimmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ava_det.linking.tube import LinkedTube, compute_tubelet_iou

NUM_PATHS = 3
NMS_IOU = 0.3


def link_by_viterbi(frames: Iterable[np.ndarray]) -> list[LinkedTube]:
    """Links the boxes of one class of one video to tubes over all of its frames.

    It needs the whole video, but keeps nothing of it except the boxes. The arithmetic is float32,
    as in the public code.

    Args:
        frames: For each frame of the video its boxes [N, 5]: xyxy in pixels and the score. A frame
            without boxes borrows those of the nearest frame that has some, of two the earlier.

    Returns:
        At most `NUM_PATHS` tubes after NMS, in falling order of score, which is the mean score of
        the boxes; none where no frame has a box.

    Raises:
        ValueError: The boxes of a frame have another shape, or numbers that are not finite.
    """
    boxes = [_require_boxes(frame) for frame in frames]
    boxes = _borrow(boxes)
    tubes: list[LinkedTube] = []
    while boxes and len(tubes) < NUM_PATHS and all(map(len, boxes)):
        path = _find_path(boxes)
        rows = np.empty((len(boxes), 6))
        rows[:, 0] = np.arange(1, len(boxes) + 1)
        rows[:, 1:] = [
            frame[index].astype(np.float32) for frame, index in zip(boxes, path, strict=True)
        ]
        tubes.append(LinkedTube(float(rows[:, 5].astype(np.float32).mean()), rows))
        boxes = [np.delete(frame, index, 0) for frame, index in zip(boxes, path, strict=True)]
    return suppress_tubes(tubes)


def _require_boxes(frame: np.ndarray) -> np.ndarray:
    boxes = np.asarray(frame)
    if boxes.ndim != 2 or boxes.shape[1] != 5:
        raise ValueError(
            f"linking: expected boxes [N, 5] (xyxy and a score), received {list(boxes.shape)}"
        )
    if not np.isfinite(boxes).all():
        raise ValueError("linking: expected finite boxes and scores in every frame")
    return boxes


def _borrow(boxes: list[np.ndarray]) -> list[np.ndarray]:
    """Gives frames without boxes those of the nearest frame; nothing where none has any."""
    filled = np.array([index for index, frame in enumerate(boxes) if len(frame)], dtype=np.int64)
    if not len(filled):
        return []
    return [
        frame if len(frame) else boxes[filled[np.argmin(np.abs(filled - index))]]
        for index, frame in enumerate(boxes)
    ]


def _find_path(boxes: Sequence[np.ndarray]) -> list[int]:
    """Finds the box of each frame on the best path; of equal ones the first of a frame."""
    best = np.zeros(len(boxes[-1]), np.float32)
    following: list[np.ndarray] = []
    for here, there in zip(boxes[-2::-1], boxes[:0:-1], strict=True):
        earned = _score_edges(here, there) + best
        following.append(earned.argmax(axis=1))
        best = earned.max(axis=1)
    path = [int(best.argmax())]
    for choices in reversed(following):
        path.append(int(choices[path[-1]]))
    return path


def _score_edges(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Computes what a path earns between each box [N, 5] and each of the next frame [M, 5].

    Returns:
        Float32 [N, M].
    """
    left, right = np.broadcast_arrays(here[:, None, :4], there[None, :, :4])
    overlaps = compute_tubelet_iou(left.reshape(-1, 1, 4), right.reshape(-1, 1, 4), 0)
    first = here[:, None, 4]
    second = there[None, :, 4]
    earned = overlaps.reshape(len(here), len(there)) + (first + second) + 0.5 * (first * second)
    scores: np.ndarray = earned.astype(np.float32)
    return scores


def suppress_tubes(tubes: Sequence[LinkedTube]) -> list[LinkedTube]:
    """Keeps the tubes of one video that overlap no better one by more than `NMS_IOU`.

    The IoU is the mean over the frames of that of the boxes, of pixels that count whole (+1), and 0
    for tubes of one frame, as in YOWO's code.

    Args:
        tubes: Of the same frames.

    Returns:
        Those that stay, in falling order of score; of equal ones the later first.
    """
    order = np.argsort([tube.score for tube in tubes], kind="stable")[::-1]
    kept: list[LinkedTube] = []
    for tube in (tubes[index] for index in order):
        corners = tube.rows[:, 1:5].astype(np.float32)[:, None]
        if len(corners) == 1 or all(
            compute_tubelet_iou(corners, other.rows[:, 1:5].astype(np.float32)[:, None], 1).mean()
            <= NMS_IOU
            for other in kept
        ):
            kept.append(tube)
    return kept
