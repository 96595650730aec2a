"""CVAT's exports: what a task, a job and a project mean, which frames become keyframes, and what is
refused.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from ava_det.interchange.clock import FrameClock, constant_clock
from ava_det.interchange.cvat import load_cvat
from ava_det.interchange.cvat_actions import boxes_from_task, declared_actions, default_actions
from ava_det.interchange.cvat_task import CvatTask
from tests.support.cvat_form import attribute, box, dense_boxes, export, labels, task_meta, track

SIZE = (640, 360)
POSE = attribute("pose", "select", "__undefined__\nstand\nsit")
LABELS = labels(attribute("wave"), POSE, attribute("age", "number", "0\n99\n1"))
LEFT = (64.0, 36.0, 128.0, 180.0)
RIGHT = (320.0, 36.0, 384.0, 180.0)
CLOCK = FrameClock("walk.mp4", np.arange(300) / 25, SIZE)


def save(folder: Path, text: str, name: str = "annotations.xml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def load_one(folder: Path, *tracks: str, meta: str | None = None) -> CvatTask:
    [task] = load_cvat(
        save(folder, export(meta or task_meta("walk.mp4", 300, SIZE, LABELS), *tracks))
    )
    return task


def moving() -> str:
    keyframes = [
        (0, LEFT, {"wave": "true", "pose": "stand"}),
        (100, RIGHT, {"wave": "false", "pose": "sit"}),
    ]
    return track(3, dense_boxes(keyframes, 300))


def test_every_second_is_a_keyframe_until_the_person_is_gone(tmp_path: Path) -> None:
    task = load_one(tmp_path, moving())
    assert (task.video_id, task.size, task.frames) == ("walk", SIZE, range(300))
    found = boxes_from_task(task, CLOCK, 1.0, "person", [])
    assert [b.timestamp for b in found] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert found[1].corners == pytest.approx((0.2, 0.1, 0.3, 0.5))  # a quarter of the way
    assert found[0].actions == found[3].actions == ("wave", "stand")
    assert found[4].actions == ("sit",)
    assert {b.person_id for b in found} == {3}
    assert [b.timestamp for b in boxes_from_task(task, CLOCK, 0.5, "person", [])] == [
        i / 2 for i in range(9)
    ]


def test_frames_drawn_by_hand_alone_may_be_the_keyframes(tmp_path: Path) -> None:
    other = track(4, [box(37, LEFT, {"pose": "sit"})])
    found = boxes_from_task(load_one(tmp_path, moving(), other), CLOCK, None, "person", [])
    # at frame 37 the other person's box is an interpolated one, and belongs there
    assert [(b.timestamp, b.person_id) for b in found] == [(0.0, 3), (1.48, 3), (4.0, 3), (1.48, 4)]


def test_time_is_the_videos_own(tmp_path: Path) -> None:
    # twice the rate in the first second
    uneven = np.concatenate((np.arange(50) / 50, 1 + np.arange(250) / 10))
    clock = FrameClock("walk.mp4", 900 + uneven, SIZE)
    found = boxes_from_task(load_one(tmp_path, moving()), clock, 1.0, "person", [])
    assert [b.timestamp for b in found] == [900.0, 901.0, 902.0, 903.0, 904.0, 905.0, 906.0]
    assert found[1].corners == pytest.approx(
        (0.1 + 0.4 * 50 / 100, 0.1, 0.2 + 0.4 * 50 / 100, 0.5), abs=1e-4
    )


def test_start_stop_and_step_of_a_task(tmp_path: Path) -> None:
    meta = task_meta("walk.mp4", 300, SIZE, LABELS, start=20, stop=120, step=10)
    task = load_one(
        tmp_path, track(0, dense_boxes([(20, LEFT, {}), (120, LEFT, {})], 121, step=10)), meta=meta
    )
    assert task.frames == range(20, 121, 10)
    found = boxes_from_task(task, CLOCK, 1.0, "person", [])
    # whole seconds are at frames 25, 50, 75, 100, 125: where the task lacks one, its nearest frame
    # at its own time
    assert [b.timestamp for b in found] == [0.8, 2.0, 2.8, 4.0, 4.8]


@pytest.mark.parametrize("fps", [10.0, 24000 / 1001, 29.97])
def test_a_constant_rate_stands_in_for_the_video(tmp_path: Path, fps: float) -> None:
    task = load_one(tmp_path, moving())
    found = boxes_from_task(
        task, constant_clock("walk", fps, task.last_frame + 1, 0.0), 1.0, "person", []
    )
    frames = [round(b.timestamp * fps) for b in found]
    assert [b.timestamp for b in found] == [float(second) for second in range(int(100 / fps) + 1)]
    expected = [(64 + 256 * frame / 100) / 640 for frame in frames]
    assert [b.corners[0] for b in found if b.corners] == pytest.approx(expected, abs=1e-4)


def test_labels_attributes_and_values_that_say_an_action(tmp_path: Path) -> None:
    label = (
        "\n        <label><name>run</name><type>rectangle</type><attributes></attributes></label>"
    )
    meta = task_meta("walk.mp4", 300, SIZE, labels(attribute("wave"), POSE, more=label))
    plain = track(
        0, [box(0, LEFT, {"wave": "true", "pose": "__undefined__"}), box(25, LEFT, {"pose": ""})]
    )
    undeclared = track(2, [box(0, RIGHT, {"jump": "True", "mood": "happy", "idle": "false"})])
    task = load_one(tmp_path, plain, track(1, [box(0, RIGHT)], label="run"), undeclared, meta=meta)
    first, unlabeled, runner, last = boxes_from_task(task, CLOCK, 1.0, "person", [])
    assert (first.actions, unlabeled.actions, runner.actions) == (("wave",), (), ("run",))
    assert last.actions == ("jump", "happy")
    ignored = boxes_from_task(task, CLOCK, 1.0, "person", ["mood", "run", "wave"])
    assert [b.actions for b in ignored] == [(), (), (), ("jump",)]
    assert declared_actions(task, "person", ["sit"]) == ["wave", "stand", "run"]
    assert boxes_from_task(task, CLOCK, 1.0, "run", [])[2].actions == ()


def test_a_value_of_two_attributes_carries_the_attributes_name(tmp_path: Path) -> None:
    hands = [
        attribute(f"{side} hand", "select", "none\nwave\n" + more)
        for side, more in (("left", "rest"), ("right", "point"))
    ]
    meta = task_meta("walk.mp4", 300, SIZE, labels(*hands))
    done = [
        box(0, LEFT, {"left hand": "wave", "right hand": "point"}),
        box(25, LEFT, {"left hand": "rest", "right hand": "wave"}),
    ]
    task = load_one(tmp_path, track(0, done), meta=meta)
    first, second = boxes_from_task(task, CLOCK, 1.0, "person", [])
    assert (first.actions, second.actions) == (
        ("left hand/wave", "point"),
        ("rest", "right hand/wave"),
    )
    declared = ["left hand/wave", "rest", "right hand/wave", "point"]
    assert declared_actions(task, "person", ["none"]) == declared
    # where one attribute is left out, the other's values need no more than their names
    first, second = boxes_from_task(task, CLOCK, 1.0, "person", ["left hand"])
    assert (first.actions, second.actions) == (("point",), ("wave",))
    assert declared_actions(task, "person", ["left hand"]) == ["none", "wave", "point"]


def test_what_a_box_says_that_nobody_touched(tmp_path: Path) -> None:
    """Values that CVAT sets by itself; attributes that begin with nothing chosen say nothing."""
    ticked = attribute("wave").replace("<default_value>false", "<default_value>true")
    hands = attribute("hands", "radio", "point\nclap")
    meta = task_meta("walk.mp4", 300, SIZE, labels(ticked, POSE, hands, attribute("jump")))
    task = load_one(tmp_path, moving(), meta=meta)
    assert default_actions(task, "person", []) == ["wave", "point"]
    assert default_actions(task, "person", ["wave"]) == ["point"]
    assert default_actions(task, "nobody", []) == ["wave", "point"]
    assert default_actions(load_one(tmp_path, moving()), "person", []) == []


def test_numbers_are_no_actions(tmp_path: Path) -> None:
    task = load_one(tmp_path, track(0, [box(0, LEFT, {"age": "7", "wave": "true"})]))
    assert boxes_from_task(task, CLOCK, 1.0, "person", [])[0].actions == ("wave",)
    assert declared_actions(task, "person", []) == ["wave", "stand", "sit"]


def test_a_rescaled_copy_of_the_video_serves_as_well(tmp_path: Path) -> None:
    half = FrameClock("walk.mp4", CLOCK.seconds, (320, 180))
    found = boxes_from_task(load_one(tmp_path, moving()), half, 1.0, "person", [])
    assert found[0].corners == pytest.approx((0.1, 0.1, 0.2, 0.5))


def test_a_zip_and_a_job_are_read_like_a_task(tmp_path: Path) -> None:
    job = (
        task_meta("walk.mp4", 300, SIZE, LABELS)
        .replace("task>", "job>")
        .replace("<source>walk.mp4</source>", "")
    )
    with zipfile.ZipFile(tmp_path / "walk.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", export(job, moving()))
    [task] = load_cvat(tmp_path / "walk.zip")
    # a job does not name its video
    assert (task.video_id, len(task.tracks[0].boxes)) == ("walk", 101)


def test_the_tasks_of_a_project_have_frames_that_go_on_from_one_to_the_next(tmp_path: Path) -> None:
    parts = [
        task_meta("a.mp4", 50, SIZE, "", task_id=11, subset="Train"),
        task_meta("b.mp4", 90, (320, 240), "", task_id=12, subset="Train", start=10, step=2),
        task_meta("c.mp4", 60, SIZE, "", task_id=13, subset="Validation"),
    ]
    meta = (
        "    <project><id>1</id><name>p</name><tasks>\n"
        + "\n".join(parts)
        + f"</tasks><subsets></subsets><labels>{LABELS}</labels></project>"
    )
    offsets = {11: 0, 12: 50, 13: 0}
    tracks = [
        track(
            n, [box(20 + offset, LEFT, {"wave": "true"})], more=f' task_id="{task_id}" subset="s"'
        )
        for n, (task_id, offset) in enumerate(offsets.items())
    ]
    tasks = load_cvat(save(tmp_path, export(meta, *tracks)))
    assert [(task.video_id, task.tracks[0].boxes[0].frame) for task in tasks] == [
        ("a", 20),
        ("b", 20),
        ("c", 20),
    ]
    assert tasks[1].size == (320, 240)
    assert boxes_from_task(tasks[2], CLOCK, None, "person", [])[0].actions == ("wave",)


BOX = box(0, LEFT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "line 1: expected well-formed XML (no element found)"),
        ("<annotations><track>", "expected well-formed XML"),
        ("<html></html>", "line 1: expected <annotations>, found <html>"),
        ("<annotations></annotations>", "found no <meta>"),
        (
            "<annotations><meta></meta></annotations>",
            "line 1: expected a task, a job or a project in <meta>",
        ),
        (
            '<annotations><image id="0" name="a.jpg"/></annotations>',
            "'CVAT for video 1.1', found one for images",
        ),
        (
            export(task_meta("a.mp4", 9, SIZE, LABELS), version="2.0"),
            "expected version 1.1 of the format, found 2.0",
        ),
        (
            export("<task/>", track(0, [BOX.replace('frame="0"', 'frame="x"')])),
            "a whole number as frame of <box>",
        ),
        (
            export("<task/>", track(0, [BOX.replace('xtl="64.00"', "")])),
            "track 0: expected numbers as xtl",
        ),
        (
            export("<task/>", track(0, [BOX.replace("64.00", "left")])),
            "track 0: expected numbers as xtl",
        ),
        (
            export("<task/>", track(5, [box(0, RIGHT[2:] + LEFT[2:])])),
            "track 5: expected a box with xtl < xbr",
        ),
        (
            export("<task/>", track(5, [BOX, BOX])),
            "track 5: expected one box on a frame, found two on frame 0",
        ),
        (
            export("<task/>", track(5, [box(0, LEFT, extra=' rotation="a bit"')])),
            "track 5: expected a number as rotation",
        ),
        (
            export(task_meta("a.mp4", 90, SIZE, LABELS, start=5, step=5), track(2, [box(7, LEFT)])),
            "track 2: expected frames 5..89, every 5th of the task, found 7",
        ),
        (
            export("<project><tasks><task/></tasks></project>", track(2, [BOX])),
            "expected start_frame and stop_frame of a project's task",
        ),
        (
            export("<project><tasks/></project>", track(2, [BOX], more=' task_id="4"')),
            "expected a track of one of the tasks in <meta>, found task_id '4'",
        ),
    ],
)
def test_any_other_file_is_one_sentence(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r"annotations\.xml") as refused:
        load_cvat(save(tmp_path, text))
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_line_of_a_mistake_is_named(tmp_path: Path) -> None:
    text = export("<task/>", track(0, [box(0, LEFT), box(1, LEFT), box(1, LEFT)]))
    line = (
        next(n for n, content in enumerate(text.splitlines(), 1) if '<box frame="1"' in content) + 2
    )
    with pytest.raises(ValueError, match=rf"line {line}: track 0"):
        load_cvat(save(tmp_path, text))


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE annotations [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE annotations [<!ENTITY secret SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE annotations SYSTEM "http://localhost/annotations.dtd">',
    ],
)
def test_a_document_type_is_refused(tmp_path: Path, declaration: str) -> None:
    with pytest.raises(ValueError, match=r"line 1: expected annotations without a document type"):
        load_cvat(save(tmp_path, f"{declaration}\n<annotations>&b;&secret;</annotations>"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_missing_file_an_archive_of_something_else_and_a_damaged_one(
    tmp_path: Path, method: int
) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.xml: no such file"):
        load_cvat(tmp_path / "none.xml")
    with zipfile.ZipFile(tmp_path / "coco.zip", "w") as archive:
        archive.writestr("instances.json", "{}")
    with pytest.raises(ValueError, match=r"coco\.zip: expected annotations\.xml in the archive"):
        load_cvat(tmp_path / "coco.zip")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", method) as archive:
        archive.writestr("annotations.xml", export(task_meta("a.mp4", 9, SIZE, LABELS), moving()))
    data = bytearray((tmp_path / "bad.zip").read_bytes())
    data[len(data) // 3] ^= 0xFF
    (tmp_path / "bad.zip").write_bytes(data)
    with pytest.raises(ValueError, match=r"bad\.zip"):
        load_cvat(tmp_path / "bad.zip")


def test_a_task_that_does_not_fit_the_video(tmp_path: Path) -> None:
    task = load_one(tmp_path, moving())
    with pytest.raises(ValueError, match=r"walk\.mp4 has the frames 0\.\.99, found frame 299"):
        boxes_from_task(task, FrameClock("walk.mp4", np.arange(100) / 25, SIZE), 1.0, "person", [])
    turned = FrameClock("walk.mp4", CLOCK.seconds, (360, 640))
    with pytest.raises(
        ValueError,
        match=r"a video of the shape that was annotated, 640x360, found walk\.mp4 of 360x640",
    ):
        boxes_from_task(task, turned, 1.0, "person", [])
    task.size = None
    with pytest.raises(ValueError, match="expected original_size in its <meta>, or the videos"):
        boxes_from_task(task, constant_clock("walk", 25, 300, 0), 1.0, "person", [])


def test_files_of_other_tools_are_named(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    for text, words in (
        ('{"images": [{"file_name": "a.jpg"}]}', "the file is a COCO file, which is not read here"),
        ('{"project": {}, "attribute": {}, "metadata": {}}', "the file is a VIA 3 project"),
    ):
        path.write_text(text)
        with pytest.raises(
            ValueError, match=r"export\.json: expected an export of CVAT"
        ) as refused:
            load_cvat(path)
        assert words in str(refused.value)
