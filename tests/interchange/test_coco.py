"""COCO with videos: the dialects of CVAT, TAO and YouTube-VIS, and what is wrong with a file."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ava_det.interchange.coco import load_coco
from ava_det.interchange.labeled import LabeledBox
from ava_det.interchange.picture_actions import (
    boxes_from_pictures,
    choose_labels,
    declared_actions,
    find_doubtful_labels,
)
from ava_det.interchange.picture_keyframes import choose_picture_keyframes
from ava_det.interchange.pictures import PictureLabels
from tests.support.video_clocks import TenSeconds

BOX = [64, 36, 80, 240]
CORNERS = (0.1, 0.1, 0.225, 0.1 + 240 / 360)
SIZE = {"width": 640, "height": 360}
# an annotation for each action
TAO: dict[str, Any] = {
    "videos": [{"id": 1, "name": "train/walk", **SIZE}],
    "images": [
        {
            "id": frame + 1,
            "video_id": 1,
            "frame_index": frame,
            "file_name": f"train/walk/frame{frame + 1:04d}.jpg",
            **SIZE,
        }
        for frame in (60, 75, 90)
    ],
    "categories": [{"id": 2, "name": "read"}, {"id": 1, "name": "stand"}],
    "tracks": [{"id": 3, "video_id": 1}],
    "annotations": [
        {"id": 1, "image_id": 61, "category_id": 1, "track_id": 3, "bbox": BOX, "iscrowd": 0},
        {"id": 2, "image_id": 61, "category_id": 2, "track_id": 3, "bbox": BOX, "iscrowd": 0},
        {"id": 3, "image_id": 76, "category_id": 1, "track_id": 3, "bbox": BOX, "iscrowd": 0},
    ],
}


def cvat(*attributes: dict[str, object], name: str = "frame_{:06d}.PNG") -> dict[str, Any]:
    """One box a picture, of frames 60, 61, ... with such attributes."""
    frames = list(enumerate(attributes, 60))
    return {
        "images": [{"id": i, "file_name": name.format(i), **SIZE} for i, _ in frames],
        "categories": [{"id": 1, "name": "person", "supercategory": ""}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": BOX, "attributes": one}
            for i, one in frames
        ],
    }


def read(
    path: Path, every: float | None = 1.0, first_frame: int = 0, picture_fps: float | None = None
) -> tuple[list[LabeledBox], PictureLabels]:
    labels = load_coco(path)
    keyframes = choose_picture_keyframes(
        labels, TenSeconds("walk"), every, first_frame, picture_fps
    )
    return boxes_from_pictures(labels, keyframes, "person", ()), labels


def save(folder: Path, content: object, name: str = "walk.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_an_annotation_for_each_action(tmp_path: Path) -> None:
    boxes, labels = read(save(tmp_path, TAO))
    assert [(box.video_id, box.timestamp, box.person_id) for box in boxes] == [("walk", 2.0, 3)]
    assert boxes[0].actions == ("stand", "read")
    assert boxes[0].corners == pytest.approx(CORNERS)
    assert declared_actions(labels, "person", ()) == ["stand", "read"]
    [note] = labels.notes
    assert note.startswith(
        f"{tmp_path / 'walk.json'}: left out, being on pictures between the keyframes: 1 box;"
    )
    assert "--drawn takes every picture" in note
    drawn, labels = read(tmp_path / "walk.json", every=None)
    assert [box.timestamp for box in drawn] == [2.0, 2.5]
    assert not labels.notes


def test_attributes_of_a_person(tmp_path: Path) -> None:
    own = {"occluded": True, "rotation": 0.0, "track_id": 4, "keyframe": True}
    said = {"walk": False, "stand": True, "read": "true", "pose": "lean", "age": 7, "mood": ""}
    other = {**own, "keyframe": False, **said, "stand": False, "hands": ["wave", "point"]}
    path = save(tmp_path, cvat(own | said, other))
    boxes, labels = read(path)
    assert [(box.timestamp, box.person_id) for box in boxes] == [(2.0, 4)]
    assert boxes[0].actions == ("stand", "read", "lean")
    assert declared_actions(labels, "person", ()) == ["walk", "stand", "read"]
    assert labels.left_out == {"value of the attribute 'age', which is no choice": 1}
    close, _ = read(path, every=1 / 30)
    assert close[1].actions == ("read", "lean", "wave", "point")
    # a box that was interpolated was not drawn
    drawn, _ = read(path, every=None)
    assert [box.timestamp for box in drawn] == [2.0]
    keyframes = choose_picture_keyframes(labels, TenSeconds("walk"), 1.0, 0, None)
    [box] = boxes_from_pictures(labels, keyframes, "person", ["read", "lean"])
    assert box.actions == ("stand",)


def test_a_value_of_two_attributes_carries_the_attributes_name(tmp_path: Path) -> None:
    said: dict[str, object] = {"left hand": "wave", "head": "none", "body": "none"}
    said["right hand"] = ["wave", "point"]
    [box], labels = read(save(tmp_path, cvat(said)))
    assert box.actions == ("left hand/wave", "none", "right hand/wave", "point")
    keyframes = choose_picture_keyframes(labels, TenSeconds("walk"), 1.0, 0, None)
    [box] = boxes_from_pictures(labels, keyframes, "person", ["none", "left hand"])
    assert box.actions == ("wave", "point")


def test_tracks_of_videos_that_list_their_pictures(tmp_path: Path) -> None:
    """As YouTube-VIS has it: every fifth frame, null where the object is away."""
    names = [f"walk/{frame:05d}.jpg" for frame in (30, 60, 90)]
    content = {
        "videos": [{"id": 7, "file_names": names, "length": 3, **SIZE}],
        "categories": [{"id": 1, "name": "walk"}],
        "annotations": [{"id": 9, "video_id": 7, "category_id": 1, "bboxes": [BOX, None, BOX]}],
    }
    boxes, _ = read(save(tmp_path, content))
    assert [(box.video_id, box.timestamp) for box in boxes] == [("walk", 1.0), ("walk", 3.0)]
    assert {box.actions for box in boxes} == {("walk",)}


@pytest.mark.parametrize(
    "name",
    [
        "frame_{:06d}.PNG",  # the file is walk.json
        "walk_{:06d}.jpg",
        "images/walk-{:04d}.jpg",
        "frames\\walk\\img_{:05d}.jpg",
        "walk.mp4/{:06d}.png",
    ],
)
def test_videos_that_only_names_tell(tmp_path: Path, name: str) -> None:
    file = "walk.json" if name.startswith("frame_") else "instances_default.json"
    boxes, _ = read(save(tmp_path, cvat({"stand": True}, name=name), file))
    assert [(box.video_id, box.timestamp) for box in boxes] == [("walk", 2.0)]


def test_numbers_from_1_and_at_a_rate_of_their_own(tmp_path: Path) -> None:
    content = cvat({"stand": True})
    content["images"][0]["file_name"] = "walk_000061.jpg"
    path = save(tmp_path, content)
    assert [box.timestamp for box in read(path, first_frame=1)[0]] == [2.0]
    assert [box.timestamp for box in read(path, first_frame=1, picture_fps=15)[0]] == [4.0]
    content["images"][0]["frame_id"] = 1
    boxes, labels = read(save(tmp_path, content), every=None)
    assert boxes[0].timestamp == pytest.approx(1 / 30, abs=1e-6)
    assert "frame numbers begin with 1: --first-frame 1" in labels.notes[0]


def test_a_rate_that_the_video_has_not_is_said(tmp_path: Path) -> None:
    content = copy.deepcopy(TAO)
    content["videos"][0]["fps"] = 15
    boxes, labels = read(save(tmp_path, content))
    assert [box.timestamp for box in boxes] == [4.0, 5.0]
    assert "expected walk at 15 frames a second, walk.mp4 has 30" in labels.notes[0]
    content["videos"][0]["fps"] = 29.97
    boxes, labels = read(save(tmp_path, content))
    assert [box.timestamp for box in boxes] == [2.0]
    assert not [note for note in labels.notes if "frames a second" in note]


def test_persons_without_tracks_are_followed(tmp_path: Path) -> None:
    content = copy.deepcopy(TAO)
    for annotation in content["annotations"]:
        del annotation["track_id"]
    content["annotations"][2]["image_id"] = 91
    boxes, _ = read(save(tmp_path, content))
    assert [(box.timestamp, box.actions) for box in boxes] == [
        (2.0, ("stand", "read")),
        (3.0, ("stand",)),
    ]
    assert boxes[0].person_id == boxes[1].person_id is not None
    for annotation, name in zip(content["annotations"], ("Ann", "Ann", "12"), strict=True):
        annotation["instance_id"] = name
    assert [box.person_id for box in read(save(tmp_path, content))[0]] == [13, 12]


def test_what_was_not_understood_is_counted(tmp_path: Path) -> None:
    content = copy.deepcopy(TAO)
    first, second, third = content["annotations"]
    first["attributes"] = {"rotation": 30.0}
    second["iscrowd"] = 1
    del third["bbox"]
    content["categories"].append({"id": 5, "name": "car"})
    content["annotations"].append({"id": 4, "image_id": 61, "category_id": 5, "bbox": BOX})
    boxes, labels = read(save(tmp_path, content))
    assert [box.actions for box in boxes] == [("car",)]
    choose_labels(labels, ["stand", "read"], ())
    assert labels.names == ["stand", "read"]
    assert labels.left_out == {
        "turned box of 'stand'": 1,
        "crowd of 'read'": 1,
        "annotation without a box of 'stand'": 1,
        "box of 'car'": 1,
    }


def test_a_label_with_actions_as_attributes_is_doubted(tmp_path: Path) -> None:
    content = cvat({"stand": True})
    assert find_doubtful_labels(read(save(tmp_path, content))[1], "person") == []
    content["categories"][0]["name"] = "Human"
    assert find_doubtful_labels(read(save(tmp_path, content))[1], "person") == ["Human"]
    assert find_doubtful_labels(read(save(tmp_path, content))[1], "human") == []


Change = Callable[[dict[str, Any]], object]


def of(key: str, **changed: object) -> Change:
    """Changes the first entry of a list; None removes a key."""

    def change(content: dict[str, Any]) -> None:
        entry = content[key][0]
        entry.update(changed)
        for name in [name for name, value in changed.items() if value is None]:
            del entry[name]

    return change


BROKEN: list[tuple[Change, str]] = [
    (lambda content: content.pop("annotations"), "a COCO file, found no 'annotations' and"),
    (lambda content: content.pop("images"), "expected a COCO file with 'images', found none"),
    (lambda content: content.update(images={}), r"images: expected a list, found an object"),
    (of("categories", name=None), r"categories\[0\]: expected the key 'name', found none"),
    (of("categories", id=1), r"categories\[1\]\.id: expected ids of their own, found two 1"),
    (of("images", id=76), r"images\[1\]\.id: expected ids of their own, found two 76"),
    (of("images", id=None), r"images\[0\]: expected the key 'id', found none"),
    (of("images", video_id=4), r"images\[0\]\.video_id: expected a video of the file, found 4"),
    (of("images", frame_index=-1), r"frame_index: expected a whole number from 0, found -1"),
    (of("images", frame_index=75), r"images\[1\]: expected one picture of a frame, found two of"),
    (of("images", frame_index=300), r"expected a frame of walk\.mp4, 0\.\.299, found 300"),
    (
        of("images", frame_index=None, file_name="walk.jpg"),
        r"images\[0\]: expected frame_index, frame_id, or a file_name that ends in .* number",
    ),
    (of("images", width="wide"), r'images\[0\]\.width: expected a whole number .*found "wide"'),
    (of("images", width=360, height=640), r"a video of the shape that was annotated, 360x640"),
    (of("annotations", image_id=4), r"image_id: expected a picture of the file, found 4"),
    (of("annotations", category_id=4), r"category_id: expected a category of the file, found 4"),
    (of("annotations", category_id=None), r"annotations\[0\]: expected the key 'category_id'"),
    (of("annotations", bbox=[1, 2, 3]), r"bbox: expected 4 numbers, found 3"),
    (of("annotations", bbox=[1, 2, 3, "4"]), r'bbox\[3\]: expected a number, found "4"'),
    (of("annotations", bbox=[1, 2, 0, 4]), r"annotations\[0\]: expected a box with a width"),
    (of("annotations", bbox=[2000, 2, 3, 4]), r"expected a box within the frame of 640x360"),
    (of("annotations", bbox=[1, 2, 3, 4]), r"expected one box of track 3 on a picture, found two"),
    (of("annotations", track_id=[3]), r"track_id: expected a text, found a list"),
    (of("annotations", attributes=["a"]), r"attributes: expected an object, found a list"),
    (
        lambda content: content["videos"].append({"id": 2, "name": "val/walk.mp4"}),
        r"videos\[1\]: expected videos with file names of their own, found two called walk",
    ),
    (of("videos", fps=0), r"videos\[0\]\.fps: expected frames a second, found 0"),
    (
        of("annotations", bboxes=[BOX], video_id=1),
        r"bboxes: expected a box or null for each of 0 file_names, found 1",
    ),
    (of("videos", file_names=["walk/a.jpg"]), r"file_names\[0\]: expected a name that ends in"),
]


@pytest.mark.parametrize(("change", "sentence"), BROKEN)
def test_a_broken_file_is_refused_with_its_place(
    tmp_path: Path, change: Change, sentence: str
) -> None:
    content = copy.deepcopy(TAO)
    change(content)
    with pytest.raises(ValueError, match=sentence) as raised:
        read(save(tmp_path, content))
    assert str(raised.value).startswith(str(tmp_path / "walk.json"))
    assert "\n" not in str(raised.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    results = [{"image_id": 1, "category_id": 1, "bbox": BOX, "score": 0.9}]
    with pytest.raises(ValueError, match=r"expected a COCO file, found a list, as of results"):
        load_coco(save(tmp_path, results))
    (tmp_path / "walk.json").write_text('{"images": [')
    with pytest.raises(ValueError, match=r"walk\.json, line 1: expected a COCO file, found no"):
        load_coco(tmp_path / "walk.json")
    with pytest.raises(FileNotFoundError, match="no such file, expected a COCO file"):
        load_coco(tmp_path / "nowhere.json")


def test_numbers_below_the_first_frame_are_refused(tmp_path: Path) -> None:
    content = cvat({"stand": True}, name="walk_000000.jpg")
    with pytest.raises(ValueError, match=r"images\[0\]: expected frame numbers from 1 .*found 0"):
        read(save(tmp_path, content), first_frame=1)
