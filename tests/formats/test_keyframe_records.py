"""JSON lines that are read as they were written, and the sentences for lines that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ava_det.formats.keyframe_records import make_records, read_records
from ava_det.formats.result_files import DetectionsJson
from ava_det.structures import Detections, Keyframe

NAMES = {1: "sit", 2: "stand ü"}


def detect(timestamp: float, tracks: list[int] | None) -> Detections:
    boxes = torch.tensor([[0.1, 0.2, 1 / 3, 0.9], [0.5, 0.5, 1, 1]])
    keyframe = Keyframe("v", timestamp, boxes, None, torch.tensor([0.9, 0.8]), (640, 360))
    scores = torch.tensor([[0.2, 0.7], [0.6, 1 / 3]])
    ids = None if tracks is None else torch.tensor(tracks)
    return Detections(boxes, scores, keyframe.person_scores, ids, keyframe)


def test_a_file_says_what_the_detections_say(tmp_path: Path) -> None:
    found = [detect(900.5, [1, 2]), detect(901.5, None)]
    thresholds = {1: 0.5, 2: 0.3}
    with DetectionsJson(tmp_path / "d.jsonl", NAMES, thresholds, 900) as file:
        for one in found:
            file.write(one)
    records = list(read_records(tmp_path / "d.jsonl"))
    assert records == list(make_records(found, NAMES, thresholds, 900))
    assert [one.time for one in records] == [0.5, 1.5]
    first, second = records[0].persons
    assert (first.track_id, first.box) == (1, (0.1, 0.2, 0.333333, 0.9))
    assert [(one.name, one.score) for one in first.actions] == [("stand ü", 0.7)]
    assert [one.action_id for one in second.actions] == [1, 2]
    assert records[1].persons[0].track_id is None


def write(path: Path, **changed: Any) -> Path:
    """A keyframe, with these fields changed."""
    person = {"track_id": 1, "box_fraction": [0, 0, 1, 1], "score": 0.9, "actions": []}
    person |= changed.pop("person", {})
    record = {"video": "v", "time": 1.0, "timestamp": 1.0, "width": 64, "height": 48}
    record |= {"persons": [person], **changed}
    for name in [name for name, value in record.items() if value is ...]:
        del record[name]
    path.write_text("\n" + json.dumps(record) + "\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"time": "1"}, "line 2: the keyframe: expected time, a number, received '1'"),
        ({"time": float("nan")}, "expected time, a number, received nan"),
        ({"video": ...}, "expected video, the name of the video, which is missing"),
        ({"width": True}, "expected width"),
        ({"persons": [3]}, "expected an object for person 1"),
        ({"person": {"box_fraction": [0, 0, 1]}}, "person 1: expected box_fraction, x1, y1"),
        ({"person": {"track_id": "a"}}, "expected track_id, a number from 1, or null"),
        ({"person": {"actions": [{"id": 1, "name": "sit"}]}}, "an action of person 1.*score"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        list(read_records(write(tmp_path / "d.jsonl", **changed)))


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl")
    for text, words in (
        (path.read_text() * 2, r"line 4: expected a time after 1 of 'v', received 1"),
        ("video,900,0\n", r"line 1: expected a JSON object .* received 'video,900,0'"),
        ("[1]\n", "line 1: expected an object for the keyframe"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            list(read_records(path))
    with pytest.raises(FileNotFoundError, match="no such file"):
        list(read_records(tmp_path / "none.jsonl"))
    path.write_bytes(b"\xff\xfe{\x00")
    with pytest.raises(ValueError, match="line 1: expected a JSON object"):
        list(read_records(path))
