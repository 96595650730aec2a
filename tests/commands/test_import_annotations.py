"""The import tool: exports and tables to a dataset that trains, and every user's mistake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ava_det.formats.annotations import load_annotations
from ava_det.formats.label_map import load_label_map
from ava_det.interchange.cvat import load_cvat
from tests.support.cvat_form import attribute, dense_boxes, export, labels, task_meta, track
from tests.support.tool_runs import assert_mistake
from tests.support.tube_cases import make_truth, still
from tests.support.tube_files import plain_truth
from tests.support.tube_files import save as save_pickle
from tests.support.via_form import project, save

RunTool = Callable[..., tuple[int, str, str]]
SIZE = (192, 144)
LABELS = labels(attribute("wave"), attribute("stand"))
BOX = (19.2, 14.4, 96.0, 72.0)


@pytest.fixture
def import_labels(run_tool: RunTool, tmp_path: Path) -> RunTool:
    """Imports the files of a tool into the folder `mine`, unless there is another --output."""
    output = ["--output", tmp_path / "mine"]
    return lambda tool, *arguments: run_tool("import_annotations", tool, *output, *arguments)


def save_export(folder: Path, video_id: str, *keyframes: tuple[int, str]) -> Path:
    """An export of an 8 s video at 15 fps, with one person; keyframes: frame and what is done from
    there on.
    """
    path = folder / f"{video_id}.xml"
    boxes = [
        (frame, BOX, {name: str(name == action).lower() for name in ("wave", "stand")})
        for frame, action in keyframes
    ]
    text = export(
        task_meta(f"{video_id}.mp4", 120, SIZE, LABELS), track(0, dense_boxes(boxes, 120))
    )
    path.write_text(text, encoding="utf-8")
    return path


def test_cvat_exports_become_a_dataset(
    tmp_path: Path, synthetic: Path, import_labels: RunTool
) -> None:
    names = ["train_00000", "train_00001", "val_0000000"]
    paths = [
        save_export(tmp_path, name, (0, "wave"), (45, "stand"), (61, "none")) for name in names
    ]
    options = ["--videos", synthetic / "videos", "--start-second", "900"]
    code, out, error = import_labels("cvat", *paths, *options, "--val-share", "0.34")
    assert (code, error.count("error")) == (0, 0), error
    assert "train.csv: 2 videos, 10 keyframes, 10 boxes, 0 of them without an action" in out
    assert "labelmap.pbtxt: 2 actions, model.num_classes=2" in out
    assert load_label_map(tmp_path / "mine/labelmap.pbtxt") == {1: "wave", 2: "stand"}
    train, val = (load_annotations(tmp_path / "mine" / f"{name}.csv") for name in ("train", "val"))
    assert (len(train.video_names), len(val.video_names)) == (2, 1)
    assert sorted([*train.video_names, *val.video_names]) == names
    assert train.timestamps.tolist() == [900.0, 901, 902, 903, 904] * 2
    assert train.action_ids.tolist() == [1, 1, 1, 2, 2] * 2
    assert train.boxes[0].tolist() == pytest.approx([0.1, 0.1, 0.5, 0.5])
    # correcting and importing again keeps the ids, whatever the labels' order then
    again = paths[0].read_text().replace("wave", "walk")
    paths[0].write_text(again)
    mistake = "expected an action of the label map, found 'walk'"
    assert_mistake(import_labels("cvat", *paths, *options), mistake)
    # nothing was touched
    assert load_annotations(tmp_path / "mine/val.csv").video_names == val.video_names


def test_a_table_becomes_a_dataset_and_a_draft(
    tmp_path: Path, synthetic: Path, run_tool: RunTool, import_labels: RunTool
) -> None:
    table = tmp_path / "boxes.csv"
    lines = [
        "video,frame,x1,y1,x2,y2,action,person",
        "train_00000,15,19,14,96,72,wave,3",
        "train_00000,15,19,14,96,72,sit,3",
    ]
    table.write_text("\n".join([*lines, "train_00001,30,19,14,96,72,,1"]))
    videos = ["--videos", synthetic / "videos"]
    code, out, error = import_labels("csv", table, "--pixels", *videos)
    assert code == 0, error
    assert "train.csv: 2 videos, 2 keyframes, 2 boxes, 1 of them without an action" in out
    rows = (tmp_path / "mine/train.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows] == ["0001", "0001", "0002"]
    assert [row.split(",")[6:] for row in rows] == [["1", "3"], ["2", "3"], ["", "1"]]
    assert not (tmp_path / "mine/val.csv").exists()
    given = ["--annotations", tmp_path / "mine/train.csv", *videos]
    given += ["--label-map", tmp_path / "mine/labelmap.pbtxt", "--output", tmp_path / "drafts"]
    code, out, error = run_tool("export-labels", "cvat", *given)
    assert code == 0, error
    assert "2 boxes in 2 files" in out
    assert sorted(path.name for path in (tmp_path / "drafts").iterdir()) == [
        "labels.json",
        "train_00000.xml",
        "train_00001.xml",
    ]
    [task] = load_cvat(tmp_path / "drafts/train_00000.xml")
    assert task.tracks[0].boxes[0].corners == (19.0, 14.0, 96.0, 72.0)


@pytest.mark.parametrize("name", ["coco", "datumaro"])
def test_files_of_pictures_become_a_dataset(
    tmp_path: Path, synthetic: Path, import_labels: RunTool, name: str
) -> None:
    attributes = {"occluded": False, "track_id": 3, "wave": False, "stand": True}
    box = {"id": 1, "bbox": [19.2, 14.4, 76.8, 57.6], "attributes": attributes}
    person = {"id": 1, "name": "person"}
    frames = range(16, 121, 5)
    content: dict[str, object]
    if name == "coco":
        images = [{"id": i, "file_name": f"train_00000_{i:06d}.jpg"} for i in frames]
        boxes = [{**box, "image_id": i, "category_id": 1} for i in frames]
        content = {"images": images, "categories": [person], "annotations": boxes}
    else:
        boxes = [{**box, "type": "bbox", "label_id": 0}]
        items = [{"id": f"train_00000/frame_{i:06d}", "annotations": boxes} for i in frames]
        content = {"categories": {"label": {"labels": [person]}}, "items": items}
    path = save(tmp_path, content)
    rate = ["--start-second", "900", "--first-frame", "1", "--picture-fps", "15"]
    options = ["--videos", synthetic / "videos", *rate]
    code, out, error = import_labels(name, path, *options)
    assert code == 0, error
    assert "actions: 1 wave (0), 2 stand (7)" in out
    rows = load_annotations(tmp_path / "mine/train.csv")
    assert rows.timestamps.tolist() == [901.0, 902, 903, 904, 905, 906, 907]
    assert rows.person_ids.tolist() == [3] * 7
    assert rows.boxes[0].tolist() == pytest.approx([0.1, 0.1, 0.5, 0.5])
    code, _, error = import_labels(name, path, *options, "--drawn")
    assert code == 0, error
    assert "21 of 21 boxes" not in error  # 'wave', the first option, is in none
    attributes["wave"], attributes["stand"] = True, False
    save(tmp_path, content)
    other = ["--output", tmp_path / "other"]
    code, _, error = import_labels(name, path, *options, "--drawn", *other)
    assert code == 0, error
    assert "project.json: 21 of 21 boxes say only 'wave'" in error
    result = import_labels(name, path, "--fps", "15", *rate)
    assert_mistake(result, "--picture-fps: expected --videos too")


def test_a_value_that_cvat_sets_by_itself_is_doubted(
    tmp_path: Path, synthetic: Path, import_labels: RunTool
) -> None:
    """8 s at 2 keyframes a second, all of which say what the select begins with."""
    pose = labels(attribute("pose", "select", "stand\nsit"), attribute("wave"))
    said = {"pose": "stand", "wave": "false"}
    boxes = dense_boxes([(0, BOX, said), (119, BOX, said)], 120)
    path = tmp_path / "export.xml"
    path.write_text(export(task_meta("train_00000.mp4", 120, SIZE, pose), track(0, boxes)))
    options = ["--videos", synthetic / "videos", "--every", "0.5"]
    code, _, error = import_labels("cvat", path, *options)
    assert code == 0, error
    assert "export.xml: 16 of 16 boxes say only 'stand'" in error


def test_tubes_become_a_dataset(tmp_path: Path, synthetic: Path, import_labels: RunTool) -> None:
    """Of the class folder's video that is there; the other one is said to be missing."""
    box = (19.2, 14.4, 96.0, 72.0)
    tubes = [still("run/train_00000", 1, 16, 31, box), still("run/elsewhere", 0, 1, 9, box)]
    truth = replace(
        make_truth(tubes), resolution=dict.fromkeys([t.video for t in tubes], (144, 192))
    )
    path = save_pickle(tmp_path / "own-GT.pkl", plain_truth(truth))
    options = ["--videos", synthetic / "videos", "--start-second", "900", "--every", "0.5"]
    code, out, error = import_labels("gttubes", path, *options)
    assert code == 0, error
    assert "actions: 1 jump (0), 2 wave (5)" in out
    assert "own-GT.pkl: 1 video missing, such as elsewhere" in error
    assert "another number of frames in 1 video" in error  # 120, not 60
    rows = load_annotations(tmp_path / "mine/train.csv")
    assert rows.timestamps.tolist() == [901.0, 901.5, 902.0, 902.5, 903.0]
    assert rows.action_ids.tolist() == [2] * 5
    assert rows.boxes[0].tolist() == pytest.approx([0.1, 0.1, 0.5, 0.5], abs=1e-6)


def test_every_mistake_is_a_sentence(
    tmp_path: Path, synthetic: Path, run_tool: RunTool, import_labels: RunTool
) -> None:
    path = save_export(tmp_path, "train_00000", (0, "wave"), (45, "stand"))
    other = save_export(tmp_path, "elsewhere", (0, "wave"))
    empty = tmp_path / "empty.xml"
    empty.write_text(export(task_meta("train_00000.mp4", 120, SIZE, LABELS)))
    far = tmp_path / "far.csv"
    far.write_text("video,frame,x1,y1,x2,y2,action\ntrain_00000,1e15,0.1,0.1,0.5,0.9,wave\n")
    videos = ["--videos", synthetic / "videos"]
    cases = [
        (
            ["cvat", path],
            "train_00000.xml: expected the videos (--videos) or their frame rate (--fps)",
        ),
        (["cvat", other, *videos], "elsewhere.xml: expected a video elsewhere in"),
        (["cvat", path, "--videos", tmp_path / "none"], "no such folder of videos"),
        (["cvat", path, path, *videos], "expected each keyframe in one export"),
        (["cvat", empty, *videos], "expected persons on the keyframes, found none"),
        (
            ["cvat", path, *videos, "--val-share", "0.5"],
            "expected at least two videos to split, found 1",
        ),
        (
            ["cvat", path, *videos, "--val-share", "2"],
            "expected a fraction 0..1, received '2'",
        ),
        (
            ["cvat", path, *videos, "--every", "0"],
            "expected a positive number of seconds, 0.001 or more",
        ),
        (["cvat", path, "--fps", "fast"], "argument --fps"),
        (
            ["cvat", path, "--fps", "15", "--start-second", "nan"],
            "expected a number of seconds, received",
        ),
        (
            ["csv", far, "--fps", "25"],
            "line 2: expected frame numbers below 10000000, found 1000000000000000",
        ),
        (["cvat", path, "--fps", "15", *videos], "not allowed with argument"),
        (
            ["cvat", path, *videos, "--label-map", tmp_path / "none.pbtxt"],
            "none.pbtxt: no such file",
        ),
    ]
    for arguments, expected in cases:
        assert_mistake(import_labels(*arguments), expected)
    assert_mistake(run_tool("import_annotations"), "the following arguments are required")
    assert not (tmp_path / "mine").exists() or not list((tmp_path / "mine").iterdir())


HEADER = "video,second,x1,y1,x2,y2,action,person"


def save_table(folder: Path, name: str, *rows: str) -> Path:
    path = folder / name
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def row(video: str, second: int, action: str = "walk", person: int = 0) -> str:
    return f"{video},{second},0.1,0.1,0.4,0.9,{action},{person}"


def videos_of(path: Path) -> list[str]:
    return sorted(load_annotations(path).video_names)


def test_a_second_import_adds(tmp_path: Path, import_labels: RunTool) -> None:
    first = save_table(tmp_path, "first.csv", *(row(name, 2) for name in "abcd"))
    assert import_labels("csv", first, "--val-share", "0.5")[0] == 0
    train, val = (videos_of(tmp_path / "mine" / name) for name in ("train.csv", "val.csv"))
    second = save_table(tmp_path, "second.csv", row("e", 2), row(val[0], 2, person=7))
    code, out, error = import_labels("csv", second)
    assert code == 0, error
    assert "train.csv: 1 video, 1 keyframe, 1 box," in out
    assert "; with 2 videos of earlier imports it has 3 videos, 3 keyframes, 3 boxes" in out
    assert videos_of(tmp_path / "mine/train.csv") == sorted([*train, "e"])
    after = load_annotations(tmp_path / "mine/val.csv")  # a video stays in its split, with new rows
    assert sorted(after.video_names) == val
    assert sorted(after.person_ids.tolist()) == [0, 7]


def test_an_import_loses_nothing_unseen(tmp_path: Path, import_labels: RunTool) -> None:
    first = save_table(tmp_path, "first.csv", row("a", 2), row("a", 3), row("b", 2, "talk"))
    assert import_labels("csv", first)[0] == 0
    before = (tmp_path / "mine/train.csv").read_bytes()
    part = save_table(tmp_path, "part.csv", row("a", 3), row("a", 4))
    lost = "the keyframe a,0002 of an earlier import would be lost"
    assert_mistake(import_labels("csv", part), lost)
    other = tmp_path / "other.pbtxt"
    other.write_text('item { name: "walk" id: 2 }')
    one = save_table(tmp_path, "one.csv", row("c", 2))
    unknown = "the label map has no id 1, which this row of an earlier import has"
    assert_mistake(import_labels("csv", one, "--label-map", other), unknown)
    (tmp_path / "mine/labelmap.pbtxt").unlink()
    unnamed = "rows of an earlier import without their labelmap.pbtxt"
    assert_mistake(import_labels("csv", one), unnamed)
    assert (tmp_path / "mine/train.csv").read_bytes() == before


def test_persons_of_several_tables_are_several(tmp_path: Path, import_labels: RunTool) -> None:
    tables = [save_table(tmp_path, f"{second}.csv", row("a", second)) for second in (2, 3)]
    assert import_labels("csv", *tables)[0] == 0
    assert load_annotations(tmp_path / "mine/train.csv").person_ids.tolist() == [0, 1]
    again = import_labels("csv", tables[0], tables[0], "--output", tmp_path / "again")
    assert_mistake(again, "expected each keyframe in one export, found a 2 in")


def test_a_new_split_takes_videos_from_the_old_one(tmp_path: Path, import_labels: RunTool) -> None:
    table = save_table(tmp_path, "all.csv", *(row(name, 2) for name in "ab"))
    assert import_labels("csv", table, "--val-share", "1")[0] == 0
    assert not (tmp_path / "mine/train.csv").exists()
    code, out, _ = import_labels("csv", table, "--val-share", "0.5")
    assert code == 0
    names = [*videos_of(tmp_path / "mine/train.csv"), *videos_of(tmp_path / "mine/val.csv")]
    assert sorted(names) == ["a", "b"]
    assert "actions: 1 walk (2)" in out


def test_via_projects_become_a_dataset(
    tmp_path: Path, synthetic: Path, import_labels: RunTool
) -> None:
    box = (2, 19.2, 14.4, 76.8, 57.6)
    regions = [(1, [float(s)], box, {"1": "0", "2": "5"}) for s in range(7)]
    regions += [(2, [float(s)], box, {"1": "0", "2": "5"}) for s in range(6)]
    files = [("train_00000.mp4", 4), ("train_00001.mp4", 4)]
    path = save(tmp_path, project(files, [*regions, (1, [1.0, 2.0], (), {"1": "1"})]))
    options = ["--videos", synthetic / "videos", "--start-second", "900"]
    code, out, error = import_labels("via", path, *options)
    assert code == 0, error
    assert "train.csv: 2 videos, 13 keyframes, 13 boxes" in out
    assert "actions: 1 stand (13), 2 walk (0), 3 read (0)" in out
    assert "left out, being no person and no action: time segment (1)" in error
    assert "13 of 13 boxes say only 'stand'" in error
    rows = load_annotations(tmp_path / "mine/train.csv")
    assert rows.timestamps.tolist() == [*range(900, 907), *range(900, 906)]
    assert rows.boxes[0].tolist() == pytest.approx([0.1, 0.1, 0.5, 0.5])
    assert set(rows.person_ids.tolist()) == {5.0}
