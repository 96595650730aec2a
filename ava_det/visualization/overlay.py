"""Draws detections on a frame: a box and a panel for every person.

Panels stand beside the box where there is space, and avoid faces and one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
from ava_det.visualization.panel_places import PanelPlaces
from ava_det.visualization.surface import Surface


@dataclass(frozen=True)
class _Label:
    """Holds what is written beside one person.

    Attributes:
        index: Of the person, in the detections.
        person: Its track id.
        header: Left and right text.
        rows: The actions below, the best first.
    """

    index: int
    person: int
    header: tuple[str, str]
    rows: tuple[Row, ...]

    def make_panels(self, text: int) -> Iterator[Panel]:
        """Yields panels with fewer and fewer rows, for a text height in pixels."""
        color = person_color(self.person)
        for count in sorted({len(self.rows), min(len(self.rows), 1), 0}, reverse=True):
            yield render_panel(self.header, self.rows[:count], color, text)


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
        self._labeled: Detections | None = None
        self._labels: list[_Label] = []

    def draw(self, frame: np.ndarray, detections: Detections) -> np.ndarray:
        """Draws detections on a copy of a frame, RGB uint8 [H, W, 3]."""
        picture = np.ascontiguousarray(frame).copy()
        self.draw_on(Surface.of_rgb(picture), detections)
        return picture

    def draw_on(self, surface: Surface, detections: Detections) -> None:
        """Draws detections in place."""
        size = surface.width, surface.height
        boxes = detections.boxes.numpy().astype(np.float64) * (size * 2)
        labels = self._find_labels(detections)
        text = compute_text_size(*size)
        persons = {label.index: label.person for label in labels}
        for index, box in enumerate(boxes):
            surface.draw_box(box, person_color(persons[index]), text)
        places = PanelPlaces(boxes, size, text)
        slots: dict[int, int] = {}
        for label in labels:
            last_slot = self._slots.get(label.person)
            panel, corner, slots[label.person] = places.take(
                label.index, label.make_panels(text), last_slot
            )
            surface.blend(panel, corner)
        self._slots = slots

    def _find_labels(self, detections: Detections) -> list[_Label]:
        """Returns the labels of all persons; who has the highest person score gets a place first.

        Between keyframes only boxes change, so the labels of the last frame are used again.
        """
        last = self._labeled
        if (
            last is not None
            and last.action_scores is detections.action_scores
            and last.person_scores is detections.person_scores
            and last.track_ids is detections.track_ids
        ):
            return self._labels
        ids = (
            list(range(1, len(detections.boxes) + 1))
            if detections.track_ids is None
            else detections.track_ids.tolist()
        )
        scores = detections.action_scores.numpy()
        person_scores = detections.person_scores.numpy()
        self._labels = [
            _Label(
                index,
                ids[index],
                (f"#{ids[index]}", f"{float(person_scores[index]):.2f}"),
                tuple(self._rows(scores[index])),
            )
            for index in np.argsort(-person_scores, kind="stable").tolist()
        ]
        self._labeled = detections
        return self._labels

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
