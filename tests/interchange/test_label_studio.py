"""Label Studio: tracks in percent between keyframes, choices, persons, and broken exports."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ava_det.interchange.clock import FrameClock
from ava_det.interchange.label_studio import load_label_studio
from ava_det.interchange.label_studio_actions import boxes_from_studio
from ava_det.interchange.labeled import LabeledBox

CLOCK = FrameClock("walk.mp4", np.arange(300) / 30, (640, 360))
SIDES = {"rotation": 0, "y": 10.0, "width": 12.5, "height": 60.0}
TRACK: dict[str, Any] = {
    "id": "p1",
    "type": "videorectangle",
    "from_name": "box",
    "to_name": "video",
    "value": {
        "framesCount": 300,
        "duration": 10.0,
        "labels": ["person"],
        "sequence": [
            {"frame": 1, "time": 0.0333, "enabled": True, "x": 10.0, **SIDES},
            {"frame": 91, "time": 3.0333, "enabled": False, "x": 40.0, **SIDES},
        ],
    },
}
CHOICES = {"id": "p1", "type": "choices", "value": {"choices": ["stand", "read"]}}
SPAN = {
    "id": "t1",
    "type": "timelinelabels",
    "value": {"ranges": [{"start": 1, "end": 40}], "timelinelabels": ["wave"]},
}


def export(*results: object, **annotation: object) -> list[dict[str, Any]]:
    one = {"id": 5, "was_cancelled": False, "result": list(results), **annotation}
    data = {"video": "/data/upload/1/ab12cd34-walk.mp4"}
    return [copy.deepcopy({"id": 1, "data": data, "annotations": [one]})]


def read(
    folder: Path, content: object, every: float | None = 1.0, clock: FrameClock = CLOCK
) -> list[LabeledBox]:
    (folder / "export.json").write_text(json.dumps(content))
    [task] = load_label_studio(folder / "export.json")
    return boxes_from_studio(task, clock, every, "person", ())


def test_a_track_moves_on_a_straight_line_until_it_is_away(tmp_path: Path) -> None:
    boxes = read(tmp_path, export(TRACK, CHOICES, SPAN))
    assert [box.timestamp for box in boxes] == [0.0, 1.0, 2.0, 3.0]
    assert {box.video_id for box in boxes} == {"walk"}
    assert boxes[0].corners == pytest.approx((0.1, 0.1, 0.225, 0.7))
    assert boxes[1].corners == pytest.approx((0.2, 0.1, 0.325, 0.7))
    assert boxes[1].actions == ("stand", "read", "wave")
    assert boxes[2].actions == ("stand", "read")
    drawn = read(tmp_path, export(TRACK), every=None)
    assert [box.timestamp for box in drawn] == [0.0, 3.0]


def test_a_last_box_that_is_enabled_stays_to_the_end(tmp_path: Path) -> None:
    track = copy.deepcopy(TRACK)
    track["value"]["sequence"][1]["enabled"] = True
    assert [box.timestamp for box in read(tmp_path, export(track))] == [*map(float, range(10))]


def test_frames_of_a_wrong_rate_are_found_by_their_time(tmp_path: Path) -> None:
    """The video has 30 frames a second, the labeling configuration said 24."""
    track = copy.deepcopy(TRACK)
    track["value"]["framesCount"] = 240
    track["value"]["sequence"][1]["frame"] = 73  # 3 s
    boxes = read(tmp_path, export(track))
    assert [box.timestamp for box in boxes] == [0.0, 1.0, 2.0, 3.0]
    assert boxes[1].corners == pytest.approx((0.2, 0.1, 0.325, 0.7))


def test_cut_tracks_of_a_named_person_are_one_person(tmp_path: Path) -> None:
    tracks = []
    for number, name in enumerate(["4", "4", ""]):
        results = copy.deepcopy([TRACK, CHOICES])
        text = {"type": "textarea", "from_name": "person", "value": {"text": [name]}}
        tracks += [{**result, "id": f"p{number}"} for result in [*results, text]]
    boxes = read(tmp_path, export(*tracks))
    assert sorted({box.person_id for box in boxes if box.person_id is not None}) == [4, 5]
    assert len(boxes) == 12


def test_the_newest_annotation_that_was_not_cancelled_is_taken(tmp_path: Path) -> None:
    content = export(TRACK, updated_at="2026-01-01T00:00:00Z")
    newer = copy.deepcopy(content[0]["annotations"][0])
    newer["result"].append(CHOICES)
    newer["updated_at"] = "2026-01-02T00:00:00Z"
    cancelled = {"was_cancelled": True, "result": [], "updated_at": "2026-01-03T00:00:00Z"}
    content[0]["annotations"] = [newer, *content[0]["annotations"], cancelled]
    assert read(tmp_path, content)[0].actions == ("stand", "read")


def test_what_was_not_understood_is_counted(tmp_path: Path) -> None:
    turned = copy.deepcopy(TRACK)
    turned["value"]["sequence"][0]["rotation"] = 30
    whole = {"type": "choices", "value": {"choices": ["indoors"]}}
    path = tmp_path / "export.json"
    path.write_text(json.dumps(export(turned, whole, {"type": "brushlabels", "value": {}})))
    [task] = load_label_studio(path)
    assert task.left_out == {
        "turned box": 1,
        "result of type 'choices' of no box": 1,
        "result of type 'brushlabels' of no box": 1,
    }


Change = Callable[[dict[str, Any]], object]


def of_track(change: Callable[[dict[str, Any]], object]) -> Change:
    return lambda task: change(task["annotations"][0]["result"][0])


def of_box(**changed: object) -> Change:
    def change(task: dict[str, Any]) -> None:
        box = task["annotations"][0]["result"][0]["value"]["sequence"][1]
        box.update(changed)
        for name in [name for name, value in changed.items() if value is None]:
            del box[name]

    return change


BROKEN: list[tuple[Change, str]] = [
    (lambda task: task.pop("annotations"), "with 'annotations', found none.*JSON-MIN"),
    (lambda task: task.pop("data"), r"\[0\]: expected the key 'data'"),
    (lambda task: task["data"].pop("video"), r"data: expected the key 'video', found none"),
    (lambda task: task["data"].update(video=True), r"data.video: expected a text"),
    (lambda task: task.update(annotations={}), r"annotations: expected a list, found an object"),
    (lambda task: task["annotations"][0].pop("result"), r"expected the key 'result'"),
    (of_track(lambda track: track.pop("type")), r"result\[0\]: expected the key 'type'"),
    (of_track(lambda track: track.pop("id")), r"result\[0\]: expected the key 'id'"),
    (of_track(lambda track: track.pop("value")), r"result\[0\]: expected the key 'value'"),
    (of_track(lambda track: track["value"].pop("sequence")), r"the key 'sequence', found none"),
    (of_track(lambda track: track["value"].update(framesCount="x")), r'a number, found "x"'),
    (of_track(lambda track: track["value"].update(labels="person")), r'a list, found "person"'),
    (of_box(frame=0), r"sequence\[1\]\.frame: expected a whole number from 1, found 0"),
    (of_box(frame=1), r"expected one box on a frame, found two on 1"),
    (of_box(x=None), r"sequence\[1\]: expected the key 'x'"),
    (of_box(x=float("inf")), r"\.x: expected a finite number"),
    (of_box(width=0), r"expected a box with a width and a height"),
    (of_box(x=900), r"expected a box within the frame of 100x100"),
]


@pytest.mark.parametrize(("change", "sentence"), BROKEN)
def test_a_broken_export_is_refused_with_its_place(
    tmp_path: Path, change: Change, sentence: str
) -> None:
    content = export(TRACK, CHOICES)
    change(content[0])
    with pytest.raises(ValueError, match=sentence) as raised:
        read(tmp_path, content)
    assert str(raised.value).startswith(str(tmp_path / "export.json"))
    assert "\n" not in str(raised.value)
