"""Detections drawn on a frame: a box and a panel for every person.

Panels stand beside the box where there is room, and never willingly on a face or on one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import cv2
import numpy as np

from ava_det.boxes import scale_boxes
from ava_det.structures import Detections
from ava_det.visualization.panel import (
    PANEL_COLOUR,
    Colour,
    Panel,
    Row,
    blend,
    compute_text_size,
    group_colour,
    person_colour,
    render_panel,
)


def shorten_names(label_map: Mapping[int, str]) -> dict[int, str]:
    """Action names without what stands in brackets, wherever the short name is still the only one of its kind."""
    short = {action_id: name.split("(")[0].strip() or name for action_id, name in label_map.items()}
    counts: dict[str, int] = {}
    for name in short.values():
        counts[name] = counts.get(name, 0) + 1
    return {action_id: name if counts[name] == 1 else label_map[action_id] for action_id, name in short.items()}


class Overlay:
    """Draws Detections. One per video: it remembers where each person's panel stood, so that panels do not hop about.

    label_map: AVA action id (1-based) to name; columns without a name are not shown.
    threshold: actions whose score lies below are not shown; one for all, or one for each action id, and those without
    are not shown. topk: at most so many actions a person.
    """

    def __init__(
        self, label_map: Mapping[int, str], threshold: float | Mapping[int, float] = 0.5, topk: int = 5
    ) -> None:
        self._names = shorten_names(label_map)
        self._thresholds = threshold if isinstance(threshold, Mapping) else dict.fromkeys(label_map, threshold)
        self._topk = topk
        self._slots: dict[int, int] = {}

    def draw(self, frame: np.ndarray, detections: Detections) -> np.ndarray:
        """A copy of `frame` (RGB uint8 [H, W, 3]) with the persons of `detections` on it."""
        picture = np.ascontiguousarray(frame).copy()
        height, width = picture.shape[:2]
        boxes = scale_boxes(detections.boxes, width, height).numpy().astype(np.float64)
        ids = range(1, len(boxes) + 1) if detections.track_ids is None else detections.track_ids.tolist()
        text = compute_text_size(width, height)
        for box, person in zip(boxes, ids, strict=True):
            draw_box(picture, box, person_colour(person), text)
        # the surest person chooses a place first
        order = detections.person_scores.argsort(descending=True, stable=True).tolist()
        taken = np.zeros((0, 4))
        slots: dict[int, int] = {}
        for index in order:
            person = ids[index]
            header = (f"#{person}", f"{float(detections.person_scores[index]):.2f}")
            rows = self._rows(detections.action_scores[index].tolist())
            counts = sorted({len(rows), min(len(rows), 1), 0}, reverse=True)
            variants = (render_panel(header, tuple(rows[:count]), person_colour(person), text) for count in counts)
            panel, corner, slots[person] = _choose_place(
                variants, boxes, index, taken, (width, height), text, self._slots.get(person)
            )
            size = panel.ink.shape[1::-1]
            taken = np.vstack((taken, [*corner, corner[0] + size[0], corner[1] + size[1]]))
            blend(picture, panel, corner)
        self._slots = slots
        return picture

    def _rows(self, scores: list[float]) -> list[Row]:
        """What one person's panel says: named actions over the threshold, the surest first."""
        rows = [Row(self._names[column + 1], score, group_colour(column + 1))
                for column, score in enumerate(scores)
                if score >= self._thresholds.get(column + 1, np.inf)]  # fmt: skip
        return sorted(rows, key=lambda row: -row.score)[: self._topk]


def draw_box(picture: np.ndarray, box: np.ndarray, colour: Colour, text: int) -> None:
    """Draws a box (pixels, xyxy) in place: a thin outline with stronger corners, on a dark seam that keeps it visible
    on any background."""
    fixed = 16  # cv2's fixed point: 4 bits below the pixel, so that an interpolated box glides
    height, width = picture.shape[:2]
    line = max(1, round(text / 12))
    x1, y1 = np.clip(box[:2], 0, [width, height]) + line / 2
    x2, y2 = np.clip(box[2:], 0, [width, height]) - line / 2 - 1
    if x2 <= x1 or y2 <= y1:
        return
    reach = min(0.25 * min(x2 - x1, y2 - y1), 1.2 * text)
    outline = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    corners = [np.array([[x + dx * reach, y], [x, y], [x, y + dy * reach]])
               for x, y, dx, dy in ((x1, y1, 1, 1), (x2, y1, -1, 1), (x2, y2, -1, -1), (x1, y2, 1, -1))]  # fmt: skip
    for shade, extra in ((PANEL_COLOUR, 2), (colour, 0)):
        strokes = ((corners, False, 2 * line + extra), ([outline], True, line + (extra > 0)))
        for lines, closed, thickness in strokes:
            points = [np.round(points * fixed).astype(np.int32) for points in lines]
            cv2.polylines(picture, points, closed, shade, thickness, cv2.LINE_AA, shift=4)


def _choose_place(
    variants: Iterable[Panel], boxes: np.ndarray, index: int, taken: np.ndarray,
    frame_size: tuple[int, int], text: int, last_slot: int | None,
) -> tuple[Panel, tuple[int, int], int]:  # fmt: skip
    """The fullest panel that finds a good place, its top left corner, and the slot (which place of the list it is).

    boxes: pixels [N, 4], the person's own at `index`; taken: panels that stand already [M, 4].
    """
    others = np.delete(boxes, index, axis=0)
    heads = _head_regions(boxes)
    found = []
    for panel in variants:
        height, width = panel.ink.shape[:2]
        wanted = _candidate_corners(boxes[index], width, height, gap=max(2, text // 3))
        limit = np.maximum([frame_size[0] - width, frame_size[1] - height], 0)
        corners = wanted.clip(0, limit)
        places = np.hstack((corners, corners + np.array([width, height])))
        hidden = _overlap(places, taken)
        cost = (20 * _overlap(places, heads) + 30 * hidden + 2 * (hidden > 0) + 1.5 * _overlap(places, others)
                + _overlap(places, boxes[index : index + 1])
                + np.abs(corners - wanted).sum(axis=1) / (4 * text) + 0.03 * np.arange(len(places)))  # fmt: skip
        if last_slot is not None:
            cost[last_slot] -= 1.5  # half of the hops that 0.5 allows in a moving crowd
        slot = int(cost.argmin())
        corner = corners[slot].round().astype(int)
        found.append((cost[slot], panel, (int(corner[0]), int(corner[1])), slot))
        if cost[slot] < 2:
            break
    return min(found, key=lambda place: place[0])[1:]


def _candidate_corners(box: np.ndarray, width: int, height: int, gap: int) -> np.ndarray:
    """Top left corners [14, 2] of a panel around the box, the best first, and at last inside it, at the feet."""
    x1, y1, x2, y2 = box
    right, left, above, below = x2 + gap, x1 - gap - width, y1 - gap - height, y2 + gap
    middle, centre = (y1 + y2 - height) / 2, (x1 + x2 - width) / 2
    return np.array([
        (right, y1), (left, y1), (x1, above), (x2 - width, above), (centre, above),
        (right, middle), (left, middle), (right, y2 - height), (left, y2 - height),
        (x1, below), (x2 - width, below), (centre, below),
        (x1 + gap, y2 - height - gap), (x2 - width - gap, y2 - height - gap),
    ])  # fmt: skip


def _head_regions(boxes: np.ndarray) -> np.ndarray:
    """Where a face is likely [N, 4]: in the top quarter of a standing person, in the top half of a close-up."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    deep = height * np.clip(0.6 * width / np.maximum(height, 1), 0.25, 0.55)
    x1, y1, x2, _ = boxes.T
    return np.stack((x1 + 0.15 * width, y1, x2 - 0.15 * width, y1 + deep), axis=1)


def _overlap(places: np.ndarray, obstacles: np.ndarray) -> np.ndarray:
    """[P]: the area every place shares with all obstacles, as a share of the smaller of the two, summed."""
    low = np.maximum(places[:, None, :2], obstacles[None, :, :2])
    size = (np.minimum(places[:, None, 2:], obstacles[None, :, 2:]) - low).clip(min=0)
    areas = [(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (places, obstacles)]
    smaller = np.minimum(areas[0][:, None], areas[1][None]).clip(min=1)
    return (size[..., 0] * size[..., 1] / smaller).sum(axis=1)
