"""Writes labeled boxes as projects of VIA 3, to be opened and corrected there.

The project has one video, a checkbox for each action and a text field for the person's id. Nothing
is ticked by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ava_det.files import write_json
from ava_det.interchange.clock import FrameClock
from ava_det.interchange.corners import corners_to_pixels
from ava_det.interchange.drafts import frames_of
from ava_det.interchange.labeled import LabeledBox
from ava_det.interchange.via import CHECKBOX, TEXT, VIDEO
from ava_det.video.sources import cut_video_suffix

RECTANGLE = 2
LOCAL_FILE = 1


def write_via(
    path: Path,
    source: str,
    clock: FrameClock,
    boxes: Sequence[LabeledBox],
    actions: Sequence[str],
) -> None:
    """Writes a file (.json) of one video, see `WriteDraft`.

    VIA asks for the video by its name when the project is opened.
    """
    assert clock.size is not None
    frames_of(clock, boxes)
    options = {str(number): action for number, action in enumerate(actions)}
    id_of = {action: number for number, action in options.items()}
    metadata = {}
    for number, box in enumerate(boxes):
        assert box.corners is not None
        ticked = sorted((id_of[action] for action in box.actions), key=int)
        metadata[f"1_{number}"] = {
            "vid": "1",
            "flg": 0,
            "z": [round(box.timestamp - float(clock.seconds[0]), 6)],
            "xy": [RECTANGLE, *corners_to_pixels(box.corners, clock.size)],
            "av": {
                "1": ",".join(ticked),
                "2": "" if box.person_id is None else str(box.person_id),
            },
        }
    attributes = {"1": _attribute("action", CHECKBOX, options), "2": _attribute("person", TEXT, {})}
    file = {"fid": "1", "fname": source, "type": VIDEO, "loc": LOCAL_FILE, "src": ""}
    project = {
        "pid": "__VIA_PROJECT_ID__",
        "rev": "__VIA_PROJECT_REV_ID__",
        "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
        "pname": cut_video_suffix(source),
        "creator": "VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)",
        "created": 0,
        "vid_list": ["1"],
    }
    content = {
        "project": project,
        "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": {}},
        "attribute": attributes,
        "file": {"1": file},
        "metadata": metadata,
        "view": {"1": {"fid_list": ["1"]}},
    }
    write_json(path, content)


def _attribute(name: str, kind: int, options: dict[str, str]) -> dict[str, Any]:
    return {
        "aname": name,
        "anchor_id": "FILE1_Z1_XY1",
        "type": kind,
        "desc": "",
        "options": options,
        "default_option_id": "",
    }
