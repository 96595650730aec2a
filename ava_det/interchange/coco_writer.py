"""Writes labeled boxes as COCO with videos: a picture for each keyframe, tracks for persons.

COCO has no form for several actions of one box. Here an annotation is a person, of the category
`person`, with an attribute for each action that is true or false, as CVAT writes checkboxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ava_det.files import write_json
from ava_det.interchange.clock import FrameClock
from ava_det.interchange.drafts import frames_of
from ava_det.interchange.labeled import LabeledBox
from ava_det.video.sources import cut_video_suffix

PERSON = {"id": 1, "name": "person", "supercategory": ""}


def write_coco(
    path: str | Path,
    source: str,
    clock: FrameClock,
    boxes: Sequence[LabeledBox],
    actions: Sequence[str],
) -> None:
    """Writes the boxes of one video, whole or not at all.

    Args:
        path: The file (.json).
        source: The file name of the video.
        clock: Of this video, with its size.
        boxes: Its persons.
        actions: All names, in the order of their attributes.

    Raises:
        ValueError: Two timestamps fall on one frame, or the video lacks one.
    """
    frames = frames_of(clock, boxes)
    width, height = clock.size or (0, 0)
    size = {"width": width, "height": height}
    name = cut_video_suffix(source)
    images = [
        {
            "id": frame + 1,
            "video_id": 1,
            "frame_index": frame,
            "file_name": f"{name}/frame_{frame:06d}.png",
            **size,
        }
        for frame in sorted(frames.values())
    ]
    persons = sorted({box.person_id for box in boxes if box.person_id is not None})
    content = {
        "videos": [{"id": 1, "name": name, **size}],
        "images": images,
        "categories": [PERSON],
        "tracks": [
            {"id": person, "video_id": 1, "category_id": PERSON["id"]} for person in persons
        ],
        "annotations": [
            _annotation(number, box, frames[box.timestamp] + 1, (width, height), actions)
            for number, box in enumerate(boxes, 1)
        ],
    }
    write_json(path, content)


def _annotation(
    number: int, box: LabeledBox, image_id: int, size: tuple[int, int], actions: Sequence[str]
) -> dict[str, Any]:
    assert box.corners is not None
    x1, y1, x2, y2 = box.corners
    sides = (x1 * size[0], y1 * size[1], (x2 - x1) * size[0], (y2 - y1) * size[1])
    annotation: dict[str, Any] = {
        "id": number,
        "image_id": image_id,
        "category_id": PERSON["id"],
        "bbox": [round(side, 6) for side in sides],
        "area": round(sides[2] * sides[3], 6),
        "iscrowd": 0,
        "attributes": {action: action in box.actions for action in actions},
    }
    return annotation if box.person_id is None else annotation | {"track_id": box.person_id}
