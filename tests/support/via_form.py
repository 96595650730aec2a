"""Projects of VIA 3, as its page saves them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Attribute = tuple[str, int, Sequence[str]]
ACTION: Attribute = ("action", 2, ("stand", "walk", "read"))
PERSON: Attribute = ("person", 1, ())


def project(
    files: Sequence[tuple[str, int]],
    regions: Sequence[tuple[int, Sequence[float], Sequence[float], Mapping[str, str]]],
    attributes: Sequence[Attribute] = (ACTION, PERSON),
) -> dict[str, Any]:
    """files: name and type (4 video, 2 picture). regions: number of the file from 1, z, xy, av."""
    numbered = [str(number) for number in range(1, len(files) + 1)]
    anchor = "FILE1_Z1_XY1" if files[0][1] == 4 else "FILE1_Z0_XY1"
    return {
        "project": {"pid": "__VIA_PROJECT_ID__", "pname": "demo", "vid_list": numbered},
        "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": {}},
        "attribute": {
            str(number): {
                "aname": name,
                "anchor_id": anchor,
                "type": kind,
                "desc": "",
                "options": {str(i): option for i, option in enumerate(options)},
                "default_option_id": "",
            }
            for number, (name, kind, options) in enumerate(attributes, 1)
        },
        "file": {
            fid: {"fid": fid, "fname": name, "type": kind, "loc": 1, "src": ""}
            for fid, (name, kind) in zip(numbered, files, strict=True)
        },
        "view": {fid: {"fid_list": [fid]} for fid in numbered},
        "metadata": {
            f"{vid}_{number}": {"vid": str(vid), "flg": 0, "z": list(z), "xy": list(xy), "av": av}
            for number, (vid, z, xy, av) in enumerate(regions)
        },
    }


def save(folder: Path, content: object, name: str = "project.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
