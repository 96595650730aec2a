"""AVA's format to annotation tools' and back: equal boxes, actions and persons."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_det.formats.annotations import load_annotations, write_annotations
from ava_det.interchange.clock import FrameClock, VideoClocks
from ava_det.interchange.coco import load_coco
from ava_det.interchange.coco_writer import write_coco
from ava_det.interchange.cvat import load_cvat
from ava_det.interchange.cvat_actions import boxes_from_task
from ava_det.interchange.cvat_writer import write_cvat
from ava_det.interchange.datumaro import load_datumaro
from ava_det.interchange.datumaro_writer import write_datumaro
from ava_det.interchange.drafts import boxes_from_annotations
from ava_det.interchange.label_studio import load_label_studio
from ava_det.interchange.label_studio_actions import boxes_from_studio
from ava_det.interchange.label_studio_writer import write_label_studio
from ava_det.interchange.labeled import LabeledBox, number_actions, rows_from_labeled
from ava_det.interchange.picture_actions import boxes_from_pictures, declared_actions
from ava_det.interchange.picture_keyframes import choose_picture_keyframes
from ava_det.interchange.via import load_via
from ava_det.interchange.via_actions import boxes_from_via, name_options
from ava_det.interchange.via_writer import write_via

ACTIONS = ["stand", 'say "hi" & <wave>', "carry/hold (an object)", "aérer, 1"]
START = 900.0
CLOCK = FrameClock("walk.mp4", START + np.arange(301) * 1001 / 30000, (1917, 1079))


class OneClock(VideoClocks):
    """Knows one video."""

    def __init__(self) -> None:
        super().__init__(None, None, START)

    def choose(self, candidates: Sequence[str], where: str) -> str:
        assert "walk" in candidates
        return "walk"

    def find(self, video_id: str, where: str, last_frame: int = 0) -> FrameClock:
        assert video_id == "walk"
        return CLOCK


side = st.integers(0, 499)


def to_via(folder: Path, draft: list[LabeledBox]) -> list[LabeledBox]:
    write_via(folder / "walk.json", "walk.mp4", CLOCK, draft, ACTIONS)
    project = load_via(folder / "walk.json")
    again = boxes_from_via(project, OneClock(), "person", (), 30.0, START)
    names = name_options(project, "person", ()).values()
    assert number_actions(again, list(names), None) == dict(enumerate(ACTIONS, 1))
    return again


def to_label_studio(folder: Path, draft: list[LabeledBox]) -> list[LabeledBox]:
    write_label_studio(folder / "walk.json", "walk.mp4", CLOCK, draft, ACTIONS)
    [task] = load_label_studio(folder / "walk.json")
    assert task.video_id == "walk"
    assert task.is_draft
    return boxes_from_studio(task, CLOCK, 1.0, "person", ())


def to_cvat(folder: Path, draft: list[LabeledBox]) -> list[LabeledBox]:
    write_cvat(folder / "walk.xml", "walk.mp4", CLOCK, draft, ACTIONS)
    [task] = load_cvat(folder / "walk.xml")
    return boxes_from_task(task, CLOCK, 1.0, "person", ())


def to_coco(folder: Path, draft: list[LabeledBox]) -> list[LabeledBox]:
    write_coco(folder / "walk.json", "walk.mp4", CLOCK, draft, ACTIONS)
    labels = load_coco(folder / "walk.json")
    assert declared_actions(labels, "person", ()) == ACTIONS
    keyframes = choose_picture_keyframes(labels, OneClock(), 1.0, 0, None)
    return boxes_from_pictures(labels, keyframes, "person", ())


def to_datumaro(folder: Path, draft: list[LabeledBox]) -> list[LabeledBox]:
    write_datumaro(folder / "walk.zip", "walk.mp4", CLOCK, draft, ACTIONS)
    labels = load_datumaro(folder / "walk.zip")
    assert declared_actions(labels, "person", ()) == ACTIONS
    keyframes = choose_picture_keyframes(labels, OneClock(), 1.0, 0, None)
    return boxes_from_pictures(labels, keyframes, "person", ())


FORMATS = [to_via, to_label_studio, to_coco, to_datumaro]


@pytest.mark.parametrize("there_and_back", [*FORMATS, to_cvat])
@pytest.mark.parametrize("seconds", [(2, 4), (2, 3, 5), (1, 2, 4, 6)])
def test_a_keyframe_without_labels_gets_none(
    there_and_back: Callable[[Path, list[LabeledBox]], list[LabeledBox]],
    seconds: tuple[int, ...],
    tmp_path: Path,
) -> None:
    """As where a keyframe is excluded: nobody is labeled there, but the same person before and
    after.
    """
    corners = (0.1, 0.2, 0.3, 0.6)
    draft = [
        LabeledBox("walk", START + second, corners, ("stand",), 7, "here") for second in seconds
    ]
    again = there_and_back(tmp_path, draft)
    assert [box.timestamp for box in again] == [START + second for second in seconds]
    assert all(box.actions == ("stand",) for box in again)


@pytest.mark.parametrize("there_and_back", FORMATS)
@settings(max_examples=30)
@given(
    persons=st.dictionaries(
        st.tuples(st.integers(0, 9), st.integers(0, 1000)),  # second, person
        st.tuples(side, side, side, side, st.sets(st.sampled_from(ACTIONS))),
        min_size=1,
        max_size=12,
    )
)
def test_nothing_is_lost(
    there_and_back: Callable[[Path, list[LabeledBox]], list[LabeledBox]],
    persons: dict[tuple[int, int], tuple[int, int, int, int, set[str]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("round")
    label_map = dict(enumerate(ACTIONS, 1))
    boxes = [
        LabeledBox(
            "walk",
            START + second,
            (x / 1000, y / 1000, (x + width + 1) / 1000, (y + height + 1) / 1000),
            tuple(sorted(actions)),
            person,
            "here",
        )
        for (second, person), (x, y, width, height, actions) in persons.items()
    ]
    write_annotations(folder / "before.csv", rows_from_labeled(boxes, label_map))
    draft = boxes_from_annotations(load_annotations(folder / "before.csv"), label_map)
    again = there_and_back(folder, draft)
    write_annotations(folder / "after.csv", rows_from_labeled(again, label_map))
    before, after = (load_annotations(folder / f"{name}.csv") for name in ("before", "after"))
    assert after.boxes == pytest.approx(before.boxes, abs=1e-8)
    for name in ("video_ids", "timestamps", "action_ids", "person_ids"):
        assert list(getattr(after, name)) == list(getattr(before, name))


def test_a_project_is_what_via_opens(tmp_path: Path) -> None:
    box = LabeledBox("walk", 902.0, (0.1, 0.2, 0.3, 0.6), (ACTIONS[2], "stand"), 7, "here")
    write_via(tmp_path / "walk.json", "walk.mp4", CLOCK, [box], ACTIONS)
    content = json.loads((tmp_path / "walk.json").read_text(encoding="utf-8"))
    assert content["project"]["vid_list"] == list(content["view"]) == ["1"]
    assert content["view"]["1"]["fid_list"] == list(content["file"])
    assert content["file"]["1"] == {"fid": "1", "fname": "walk.mp4", "type": 4, "loc": 1, "src": ""}
    actions, person = content["attribute"].values()
    assert actions["options"] == {str(i): name for i, name in enumerate(ACTIONS)}
    assert (actions["type"], person["type"], actions["default_option_id"]) == (2, 1, "")
    [metadata] = content["metadata"].values()
    assert metadata["xy"] == pytest.approx([2, 191.7, 215.8, 383.4, 431.6])
    assert (metadata["vid"], metadata["z"]) == ("1", [2.0])
    assert metadata["av"] == {"1": "0,2", "2": "7"}


def test_a_coco_file_names_pictures_persons_and_all_actions(tmp_path: Path) -> None:
    box = LabeledBox("walk", 902.0, (0.1, 0.2, 0.3, 0.6), ("stand",), 7, "here")
    write_coco(tmp_path / "walk.json", "walk.mp4", CLOCK, [box], ACTIONS)
    content = json.loads((tmp_path / "walk.json").read_text(encoding="utf-8"))
    size = {"width": 1917, "height": 1079}
    assert content["videos"] == [{"id": 1, "name": "walk", **size}]
    [image], [annotation] = content["images"], content["annotations"]
    assert (image["video_id"], image["frame_index"]) == (1, 60)
    assert image["file_name"] == "walk/frame_000060.png"
    assert content["categories"] == [{"id": 1, "name": "person", "supercategory": ""}]
    assert content["tracks"] == [{"id": 7, "video_id": 1, "category_id": 1}]
    assert annotation["bbox"] == pytest.approx([191.7, 215.8, 383.4, 431.6])
    assert annotation["area"] == pytest.approx(383.4 * 431.6)
    assert (annotation["image_id"], annotation["track_id"]) == (image["id"], 7)
    said = {name: name == "stand" for name in ACTIONS}
    assert annotation["attributes"] == {**said, "track_id": 7, "keyframe": True}
    assert (annotation["segmentation"], annotation["iscrowd"]) == ([], 0)


def test_datumaro_finds_its_file_and_what_it_requires(tmp_path: Path) -> None:
    box = LabeledBox("walk", 902.0, (0.1, 0.2, 0.3, 0.6), ("stand",), 7, "here")
    write_datumaro(tmp_path / "walk.zip", "walk.mp4", CLOCK, [box], ACTIONS)
    with zipfile.ZipFile(tmp_path / "walk.zip") as archive:
        assert archive.namelist() == ["annotations/walk.json"]
        content = json.loads(archive.read("annotations/walk.json"))
    [label] = content["categories"]["label"]["labels"]
    assert (label["name"], label["parent"]) == ("person", "")
    [item] = content["items"]
    assert (item["id"], item["attr"]) == ("walk/frame_000060", {"frame": 60})
    assert item["image"]["size"] == [1079, 1917]
    [annotation] = item["annotations"]
    assert (annotation["type"], annotation["label_id"]) == ("bbox", 0)
    assert annotation["bbox"] == pytest.approx([191.7, 215.8, 383.4, 431.6])
    said = {name: name == "stand" for name in ACTIONS}
    assert annotation["attributes"] == {**said, "track_id": 7, "keyframe": True}


@pytest.mark.parametrize("there_and_back", [*FORMATS, to_cvat])
def test_a_person_with_two_boxes_on_a_keyframe_keeps_both(
    there_and_back: Callable[[Path, list[LabeledBox]], list[LabeledBox]], tmp_path: Path
) -> None:
    """As in a table in which everybody has the same person id."""
    places = [(0.1, 0.2, 0.3, 0.6), (0.5, 0.2, 0.7, 0.6), (0.75, 0.2, 0.9, 0.6)]
    draft = [
        LabeledBox("walk", START + second, corners, ("stand",), 7, "here")
        for second in (2, 3)
        for corners in places
    ]
    again = there_and_back(tmp_path, draft)
    found = sorted((box.timestamp, box.corners) for box in again)
    assert [timestamp for timestamp, _ in found] == [START + 2] * 3 + [START + 3] * 3
    corners = [side for _, corners in found for side in corners]
    assert corners == pytest.approx([side for box in draft for side in box.corners or ()], abs=1e-5)


@pytest.mark.parametrize("write", [write_coco, write_datumaro])
@pytest.mark.parametrize("name", ["outside", "keyframe", "track_id"])
def test_an_action_called_as_an_attribute_of_cvat_is_refused(
    write: Callable[..., None], name: str, tmp_path: Path
) -> None:
    """It would be lost when the file is read back."""
    box = LabeledBox("walk", 902.0, (0.1, 0.2, 0.3, 0.6), (name,), 7, "here")
    with pytest.raises(
        ValueError, match=f"expected another name of the action '{name}', since COCO"
    ):
        write(tmp_path / "walk.file", "walk.mp4", CLOCK, [box], ["stand", name])
    assert list(tmp_path.iterdir()) == []


def test_a_moment_that_the_video_lacks_leaves_no_file(tmp_path: Path) -> None:
    late = LabeledBox("walk", 950.0, (0.1, 0.1, 0.2, 0.5), (), 0, "ava.csv, line 1")
    with pytest.raises(ValueError, match=r"ava\.csv, line 1: expected a second of walk\.mp4"):
        write_via(tmp_path / "walk.json", "walk.mp4", CLOCK, [late], ACTIONS)
    assert list(tmp_path.iterdir()) == []
