"""Writes labeled boxes as COCO with videos: a picture for each keyframe, tracks for persons.

COCO has no form for several actions of one box. Here an annotation is a person, of the category
`person`, with an attribute for each action that is true or false, as CVAT writes checkboxes. CVAT
reads it as "COCO 1.0": it finds frames by the name `frame_NUMBER`, tracks by their attributes, and
refuses an annotation without `segmentation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ava_det.files import write_json
from ava_det.interchange.clock import FrameClock
from ava_det.interchange.corners import corners_to_pixels
from ava_det.interchange.drafts import frames_of, tracks_of
from ava_det.interchange.labeled import LabeledBox
from ava_det.interchange.pictures import attributes_of
from ava_det.video.sources import cut_video_suffix

PERSON = {"id": 1, "name": "person", "supercategory": ""}


def write_coco(
    path: Path,
    source: str,
    clock: FrameClock,
    boxes: Sequence[LabeledBox],
    actions: Sequence[str],
) -> None:
    """Writes a file (.json) of one video, see `WriteDraft`.

    Raises:
        ValueError: See there; or an action has a name that CVAT uses itself.
    """
    assert clock.size is not None
    frames = frames_of(clock, boxes)
    size = dict(zip(("width", "height"), clock.size, strict=True))
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
    tracks = tracks_of(boxes)
    annotations = [
        {
            "image_id": frames[box.timestamp] + 1,
            **_annotation(box, clock.size),
            "track_id": person_id,
            "attributes": attributes_of(person_id, box.actions, actions),
        }
        for person_id, track in tracks.items()
        for box in track
    ]
    content = {
        "videos": [{"id": 1, "name": name, **size}],
        "images": images,
        "categories": [PERSON],
        "tracks": [
            {"id": person_id, "video_id": 1, "category_id": PERSON["id"]} for person_id in tracks
        ],
        "annotations": [{"id": number, **one} for number, one in enumerate(annotations, 1)],
    }
    write_json(path, content)


def _annotation(box: LabeledBox, size: tuple[int, int]) -> dict[str, Any]:
    """Returns what an annotation says of a box, without who it is and what is done."""
    assert box.corners is not None
    sides = corners_to_pixels(box.corners, size)
    return {
        "category_id": PERSON["id"],
        "bbox": sides,
        "area": round(sides[2] * sides[3], 6),
        "segmentation": [],
        "iscrowd": 0,
    }
