"""Draws detections on a frame: a box and a panel for every person.

Panels stand beside the box where there is space, and avoid faces and one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ava_det.formats.action_names import shorten_names
from ava_det.structures import Detections
from ava_det.visualization.panel import (
    Panel,
    Row,
    compute_text_size,
    group_color,
    person_color,
    render_panel,
)
from ava_det.visualization.surface import Surface

# Cost of a panel that covers a face, another panel, another person, or the person it belongs to.
FACE_COST = 20.0
PANEL_COST = 30.0
OTHER_PERSON_COST = 1.5
SAME_PERSON_COST = 1.0


class Overlay:
    """Draws detections on the frames of one video.

    It remembers where the panel of each person stood, so that panels move as little as possible
    from frame to frame.

    Args:
        label_map: AVA action id (1-based) to name; actions without a name are not shown.
        threshold: Score from which an action is shown: one for all, or one for each action id.
            Actions without one are not shown.
        topk: Most actions shown for a person.
    """

    def __init__(
        self,
        label_map: Mapping[int, str],
        threshold: float | Mapping[int, float] = 0.5,
        topk: int = 5,
    ) -> None:
        self._names = shorten_names(label_map)
        thresholds = (
            threshold if isinstance(threshold, Mapping) else dict.fromkeys(label_map, threshold)
        )
        self._least = np.full(max(thresholds, default=0), np.inf)
        for action_id, score in thresholds.items():
            self._least[action_id - 1] = score
        self._topk = topk
        self._slots: dict[int, int] = {}

    def draw(self, frame: np.ndarray, detections: Detections) -> np.ndarray:
        """Draws detections on a copy of a frame, RGB uint8 [H, W, 3]."""
        picture = np.ascontiguousarray(frame).copy()
        self.draw_on(Surface.of_rgb(picture), detections)
        return picture

    def draw_on(self, surface: Surface, detections: Detections) -> None:
        """Draws detections in place."""
        size = surface.width, surface.height
        boxes = detections.boxes.numpy().astype(np.float64) * (size * 2)
        heads = _head_regions(boxes)
        ids = (
            range(1, len(boxes) + 1)
            if detections.track_ids is None
            else detections.track_ids.tolist()
        )
        text = compute_text_size(surface.width, surface.height)
        for box, person in zip(boxes, ids, strict=True):
            surface.draw_box(box, person_color(person), text)
        scores = detections.action_scores.numpy()
        taken = np.zeros((0, 4))
        slots: dict[int, int] = {}
        # The person with the highest person score gets a place first.
        for index in np.argsort(-detections.person_scores.numpy(), kind="stable").tolist():
            person = ids[index]
            header = (f"#{person}", f"{float(detections.person_scores[index]):.2f}")
            rows = self._rows(scores[index])
            counts = sorted({len(rows), min(len(rows), 1), 0}, reverse=True)
            variants = (
                render_panel(header, tuple(rows[:count]), person_color(person), text)
                for count in counts
            )
            panel, (x, y), slots[person] = _choose_place(
                variants, boxes, heads, index, taken, size, text, self._slots.get(person)
            )
            taken = np.vstack((taken, [x, y, x + panel.size[0], y + panel.size[1]]))
            surface.blend(panel, (x, y))
        self._slots = slots

    def _rows(self, scores: np.ndarray) -> list[Row]:
        """Returns the rows of a person's panel: named actions over the threshold, best first.

        Args:
            scores: [C].
        """
        known = min(len(scores), len(self._least))
        columns = np.flatnonzero(scores[:known] >= self._least[:known]).tolist()
        columns.sort(key=lambda column: -scores[column])
        return [
            Row(self._names[column + 1], float(scores[column]), group_color(column + 1))
            for column in columns[: self._topk]
        ]


def _choose_place(
    variants: Iterable[Panel],
    boxes: np.ndarray,
    heads: np.ndarray,
    index: int,
    taken: np.ndarray,
    frame_size: tuple[int, int],
    text: int,
    last_slot: int | None,
) -> tuple[Panel, tuple[int, int], int]:
    """Chooses the place of a panel, and the fullest variant of the panel that fits well.

    Args:
        variants: The same panel with fewer and fewer rows.
        boxes: [N, 4], xyxy in pixels, the person's own at `index`.
        heads: [N, 4], regions of the faces.
        index: Of the person.
        taken: [M, 4], panels that are already placed.
        frame_size: Width and height.
        text: Text height, pixels.
        last_slot: The slot of the person's panel in the last frame.

    Returns:
        The panel, its top left corner (x, y) in even pixels, and its slot: the index of its place
        in the list of `_candidate_corners`.
    """
    obstacles = np.vstack((heads, boxes, taken))
    costs = (FACE_COST, OTHER_PERSON_COST, PANEL_COST)
    weights = np.repeat(costs, (len(boxes), len(boxes), len(taken)))
    weights[len(boxes) + index] = SAME_PERSON_COST
    places = []
    for panel in variants:
        wanted = _candidate_corners(boxes[index], *panel.size, gap=max(2, text // 3))
        limit = np.maximum([frame_size[0] - panel.size[0], frame_size[1] - panel.size[1]], 0)
        corners = np.minimum(np.maximum(wanted, 0), limit)
        overlap = _overlap(np.hstack((corners, corners + panel.size)), obstacles)
        hidden = overlap[:, 2 * len(boxes) :].sum(axis=1)
        away = np.abs(corners - wanted).sum(axis=1) / (4 * text)
        cost = overlap @ weights + 2 * (hidden > 0) + away + 0.03 * np.arange(len(corners))
        if last_slot is not None:
            cost[last_slot] -= 1.5  # half as many moves in a moving crowd as with 0.5
        slot = int(cost.argmin())
        # Even numbers, because the color planes have half the size.
        x, y = (int(value) // 2 * 2 for value in corners[slot])
        places.append((cost[slot], panel, (x, y), slot))
        if cost[slot] < 2:
            break
    return min(places, key=lambda place: place[0])[1:]


def _candidate_corners(box: np.ndarray, width: int, height: int, gap: int) -> np.ndarray:
    """Lists top left corners [14, 2] of a panel around a box, the best first.

    The last ones are inside the box, at the feet.
    """
    x1, y1, x2, y2 = box
    right = x2 + gap
    left = x1 - gap - width
    above = y1 - gap - height
    below = y2 + gap
    middle = (y1 + y2 - height) / 2
    center = (x1 + x2 - width) / 2
    return np.array(
        [
            (right, y1),
            (left, y1),
            (x1, above),
            (x2 - width, above),
            (center, above),
            (right, middle),
            (left, middle),
            (right, y2 - height),
            (left, y2 - height),
            (x1, below),
            (x2 - width, below),
            (center, below),
            (x1 + gap, y2 - height - gap),
            (x2 - width - gap, y2 - height - gap),
        ]
    )


def _head_regions(boxes: np.ndarray) -> np.ndarray:
    """Estimates where the faces are, [N, 4].

    That is the top quarter of a standing person, and the top half of a close-up.
    """
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    deep = height * np.clip(0.6 * width / np.maximum(height, 1), 0.25, 0.55)
    x1, y1, x2, _ = boxes.T
    return np.stack((x1 + 0.15 * width, y1, x2 - 0.15 * width, y1 + deep), axis=1)


def _overlap(places: np.ndarray, obstacles: np.ndarray) -> np.ndarray:
    """Computes the area that every place shares with every obstacle, [P, M].

    It is divided by the area of the smaller of the two.
    """
    low = np.maximum(places[:, None, :2], obstacles[None, :, :2])
    size = np.maximum(np.minimum(places[:, None, 2:], obstacles[None, :, 2:]) - low, 0)
    areas = [
        (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (places, obstacles)
    ]
    smaller = np.maximum(np.minimum(areas[0][:, None], areas[1][None]), 1)
    shares: np.ndarray = size[..., 0] * size[..., 1] / smaller
    return shares
