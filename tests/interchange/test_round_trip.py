"""Drafts for CVAT: what AVA's files become there, and that nothing is lost on the way there and
back.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_det.formats.annotations import (
    AvaRows,
    load_annotations,
    load_boxes,
    load_detections,
    write_annotations,
)
from ava_det.interchange.clock import FrameClock
from ava_det.interchange.cvat import load_cvat
from ava_det.interchange.cvat_actions import boxes_from_task, declared_actions
from ava_det.interchange.cvat_writer import write_cvat, write_labels
from ava_det.interchange.drafts import (
    boxes_from_annotations,
    boxes_from_detections,
    boxes_from_persons,
)
from ava_det.interchange.labeled import LabeledBox, number_actions, rows_from_labeled
from tests.support.cvat_form import attribute, dense_boxes, export, labels, task_meta, track

ACTIONS = ["stand", 'say "hi" & <wave>', "carry/hold (an object)", "a\u00e9rer"]
SIZE = (1920, 1080)
# 29.97 fps: frame 30 is at 1.001 s
CLOCK = FrameClock("walk.mp4", np.arange(301) * 1001 / 30000, SIZE)


def seen(
    boxes: list[LabeledBox],
) -> dict[tuple[float, int | None], tuple[tuple[float, ...], tuple[str, ...]]]:
    """(timestamp, person) -> box in pixels, sorted actions."""
    found = {}
    for b in boxes:
        assert b.corners is not None
        pixels = tuple(side * SIZE[i % 2] for i, side in enumerate(b.corners))
        found[b.timestamp, b.person_id] = pixels, tuple(sorted(b.actions))
    assert len(found) == len(boxes)
    return found


pixel = st.integers(0, 90_000).map(lambda hundredth: hundredth / 100)


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**32),
    corners=st.lists(st.tuples(pixel, pixel, pixel, pixel), min_size=1, max_size=4),
)
def test_cvat_to_ava_to_cvat(
    seed: int, corners: list[tuple[float, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Through files of every form, from an export as CVAT writes it to one it reads, and back to
    AVA once more.
    """
    folder = tmp_path_factory.mktemp("round")
    draw = random.Random(seed)
    tracks = []
    for number, (x, y, width, height) in enumerate(corners):
        frames = sorted(draw.sample(range(0, 121, 10), draw.randint(1, 5)))
        boxes = [
            (
                frame,
                (x + i, y, x + i + width + 1, y + height + 1),
                {a: draw.choice(["true", "false"]) for a in ACTIONS},
            )
            for i, frame in enumerate(frames)
        ]
        tracks.append(track(number, dense_boxes(boxes, 301)))
    declared = labels(*(attribute(name) for name in ACTIONS))
    (folder / "in.xml").write_text(
        export(task_meta("walk.mp4", 301, SIZE, declared), *tracks), encoding="utf-8"
    )
    [task] = load_cvat(folder / "in.xml")
    first = boxes_from_task(task, CLOCK, 1.0, "person", [])
    if not first:
        return
    label_map = number_actions(first, declared_actions(task, "person", []), None)
    assert list(label_map.values()) == ACTIONS
    write_annotations(folder / "ava.csv", rows_from_labeled(first, label_map))
    draft = boxes_from_annotations(load_annotations(folder / "ava.csv"), label_map)
    write_cvat(folder / "out.xml", "walk.mp4", CLOCK, draft, ACTIONS)
    [again] = load_cvat(folder / "out.xml")
    assert (again.video_id, again.size, again.frames) == (task.video_id, task.size, task.frames)
    before = seen(first)
    after = seen(boxes_from_task(again, CLOCK, 1.0, "person", []))
    # track numbers may change: tracks without a keyframe are not written
    ids = {
        old: new
        for new, old in enumerate(sorted({b.person_id for b in first if b.person_id is not None}))
    }
    before = {
        (timestamp, ids[person]): value
        for (timestamp, person), value in before.items()
        if person is not None
    }
    assert before.keys() == after.keys()
    for key, (pixels, actions) in before.items():
        assert after[key][0] == pytest.approx(pixels, abs=0.01)
        assert after[key][1] == actions


def test_a_draft_is_what_cvat_reads(tmp_path: Path) -> None:
    boxes = [
        LabeledBox("walk", second, (0.1, 0.1, 0.2, 0.5), ("stand", ACTIONS[1]), person, "x")
        for second, person in ((0.0, 4), (1.0, 4), (2.0, 9), (3.0, 4), (10.0, 4))
    ]
    write_cvat(tmp_path / "walk.xml", "walk.mp4", CLOCK, boxes, ACTIONS)
    root = ElementTree.parse(tmp_path / "walk.xml").getroot()
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/source") == "walk.mp4"
    assert [
        a.findtext("name") for a in root.findall("meta/task/labels/label/attributes/attribute")
    ] == ACTIONS
    first, second = root.findall("track")
    assert (first.get("id"), first.get("label")) == ("0", "person")
    shapes = [(b.get("frame"), b.get("outside"), b.get("keyframe")) for b in first.findall("box")]
    # from second 0 to 1 CVAT draws between; at second 2 this person is absent; frame 300 is the
    # video's last
    expected = [("0", "0"), ("30", "0"), ("31", "1"), ("90", "0"), ("91", "1"), ("300", "0")]
    assert shapes == [(*pair, "1") for pair in expected]
    assert [b.get("frame") for b in second.findall("box")] == ["60", "61"]
    sides = first.find("box")
    assert sides is not None
    assert [sides.get(name) for name in ("xtl", "ytl", "xbr", "ybr")] == [
        "192.00",
        "108.00",
        "384.00",
        "540.00",
    ]
    assert {a.get("name"): a.text for a in sides} == {
        name: str(name in ACTIONS[:2]).lower() for name in ACTIONS
    }


def test_labels_for_the_label_constructor(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels.json", ACTIONS)
    [label] = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))
    assert (label["name"], label["type"]) == ("person", "rectangle")
    assert [a["name"] for a in label["attributes"]] == ACTIONS
    assert {(a["input_type"], a["mutable"], a["default_value"]) for a in label["attributes"]} == {
        ("checkbox", True, "false")
    }


def test_a_persons_two_boxes_on_one_keyframe_are_two_tracks(tmp_path: Path) -> None:
    boxes = [LabeledBox("walk", 1.0, (x, 0.1, x + 0.1, 0.5), (), 4, "x") for x in (0.1, 0.6)]
    write_cvat(tmp_path / "walk.xml", "walk.mp4", CLOCK, boxes, ACTIONS)
    assert [len(t.boxes) for t in load_cvat(tmp_path / "walk.xml")[0].tracks] == [1, 1]


def test_timestamps_that_the_video_lacks_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    late = LabeledBox("walk", 902.0, (0.1, 0.1, 0.2, 0.5), (), 0, "ava.csv, line 1")
    with pytest.raises(
        ValueError,
        match=r"ava\.csv, line 1: expected a second of walk\.mp4, 0\.\.10\.01, found 902 .*start",
    ):
        write_cvat(tmp_path / "walk.xml", "walk.mp4", CLOCK, [late], ACTIONS)
    near = [
        LabeledBox("walk", second, (0.1, 0.1, 0.2, 0.5), (), 0, "ava.csv, line 2")
        for second in (1.0, 1.001)
    ]
    with pytest.raises(
        ValueError,
        match=r"line 2: expected keyframes on frames of their own, found 1 and 1\.001 on frame 30",
    ):
        write_cvat(tmp_path / "walk.xml", "walk.mp4", CLOCK, near, ACTIONS)
    assert list(tmp_path.iterdir()) == []


LABEL_MAP = {1: "stand", 3: "wave"}


def rows(tmp_path: Path, load: object, *lines: str) -> AvaRows:
    path = tmp_path / "rows.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return load(path)


def test_ground_truth_becomes_a_draft(tmp_path: Path) -> None:
    lines = [
        "v,0002,0.1,0.1,0.2,0.5,3,7",
        "v,0002,0.1,0.1,0.2,0.5,1,7",
        "v,0003,0.1,0.1,0.2,0.5,,7",
        "v,0004",
    ]
    first, second = boxes_from_annotations(rows(tmp_path, load_annotations, *lines), LABEL_MAP)
    assert (first.timestamp, first.actions, first.person_id) == (2.0, ("wave", "stand"), 7)
    assert (second.timestamp, second.actions, second.person_id) == (3.0, (), 7)
    with pytest.raises(
        ValueError, match=r"rows\.csv, line 1: expected an action id of the label map, found 2"
    ):
        boxes_from_annotations(
            rows(tmp_path, load_annotations, "v,0002,0.1,0.1,0.2,0.5,2,7"), LABEL_MAP
        )


def test_detections_keep_every_person_and_the_sure_actions(tmp_path: Path) -> None:
    lines = [
        "v,0001,0.1,0.1,0.2,0.5,1,0.9",
        "v,0001,0.1,0.1,0.2,0.5,3,0.2",
        "v,0002,0.12,0.1,0.22,0.5,1,0.3",
    ]
    lines += [
        "v,0002,0.12,0.1,0.22,0.5,3,0.5",
        "v,0002,0.7,0.1,0.8,0.5,1,0.1",
        "w,0001,0.1,0.1,0.2,0.5,1,0.6",
    ]
    boxes = boxes_from_detections(rows(tmp_path, load_detections, *lines), LABEL_MAP, 0.5)
    found = [(b.video_id, b.timestamp, b.person_id, b.actions) for b in boxes]
    one = found[0][2]
    other = found[2][2]
    assert found == [
        ("v", 1.0, one, ("stand",)),
        ("v", 2.0, one, ("wave",)),
        ("v", 2.0, other, ()),
        ("w", 1.0, 1, ("stand",)),
    ]
    assert one != other


def test_a_box_file_becomes_persons_to_be_labeled(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text("v,0001,0.1,0.1,0.2,0.5,,0.9\nv,0002,0.11,0.1,0.21,0.5,,0.95\n")
    boxes = boxes_from_persons(load_boxes(path, 0.5), str(path))
    assert [(b.timestamp, b.actions) for b in boxes] == [(1.0, ()), (2.0, ())]
    assert len({b.person_id for b in boxes}) == 1
    assert boxes[0].corners == pytest.approx((0.1, 0.1, 0.2, 0.5))


def test_an_interpolated_box_between_two_keyframes_is_not_in_a_draft(tmp_path: Path) -> None:
    """Only CVAT draws between: of a draft that CVAT has not seen, keyframes it does not list have
    nobody.
    """
    boxes = [LabeledBox("walk", s, (0.1, 0.1, 0.2, 0.5), ("stand",), 0, "x") for s in (0.0, 1.0)]
    write_cvat(tmp_path / "walk.xml", "walk.mp4", CLOCK, boxes, ACTIONS)
    [task] = load_cvat(tmp_path / "walk.xml")
    assert [b.timestamp for b in boxes_from_task(task, CLOCK, 0.5, "person", [])] == [0.0, 1.0]
