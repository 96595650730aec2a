"""Chooses where the panels of a frame stand: clear of faces, persons and one another."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ava_det.visualization.panel import Panel

# Cost of a panel that covers a face, another panel, another person, or the person it belongs to.
FACE_COST = 20.0
PANEL_COST = 30.0
OTHER_PERSON_COST = 1.5
SAME_PERSON_COST = 1.0
ORDER_COST = 0.03 * np.arange(14)  # of the places of `_candidate_corners`, the best first


class PanelPlaces:
    """Gives the panels of one frame their places, one after the other.

    Args:
        boxes: float64 [N, 4], xyxy in pixels, the persons.
        frame_size: Width and height.
        text: Text height, pixels.
    """

    def __init__(self, boxes: np.ndarray, frame_size: tuple[int, int], text: int) -> None:
        count = len(boxes)
        self._boxes = boxes
        self._frame_size = frame_size
        self._text = text
        # faces, persons, and the panels that have a place; the rest is empty and costs nothing
        self._obstacles = np.zeros((3 * count, 4))
        _find_heads(boxes, self._obstacles[:count])
        self._obstacles[count : 2 * count] = boxes
        sides = self._obstacles[:, 2:] - self._obstacles[:, :2]
        self._areas = sides[:, 0] * sides[:, 1]
        self._weights = np.empty(3 * count)
        self._weights[:count] = FACE_COST
        self._weights[count : 2 * count] = OTHER_PERSON_COST
        self._weights[2 * count :] = PANEL_COST
        self._next = 2 * count

    def take(
        self, index: int, variants: Iterable[Panel], last_slot: int | None
    ) -> tuple[Panel, tuple[int, int], int]:
        """Chooses the place of a panel, and the fullest variant of the panel that fits well.

        Args:
            index: Of the person whose panel it is.
            variants: The same panel with fewer and fewer rows.
            last_slot: The slot of the person's panel in the last frame.

        Returns:
            The panel, its top left corner (x, y) in even pixels, and its slot: the index of its
            place in the list of `_candidate_corners`.
        """
        own = len(self._boxes) + index
        self._weights[own] = SAME_PERSON_COST
        best: tuple[float, Panel, tuple[int, int], int] | None = None
        for panel in variants:
            cost, corner, slot = self._find(index, panel, last_slot)
            if best is None or cost < best[0]:
                best = cost, panel, corner, slot
            if cost < 2:
                break
        assert best is not None
        self._weights[own] = OTHER_PERSON_COST
        _, panel, (x, y), slot = best
        width, height = panel.size
        self._obstacles[self._next] = x, y, x + width, y + height
        self._areas[self._next] = width * height
        self._next += 1
        return panel, (x, y), slot

    def _find(
        self, index: int, panel: Panel, last_slot: int | None
    ) -> tuple[float, tuple[int, int], int]:
        """Returns the cost, the corner and the slot of the cheapest place of one panel."""
        width, height = panel.size
        gap = max(2, self._text // 3)
        wanted = _candidate_corners(self._boxes[index].tolist(), width, height, gap)
        limit = [max(self._frame_size[0] - width, 0), max(self._frame_size[1] - height, 0)]
        corners = np.minimum(np.maximum(wanted, 0), limit)
        overlap = self._overlap(corners, panel.size)
        hidden = overlap[:, 2 * len(self._boxes) :].sum(axis=1)
        away = np.abs(corners - wanted).sum(axis=1) / (4 * self._text)
        cost = overlap @ self._weights + 2 * (hidden > 0) + away + ORDER_COST
        if last_slot is not None:
            cost[last_slot] -= 1.5  # half as many moves in a moving crowd as with 0.5
        slot = int(cost.argmin())
        # Even numbers, because the color planes have half the size.
        x, y = (int(value) // 2 * 2 for value in corners[slot].tolist())
        return float(cost[slot]), (x, y), slot

    def _overlap(self, corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Computes the area that a panel at every corner shares with every obstacle, [P, M].

        It is divided by the area of the smaller of the two.
        """
        obstacles = self._obstacles
        low = np.maximum(corners[:, None], obstacles[:, :2])
        high = np.minimum(corners[:, None] + size, obstacles[:, 2:])
        shared = np.maximum(high - low, 0)
        smaller = np.maximum(np.minimum(self._areas, size[0] * size[1]), 1)
        shares: np.ndarray = shared[..., 0] * shared[..., 1] / smaller
        return shares


def _candidate_corners(box: list[float], width: int, height: int, gap: int) -> np.ndarray:
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


def _find_heads(boxes: np.ndarray, heads: np.ndarray) -> None:
    """Estimates where the faces are: fills `heads` [N, 4] from `boxes` [N, 4].

    That is the top quarter of a standing person, and the top half of a close-up.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    width, height = sides[:, 0], sides[:, 1]
    share = np.minimum(np.maximum(0.6 * width / np.maximum(height, 1), 0.25), 0.55)
    heads[:, 0] = boxes[:, 0] + 0.15 * width
    heads[:, 1] = boxes[:, 1]
    heads[:, 2] = boxes[:, 2] - 0.15 * width
    heads[:, 3] = boxes[:, 1] + height * share
