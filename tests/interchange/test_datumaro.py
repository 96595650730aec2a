"""Datumaro's JSON: items that are frames, ticked boxes, and what is wrong with a file."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ava_det.interchange.datumaro import load_datumaro
from ava_det.interchange.labeled import LabeledBox
from ava_det.interchange.picture_actions import boxes_from_pictures, declared_actions
from ava_det.interchange.picture_keyframes import choose_picture_keyframes
from ava_det.interchange.pictures import PictureLabels
from tests.support.video_clocks import TenSeconds

CORNERS = (0.1, 0.1, 0.225, 0.1 + 240 / 360)


def item(frame: int, *annotations: dict[str, Any]) -> dict[str, Any]:
    name = f"frame_{frame:06d}"
    return {
        "id": name,
        "attr": {"frame": frame},
        "image": {"path": f"{name}.PNG", "size": [360, 640]},
        "annotations": list(annotations),
    }


def box(track: int, keyframe: bool = True, **ticked: object) -> dict[str, Any]:
    own = {"occluded": True, "rotation": 0.0, "track_id": track, "keyframe": keyframe}
    return {
        "id": 0,
        "type": "bbox",
        "label_id": 0,
        "group": 0,
        "z_order": 0,
        "bbox": [64.0, 36.0, 80.0, 240.0],
        "attributes": own | ticked,
    }


POLYGON = {"id": 1, "type": "polygon", "label_id": 0, "points": [1, 2, 3, 4, 5, 6]}
CONTENT: dict[str, Any] = {
    "dm_format_version": "1.0",
    "infos": {},
    "categories": {"label": {"labels": [{"name": "person", "parent": "", "attributes": []}]}},
    "items": [
        item(60, box(3, walk=False, stand=True, read=True, pose="lean"), POLYGON),
        item(75, box(3, walk=True, stand=False, read=False)),
        item(90, box(3, keyframe=False, walk=True), box(4, walk=False)),
    ],
}


def read(path: Path, every: float | None = 1.0) -> tuple[list[LabeledBox], PictureLabels]:
    labels = load_datumaro(path)
    keyframes = choose_picture_keyframes(labels, TenSeconds("walk"), every, 0, None)
    return boxes_from_pictures(labels, keyframes, "person", ()), labels


def save(folder: Path, content: object) -> Path:
    path = folder / "walk.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_frames_of_a_video_become_keyframes(tmp_path: Path) -> None:
    boxes, labels = read(save(tmp_path, CONTENT))
    assert [(one.video_id, one.timestamp, one.person_id, one.actions) for one in boxes] == [
        ("walk", 2.0, 3, ("stand", "read", "lean")),
        ("walk", 3.0, 3, ("walk",)),
        ("walk", 3.0, 4, ()),
    ]
    assert boxes[0].corners == pytest.approx(CORNERS)
    assert declared_actions(labels, "person", ()) == ["walk", "stand", "read"]
    assert labels.left_out == {"polygon of 'person'": 1}
    drawn, _ = read(tmp_path / "walk.json", every=None)
    assert [one.timestamp for one in drawn] == [2.0, 2.5, 3.0, 3.0]


def test_frames_as_datumaro_itself_names_them(tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    for one in content["items"]:
        frame = one.pop("attr")["frame"]
        one["video_frame"] = {"video_path": "/data/walk.mp4", "frame_index": frame}
        one["id"] = "any"
        del one["image"]
    boxes, _ = read(save(tmp_path, content))
    assert [(one.video_id, one.timestamp) for one in boxes[:2]] == [("walk", 2.0), ("walk", 3.0)]
    assert boxes[0].corners == pytest.approx(CORNERS)


def test_what_datumaro_adds_to_annotations_of_coco_is_no_action(tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    content["items"][0]["annotations"][0]["attributes"]["is_crowd"] = False
    assert declared_actions(read(save(tmp_path, content))[1], "person", ()) == [
        "walk",
        "stand",
        "read",
    ]


def test_a_turned_box_and_one_without_a_label_are_counted(tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    first, second, _ = content["items"]
    first["annotations"] = [box(3, rotation=20.0), {"type": "caption", "caption": "a walk"}]
    second["annotations"] = [box(3, outside=True)]
    boxes, labels = read(save(tmp_path, content))
    assert [one.timestamp for one in boxes] == [3.0, 3.0]
    assert labels.left_out == {"turned box of 'person'": 1, "caption without a label": 1}


Change = Callable[[dict[str, Any]], object]


def of_item(**changed: object) -> Change:
    def change(content: dict[str, Any]) -> None:
        _change(content["items"][0], changed)

    return change


def of_box(**changed: object) -> Change:
    def change(content: dict[str, Any]) -> None:
        _change(content["items"][0]["annotations"][0], changed)

    return change


def _change(entry: dict[str, Any], changed: dict[str, object]) -> None:
    entry.update(changed)
    for name in [name for name, value in changed.items() if value is None]:
        del entry[name]


BROKEN: list[tuple[Change, str]] = [
    (lambda content: content.pop("items"), "a Datumaro JSON file, found no 'categories' and"),
    (lambda content: content["categories"].pop("label"), "categories: expected the key 'label'"),
    (lambda content: content.update(items={}), "items: expected a list, found an object"),
    (lambda content: content.update(items=[]), "expected a Datumaro JSON file with 'items', found"),
    (of_item(id=None), r"items\[0\]: expected the key 'id', found none"),
    (of_item(id="walk", attr={}), r'items\[0\]: expected the frame in attr.*found "walk"'),
    (of_item(attr={"frame": "x"}), r'attr\.frame: expected a whole number from 0, found "x"'),
    (of_item(attr={"frame": 75}), r"items\[1\]: expected one picture of a frame, found two"),
    (of_item(attr={"frame": 300}), r"items\[0\]: expected a frame of walk\.mp4, 0\.\.299"),
    (of_item(video_frame={}), r"video_frame: expected the key 'frame_index', found none"),
    (of_item(image={"size": [360]}), r"image\.size: expected height and width, found 1 numbers"),
    (of_item(image={"size": [640, 360]}), r"a video of the shape that was annotated, 360x640"),
    (of_item(annotations=None), r"items\[0\]: expected the key 'annotations', found none"),
    (of_box(type=None), r"annotations\[0\]: expected the key 'type', found none"),
    (of_box(label_id=1), r"label_id: expected a label of the file, 0\.\.0, found 1"),
    (of_box(label_id="one"), r'label_id: expected a whole number from 0, found "one"'),
    (of_box(bbox=None), r"annotations\[0\]: expected the key 'bbox', found none"),
    (of_box(bbox=[1.0, 2.0, 3.0]), r"bbox: expected 4 numbers, found 3"),
    (of_box(bbox=[1.0, 2.0, 3.0, -4.0]), r"expected a box with a width and a height"),
    (of_box(bbox=[1.0, 9000.0, 3.0, 4.0]), r"expected a box within the frame of 640x360"),
    (of_box(attributes={"rotation": "x"}), r'rotation: expected a number, found "x"'),
]


@pytest.mark.parametrize(("change", "sentence"), BROKEN)
def test_a_broken_file_is_refused_with_its_place(
    tmp_path: Path, change: Change, sentence: str
) -> None:
    content = copy.deepcopy(CONTENT)
    change(content)
    with pytest.raises(ValueError, match=sentence) as raised:
        read(save(tmp_path, content))
    assert str(raised.value).startswith(str(tmp_path / "walk.json"))
    assert "\n" not in str(raised.value)
