"""What is no upright box of a person is left out and counted; exports for images of a video."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from ava_det.commands import import_annotations
from ava_det.formats.annotations import load_annotations
from ava_det.formats.label_map import load_label_map
from ava_det.interchange.clock import FrameClock
from ava_det.interchange.cvat import load_cvat
from ava_det.interchange.cvat_actions import (
    boxes_from_task,
    choose_tracks,
    declared_actions,
    describe_left_out,
    find_doubtful_labels,
)
from tests.support.cvat_form import attribute, box, export, labels, task_meta, track

SIZE = (640, 360)
LEFT = (64.0, 36.0, 128.0, 180.0)
RIGHT = (320.0, 36.0, 384.0, 180.0)
CLOCK = FrameClock("walk.mp4", np.arange(300) / 25, SIZE)
ZONE = "\n        <label><name>zone</name><type>{}</type><attributes></attributes></label>"
SHAPES = {
    "polygon": '<polygon frame="{}" outside="0" points="1,1;2,1;2,2"/>',
    "polyline": '<polyline frame="{}" outside="0" points="1,1;2,1"/>',
    "points": '<points frame="{}" outside="0" points="1,1"/>',
    "ellipse": '<ellipse frame="{}" outside="0" cx="3" cy="3" rx="1" ry="2"/>',
    "cuboid": '<cuboid frame="{}" outside="0" xtl1="1"/>',
    "mask": '<mask frame="{}" outside="0" rle="1, 2" left="0" top="0" width="1" height="3"/>',
    "skeleton": '<skeleton frame="{}" outside="0"><points label="nose" points="1,1"/></skeleton>',
}


def save(folder: Path, text: str, name: str = "annotations.xml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def meta_with(more: str, *attributes: str) -> str:
    return task_meta("walk.mp4", 300, SIZE, labels(*(attributes or [attribute("wave")]), more=more))


def walker() -> str:
    return track(0, [box(0, LEFT, {"wave": "true"}), box(25, LEFT, {"wave": "true"})])


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("declared", ["any", "right"])
def test_other_shapes_are_left_out_and_counted(tmp_path: Path, kind: str, declared: str) -> None:
    meta = meta_with(ZONE.format("any" if declared == "any" else kind))
    zone = track(1, [SHAPES[kind].format(frame) for frame in (0, 25)], label="zone")
    [task] = load_cvat(save(tmp_path, export(meta, walker(), zone)))
    assert task.left_out == {(kind, "zone"): 2}
    assert [found.person_id for found in boxes_from_task(task, CLOCK, 1.0, "person", [])] == [0, 0]
    assert declared_actions(task, "person", []) == ["wave"]


def test_a_turned_box_is_left_out_and_the_upright_ones_of_its_track_stay(tmp_path: Path) -> None:
    turned = box(25, RIGHT, extra=' rotation="30.00"')
    gone = box(50, RIGHT, outside=1, extra=' rotation="30.00"')
    boxes = [box(0, RIGHT, extra=' rotation="360.0"'), turned, gone]
    [task] = load_cvat(save(tmp_path, export(meta_with(""), track(4, boxes))))
    assert task.left_out == {("turned box", "person"): 1}
    assert [b.timestamp for b in boxes_from_task(task, CLOCK, 1.0, "person", [])] == [0.0]


def test_tracks_of_other_labels_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    more = ZONE.format("rectangle") + ZONE.format("rectangle").replace("zone", "run")
    tracks = (
        walker(),
        track(1, [box(0, RIGHT), box(25, RIGHT)], label="zone"),
        track(2, [box(0, RIGHT)], label="run"),
    )
    path = save(tmp_path, export(meta_with(more), *tracks))
    [task] = load_cvat(path)
    assert choose_tracks(task, [], []) == {}
    assert declared_actions(task, "person", []) == ["wave", "zone", "run"]
    assert choose_tracks(task, [], ["zone"]) == {("box", "zone"): 2}
    assert [t.label for t in task.tracks] == ["person", "run"]
    assert declared_actions(task, "person", []) == ["wave", "run"]
    [task] = load_cvat(path)
    left_out = choose_tracks(task, ["person"], [])
    assert [t.label for t in task.tracks] == ["person"]
    assert describe_left_out(left_out) == (
        "left out, being no persons: 1 box of 'run', 2 boxes of 'zone'"
    )


@pytest.mark.parametrize("label", ["Person", "PERSON", "person"])
def test_person_in_another_case_is_no_action(tmp_path: Path, label: str) -> None:
    text = export(meta_with(""), walker()).replace("person", label)
    [task] = load_cvat(save(tmp_path, text))
    assert boxes_from_task(task, CLOCK, 1.0, "person", [])[0].actions == ("wave",)
    assert declared_actions(task, "person", []) == ["wave"]
    assert find_doubtful_labels(task, "person") == []


def test_another_label_with_actions_as_attributes_is_doubted(tmp_path: Path) -> None:
    text = export(meta_with(""), walker()).replace("person", "worker")
    [task] = load_cvat(save(tmp_path, text))
    assert find_doubtful_labels(task, "person") == ["worker"]
    assert find_doubtful_labels(task, "worker") == []


def image(frame: int, *shapes: str, name: str = "frame_{:06d}") -> str:
    head = f'  <image id="{frame}" name="{name.format(frame)}" width="640" height="360">'
    return "\n".join([head, *shapes, "  </image>"])


def still(corners: tuple[float, ...], wave: str = "true", label: str = "person") -> str:
    sides = zip(("xtl", "ytl", "xbr", "ybr"), corners, strict=True)
    written = " ".join(f'{side}="{value:.2f}"' for side, value in sides)
    inside = f'<attribute name="wave">{wave}</attribute>'
    return f'    <box label="{label}" source="manual" occluded="0" {written}>{inside}</box>'


@pytest.mark.parametrize("name", ["frame_{:06d}", "frame_{:06d}.PNG", "images/frame_{:06d}.jpg"])
def test_an_export_for_images_of_a_video_is_read(tmp_path: Path, name: str) -> None:
    images = [
        image(0, still(LEFT), still(RIGHT, "false"), name=name),
        image(25, still(RIGHT, "false"), still(LEFT), '    <tag label="rain"/>', name=name),
        image(30, still(LEFT), name=name),
        image(50, '    <polygon label="zone" points="1,1;2,2;1,2"/>', still(LEFT), name=name),
    ]
    meta = meta_with("").replace("interpolation", "annotation")
    [task] = load_cvat(save(tmp_path, export(meta, *images)))
    assert (task.video_id, task.is_of_images) == ("walk", True)
    assert task.left_out == {("tag", "rain"): 1, ("polygon", "zone"): 1}
    found = boxes_from_task(task, CLOCK, 1.0, "person", [])
    assert [b.timestamp for b in found] == [0, 0, 1, 1, 2]
    persons = {round(b.corners[0], 3): set[int]() for b in found if b.corners}
    for b in found:
        assert b.corners
        assert b.person_id is not None
        persons[round(b.corners[0], 3)].add(b.person_id)
    # who is where one was before is the same person, and never the other one
    assert sorted(len(ids) for ids in persons.values()) == [1, 1]
    assert len(set.union(*persons.values())) == 2
    assert [b.actions for b in found if b.corners and b.corners[0] < 0.2] == [("wave",)] * 3


def test_an_export_for_images_says_nothing_of_drawn_frames(tmp_path: Path) -> None:
    [task] = load_cvat(save(tmp_path, export(meta_with(""), image(0, still(LEFT)))))
    with pytest.raises(ValueError, match=r"for images does not say which boxes were drawn by hand"):
        boxes_from_task(task, CLOCK, None, "person", [])


def test_pictures_that_are_no_frames_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path, export(meta_with(""), image(3, still(LEFT), name="dog_{}.jpg")))
    with pytest.raises(ValueError, match=r"line \d+: .*found one for images .*'dog_3\.jpg'"):
        load_cvat(path)


@pytest.mark.parametrize("name", ["export/annotations.xml", "Annotations.XML"])
def test_annotations_may_lie_in_a_folder_of_the_archive(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "walk.zip", "w") as archive:
        archive.writestr(name, export(meta_with(""), walker()))
        archive.writestr("__MACOSX/export/annotations.xml", b"\0\5\26\7")
    assert len(load_cvat(tmp_path / "walk.zip")[0].tracks) == 1


def test_the_command_says_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ZONE.format("any")
    zone = track(1, [SHAPES["polygon"].format(0)], label="zone")
    ball = track(2, [box(0, RIGHT), box(25, RIGHT)], label="ball")
    text = export(meta_with(more), walker(), zone, ball)
    path = save(tmp_path, text.replace('label="person"', 'label="Person"'))
    arguments = ["cvat", str(path), "--fps", "25", "--ignore", "ball", "--output", str(tmp_path)]
    assert import_annotations.main(arguments) == 0
    said = capsys.readouterr().err
    assert "left out, being no persons: 2 boxes of 'ball', 1 polygon of 'zone'" in said
    assert load_label_map(tmp_path / "labelmap.pbtxt") == {1: "wave"}
    rows = load_annotations(tmp_path / "train.csv")
    assert rows.timestamps.tolist() == [0, 1]
