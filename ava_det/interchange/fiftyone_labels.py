"""Writes detections as labels of a FiftyOne video sample, for its app.

Only this file imports fiftyone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ava_det.structures import Detections


def add_to_sample(
    sample: Any,
    detections: Iterable[Detections],
    label_map: Mapping[int, str],
    thresholds: Mapping[int, float],
    fps: float,
    start_second: float = 0.0,
    field: str = "actions",
) -> None:
    """Writes one label per person and action over its threshold into the frames of a video sample.

    FiftyOne's boxes are left, top, width, height, as fractions of the frame.

    Args:
        sample: A fiftyone.Sample of the video.
        detections: The detections of the video.
        label_map: Action id -> name.
        thresholds: Action id -> the score from which the action is written.
        fps: Frame rate of the video, whose frames count from 1.
        start_second: Annotation time, in seconds, of the video's first frame.
        field: The field of the frames to write.

    Raises:
        ValueError: fiftyone is not installed.
    """
    try:
        import fiftyone
    except ImportError:
        raise ValueError(
            'add_to_sample: FiftyOne is not installed: pip install "ava_det[fiftyone]"'
        ) from None
    for one in detections:
        number = round((one.keyframe.timestamp - start_second) * fps) + 1
        sample.frames[number] = fiftyone.Frame(
            **{
                field: fiftyone.Detections(
                    detections=_make_labels(fiftyone, one, label_map, thresholds)
                )
            }
        )


def _make_labels(
    fiftyone: Any, one: Detections, label_map: Mapping[int, str], thresholds: Mapping[int, float]
) -> list[Any]:
    labels = []
    for row, ((x1, y1, x2, y2), scores) in enumerate(
        zip(one.boxes.tolist(), one.action_scores.tolist(), strict=True)
    ):
        labels += [
            fiftyone.Detection(
                label=label_map[action_id],
                bounding_box=[x1, y1, x2 - x1, y2 - y1],
                confidence=scores[action_id - 1],
                index=None if one.track_ids is None else int(one.track_ids[row]),
                person_score=float(one.person_scores[row]),
            )
            for action_id, threshold in thresholds.items()
            if scores[action_id - 1] >= threshold
        ]
    return labels
