"""VIA 3: projects of videos and of their frames, and what is wrong with one."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ava_det.interchange.labeled import LabeledBox, number_actions, rows_from_labeled
from ava_det.interchange.via import ViaProject, load_via
from ava_det.interchange.via_actions import boxes_from_via, find_ticked_by_default, name_options
from tests.support.via_form import project, save
from tests.support.video_clocks import TenSeconds

BOX = (2, 64, 36, 80, 240)
CORNERS = (0.1, 0.1, 0.225, 0.1 + 240 / 360)


def read(path: Path, **options: Any) -> tuple[list[LabeledBox], ViaProject]:
    via = load_via(path)
    given: dict[str, Any] = {
        "person": "person",
        "ignored": (),
        "picture_fps": 30.0,
        "start_second": 0.0,
    } | options
    return boxes_from_via(via, TenSeconds(), **given), via


def test_a_project_of_a_video(tmp_path: Path) -> None:
    content = project(
        [("walk.mp4", 4)],
        [
            (1, [2.0], BOX, {"1": "0,2", "2": "7"}),
            (1, [2.01], (2, 320, -3, 64, 363.5), {"1": "", "2": "3"}),
            (1, [3.0], BOX, {}),
            (1, [4, 5], [], {"1": "1"}),
            (1, [2.0], (1, 5, 5), {}),
        ],
    )
    boxes, via = read(save(tmp_path, content))
    first, second, third = boxes
    assert (first.video_id, first.timestamp, first.actions) == ("walk", 2.0, ("stand", "read"))
    assert first.corners == pytest.approx(CORNERS)
    assert first.person_id == 7
    # on the same frame, so on the same keyframe; cut at the frame's border
    assert (second.timestamp, second.actions, second.person_id) == (2.0, (), 3)
    assert second.corners == pytest.approx((0.5, 0, 0.6, 1))
    assert (third.timestamp, third.actions, third.person_id) == (3.0, (), None)
    assert via.left_out == {"time segment": 1, "point": 1}


def test_the_project_of_a_custom_ava_dataset(tmp_path: Path) -> None:
    """A picture a second of a video at 30 fps; ids go on from attribute to attribute."""
    attributes = [
        ("head", 2, ("talk", "bow")),
        ("body", 2, ("stand", "sit", "walk")),
        ("limbs", 2, ("hand up", "catch")),
    ]
    pictures = [(f"1_{30 * second + 1:06d}.jpg", 2) for second in (2, 3)]
    content = project(
        pictures,
        [
            (1, [], BOX, {"1": "0", "2": "2", "3": "0,1"}),
            (2, [], BOX, {"1": "", "2": "1", "3": ""}),
        ],
        attributes,
    )
    boxes, via = read(save(tmp_path, content))
    names = list(name_options(via, "person", ()).values())
    label_map = number_actions(boxes, names, None)
    assert label_map == dict(
        enumerate(["talk", "bow", "stand", "sit", "walk", "hand up", "catch"], 1)
    )
    rows = rows_from_labeled(boxes, label_map)
    assert rows.video_names == ["1"]
    assert rows.timestamps.tolist() == [2, 2, 2, 2, 3]
    assert rows.action_ids.tolist() == [1, 5, 6, 7, 4]
    assert len(set(rows.person_ids.tolist())) == 1  # followed from second to second
    assert rows.boxes[0] == pytest.approx(CORNERS)


def test_options_of_one_name_carry_their_attribute(tmp_path: Path) -> None:
    attributes = [("left hand", 3, ("wave", "rest")), ("right hand", 4, ("wave", "point"))]
    content = project([("walk.mp4", 4)], [(1, [1.0], BOX, {"1": "0", "2": "1"})], attributes)
    boxes, via = read(save(tmp_path, content))
    names = ["left hand/wave", "rest", "right hand/wave", "point"]
    assert list(name_options(via, "person", ()).values()) == names
    assert boxes[0].actions == ("left hand/wave", "point")
    boxes, _ = read(tmp_path / "project.json", ignored=("left hand",))
    assert boxes[0].actions == ("point",)


def test_persons_with_names_and_views_of_other_numbers(tmp_path: Path) -> None:
    content = project(
        [("a/walk.mp4", 4)],
        [(1, [1.0], BOX, {"2": "Ann"}), (1, [2.0], BOX, {"2": "Bob"}), (1, [3], BOX, {"2": "Ann"})],
    )
    content["view"] = {"9": {"fid_list": [1]}}
    for metadata in content["metadata"].values():
        metadata["vid"] = 9
    boxes, _ = read(save(tmp_path, content))
    assert [box.video_id for box in boxes] == ["walk"] * 3
    first, second, third = (box.person_id for box in boxes)
    assert first == third != second


def test_annotation_times_begin_where_they_are_told(tmp_path: Path) -> None:
    content = project([("walk.mp4", 4)], [(1, [1.0], BOX, {})])
    with pytest.raises(ValueError, match=r"expected a second of walk\.mp4, 0\.\.9\.9.*found 901"):
        read(save(tmp_path, content), start_second=900.0)


def test_boxes_that_only_a_default_labeled_are_doubted(tmp_path: Path) -> None:
    def doubt(*values: str) -> str:
        regions = [(1, [float(i % 9)], BOX, {"1": value}) for i, value in enumerate(values)]
        via = load_via(save(tmp_path, project([("walk.mp4", 4)], regions)))
        return find_ticked_by_default(via, name_options(via, "person", ()))

    assert "19 of 20 boxes say only 'stand'" in doubt(*["0"] * 19, "1")
    assert not doubt(*["0"] * 17, "1", "2", "0,1")
    assert not doubt(*["1"] * 20)
    assert not doubt(*["0"] * 5)


Change = Callable[[dict[str, Any]], object]


def at(*keys: str, value: object) -> Change:
    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        if value is None:
            del content[keys[-1]]
        else:
            content[keys[-1]] = value

    return change


REGION = ("metadata", "1_0")
BROKEN: list[tuple[Change, str]] = [
    (at("metadata", value=None), "expected a project of VIA 3, found no 'attribute'"),
    (at("metadata", value=[]), r"metadata: expected an object, found a list"),
    (at("file", "1", "fname", value=""), r"file\.1: expected a file name as fname, found none"),
    (at("file", "1", "type", value="v"), r'file\.1\.type: expected a whole number.*found "v"'),
    (at("file", "1", value=None), r"metadata\.1_0: expected a file of the project, found file '1'"),
    (at("view", "1", "fid_list", value=["1", "2"]), r"view\.1: expected one file .*, found 2"),
    (at("attribute", "1", "aname", value=None), r"attribute\.1: expected the key 'aname'"),
    (at("attribute", "1", "options", value=["a"]), r"options: expected an object, found a list"),
    (at(*REGION, "vid", value=None), r"metadata\.1_0: expected the key 'vid', found none"),
    (at(*REGION, "vid", value="4"), r"expected a file of the project, found file '4'"),
    (at(*REGION, "z", value=[]), r"1_0\.z: expected the time of a box in a video, found none"),
    (at(*REGION, "z", value=["2"]), r'z\[0\]: expected a number, found "2"'),
    (at(*REGION, "z", value=[30.0]), r"metadata\.1_0: expected a second of walk\.mp4"),
    (at(*REGION, "xy", value=[2, 1, 1, 5]), r"xy: expected 5 numbers, found 4"),
    (at(*REGION, "xy", value=[2, 1, 1, 0, 5]), r"expected a box with a width and a height"),
    (at(*REGION, "xy", value=[2, 5000, 1, 9, 5]), r"expected a box within the frame of 640x360"),
    (at(*REGION, "xy", value=[2, 1, 1, float("nan"), 5]), r"expected a finite number, found NaN"),
    (at(*REGION, "av", value={"1": "9"}), r"av\.1: expected options .*'action', found '9'"),
    (at(*REGION, "av", value={"1": ["0"]}), r"av\.1: expected a text, found a list"),
]


@pytest.mark.parametrize(("change", "sentence"), BROKEN)
def test_a_broken_project_is_refused_with_its_place(
    tmp_path: Path, change: Change, sentence: str
) -> None:
    content = copy.deepcopy(project([("walk.mp4", 4)], [(1, [2.0], BOX, {"1": "0"})]))
    change(content)
    with pytest.raises(ValueError, match=sentence) as raised:
        read(save(tmp_path, content))
    assert str(raised.value).startswith(str(tmp_path / "project.json"))
    assert "\n" not in str(raised.value)


def test_files_that_are_no_projects(tmp_path: Path) -> None:
    path = tmp_path / "project.json"
    whole = json.dumps(project([("walk.mp4", 4)], []), indent=1)
    for content, sentence in (
        (whole[:200], r"project\.json, line \d+: expected a project of VIA 3, found no JSON"),
        ('{"_via_settings": {}}', "expected a project of VIA 3, found one of VIA 2"),
        ("[" * 100_000, "found no JSON"),
        ("", "line 1: expected a project of VIA 3, found no JSON"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=sentence):
            load_via(path)
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(ValueError, match="found no text in UTF-8"):
        load_via(path)
    with pytest.raises(FileNotFoundError, match=r"no such file, expected a project of VIA 3"):
        load_via(tmp_path / "nowhere.json")


def test_a_picture_without_a_number_is_refused(tmp_path: Path) -> None:
    content = project([("holiday.jpg", 2)], [(1, [], BOX, {})])
    with pytest.raises(ValueError, match=r"expected a picture named VIDEO_NUMBER.*'holiday\.jpg'"):
        read(save(tmp_path, content))
