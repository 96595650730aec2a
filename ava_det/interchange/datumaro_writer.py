"""Writes labeled boxes as Datumaro's JSON: an item for each keyframe, as CVAT writes it.

A box is a person, labeled `person`, with an attribute for each action that is true or false. The
file is in a zip archive under `annotations/`, where Datumaro looks for it, and CVAT takes nothing
else than a zip as "Datumaro 1.0". Its `attr` says the frame, from 0.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ava_det.files import atomic_path
from ava_det.interchange.clock import FrameClock
from ava_det.interchange.corners import corners_to_pixels
from ava_det.interchange.drafts import frames_of, tracks_of
from ava_det.interchange.labeled import LabeledBox
from ava_det.interchange.pictures import attributes_of
from ava_det.video.sources import cut_video_suffix

LABELS = {"labels": [{"name": "person", "parent": "", "attributes": []}], "attributes": []}


def write_datumaro(
    path: Path,
    source: str,
    clock: FrameClock,
    boxes: Sequence[LabeledBox],
    actions: Sequence[str],
) -> None:
    """Writes a file (.zip) of one video, see `WriteDraft`.

    Raises:
        ValueError: See there; or an action has a name that CVAT uses itself.
    """
    assert clock.size is not None
    frames = frames_of(clock, boxes)
    name = cut_video_suffix(source)
    items: dict[int, dict[str, Any]] = {
        frame: {
            "id": f"{name}/frame_{frame:06d}",
            "attr": {"frame": frame},
            "image": {"path": f"{name}/frame_{frame:06d}.png", "size": clock.size[::-1]},
            "annotations": [],
        }
        for frame in sorted(frames.values())
    }
    for person_id, track in tracks_of(boxes).items():
        for box in track:
            assert box.corners is not None
            annotations = items[frames[box.timestamp]]["annotations"]
            annotations.append(
                {
                    "id": len(annotations),
                    "type": "bbox",
                    "label_id": 0,
                    "group": 0,
                    "z_order": 0,
                    "bbox": corners_to_pixels(box.corners, clock.size),
                    "attributes": attributes_of(person_id, box.actions, actions),
                }
            )
    content = {
        "dm_format_version": "1.0",
        "infos": {},
        "categories": {"label": LABELS},
        "items": list(items.values()),
    }
    member = zipfile.ZipInfo(f"annotations/{name}.json")
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(member, json.dumps(content, allow_nan=False), zipfile.ZIP_DEFLATED)
