"""Writes the demo's results keyframe by keyframe: an AVA result CSV and JSON lines.

So the memory does not grow with the video. Both files appear under their names when they are
closed, whole or not at all. JSON lines hold one object per keyframe:

    {"video": "walk", "time": 1.0, "timestamp": 901.0, "width": 640, "height": 360, "persons": [
        {"track_id": 1, "box": [x1, y1, x2, y2], "box_fraction": [...], "score": 0.98,
         "actions": [{"id": 12, "name": "stand", "score": 0.93}]}]}

Here `time` is seconds since the first frame of the file, `timestamp` the annotation time in
seconds, and `box` is in pixels of the upright frame.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from ava_det.boxes import scale_boxes
from ava_det.files import atomic_path
from ava_det.formats.detections import write_detections
from ava_det.structures import Detections

NUM_HELD = 256  # keyframes that are written together


class DetectionsCsv:
    """Writes an AVA result CSV, one row for each box and action; use it in a `with` block.

    Args:
        path: The file.
        action_ids: The 1-based ids to write.
    """

    def __init__(self, path: str | Path, action_ids: Collection[int]) -> None:
        self.path = Path(path)
        self._action_ids = action_ids
        self._held: list[Detections] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self._file = opened.enter_context(
                open(opened.enter_context(atomic_path(self.path)), "wb")
            )
            self._part = Path(opened.enter_context(TemporaryDirectory())) / "part.csv"
            self._open = opened.pop_all()
        return self

    def write(self, detections: Detections) -> None:
        """Adds the detections of a keyframe."""
        self._held.append(detections)
        if len(self._held) >= NUM_HELD:
            self._flush()

    def _flush(self) -> None:
        """Writes the keyframes that are held."""
        write_detections(self._part, self._held, self._action_ids)
        self._file.write(self._part.read_bytes())
        self._held = []

    def __exit__(self, *error: Any) -> None:
        try:
            if error[0] is None:
                self._flush()
        except BaseException:
            self._open.__exit__(*sys.exc_info())
            raise
        self._open.__exit__(*error)


class DetectionsJson:
    """Writes JSON lines in the form above; use it in a `with` block.

    Args:
        path: The file.
        label_map: Action names by 1-based id.
        thresholds: By 1-based id, the score from which an action of a person is written. Actions
            are sorted by falling score.
        start_second: Annotation time, in seconds, of the video's first frame.
    """

    def __init__(
        self,
        path: str | Path,
        label_map: Mapping[int, str],
        thresholds: Mapping[int, float],
        start_second: float,
    ) -> None:
        self.path = Path(path)
        self._label_map = label_map
        self._thresholds = thresholds
        self._start_second = start_second

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            temporary = opened.enter_context(atomic_path(self.path))
            self._file = opened.enter_context(open(temporary, "w", encoding="utf-8"))
            self._open = opened.pop_all()
        return self

    def write(self, detections: Detections) -> None:
        """Adds the detections of a keyframe; raises ValueError for one without `frame_size`."""
        record = describe_detections(
            detections, self._label_map, self._thresholds, self._start_second
        )
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)


def describe_detections(
    detections: Detections,
    label_map: Mapping[int, str],
    thresholds: Mapping[int, float],
    start_second: float,
) -> dict[str, Any]:
    """Converts the detections of a keyframe to plain values, in the form above.

    Args:
        detections: The detections.
        label_map: Action names by 1-based id.
        thresholds: By 1-based id, the score from which an action is written.
        start_second: Annotation time, in seconds, of the video's first frame.

    Raises:
        ValueError: The keyframe has no `frame_size`.
    """
    keyframe = detections.keyframe
    if keyframe.frame_size is None:
        raise ValueError("describe_detections: expected a keyframe with frame_size")
    width, height = keyframe.frame_size
    ids: list[int | None] = [None] * len(detections.boxes)
    if detections.track_ids is not None:
        ids = [*detections.track_ids.tolist()]
    columns = (
        ids,
        scale_boxes(detections.boxes, width, height).tolist(),
        detections.boxes.tolist(),
        detections.person_scores.tolist(),
        detections.action_scores.tolist(),
    )
    persons = [
        {
            "track_id": track_id,
            "box": [round(value, 2) for value in box],
            "box_fraction": [round(value, 6) for value in fraction],
            "score": round(score, 6),
            "actions": _describe_actions(scores, label_map, thresholds),
        }
        for track_id, box, fraction, score, scores in zip(*columns, strict=True)
    ]
    return {
        "video": keyframe.video_id,
        "time": round(keyframe.timestamp - start_second, 6),
        "timestamp": round(keyframe.timestamp, 6),
        "width": width,
        "height": height,
        "persons": persons,
    }


def _describe_actions(
    scores: list[float], label_map: Mapping[int, str], thresholds: Mapping[int, float]
) -> list[dict[str, Any]]:
    """Returns the actions whose scores reach their thresholds, the highest score first."""
    sure = [action_id for action_id in thresholds if scores[action_id - 1] >= thresholds[action_id]]
    sure.sort(key=lambda action_id: -scores[action_id - 1])
    return [{"id": i, "name": label_map[i], "score": round(scores[i - 1], 6)} for i in sure]
