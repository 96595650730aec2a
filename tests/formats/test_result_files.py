"""What the demo writes of its keyframes: JSON lines and CSV of known detections, whole or not at
all.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ava_det.formats import result_files
from ava_det.formats.annotations import load_detections
from ava_det.formats.result_files import DetectionsCsv, DetectionsJson
from ava_det.structures import Detections, Keyframe

NAMES = {1: "schräg stehen", 3: "walk"}


def make_detections(
    timestamp: float, num_persons: int = 2, tracked: bool = True, size: bool = True
) -> Detections:
    boxes = torch.tensor([[0.1, 0.2, 0.5, 1.0], [0.25, 0.0, 1 / 3, 0.5]])[:num_persons]
    scores = torch.tensor([[0.4, 0.9, 0.75], [0.2, 0.9, 0.1]])[:num_persons]
    persons = torch.tensor([0.98, 0.5])[:num_persons]
    keyframe = Keyframe("walk", timestamp, boxes, None, persons, (640, 360) if size else None)
    return Detections(
        boxes, scores, persons, torch.tensor([7, 2])[:num_persons] if tracked else None, keyframe
    )


def test_json_lines_hold_every_keyframe_with_its_persons(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "out.jsonl"
    with DetectionsJson(path, NAMES, {1: 0.3, 3: 0.5}, 900.0) as table:
        table.write(make_detections(901.5))
        table.write(make_detections(902.0, num_persons=0))
        table.write(make_detections(903.0, num_persons=1, tracked=False))
        assert not path.exists()
    first, empty, untracked = (
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()
    )
    assert first == {
        "video": "walk",
        "time": 1.5,
        "timestamp": 901.5,
        "width": 640,
        "height": 360,
        "persons": [
            {
                "track_id": 7,
                "box": [64.0, 72.0, 320.0, 360.0],
                "box_fraction": [0.1, 0.2, 0.5, 1.0],
                "score": 0.98,
                "actions": [
                    {"id": 3, "name": "walk", "score": 0.75},
                    {"id": 1, "name": NAMES[1], "score": 0.4},
                ],
            },
            {
                "track_id": 2,
                "box": [160.0, 0.0, 213.33, 180.0],
                "box_fraction": [0.25, 0.0, 0.333333, 0.5],
                "score": 0.5,
                "actions": [],
            },
        ],
    }
    assert (empty["time"], empty["persons"]) == (2.0, [])
    assert untracked["persons"][0]["track_id"] is None
    assert "schräg" in path.read_text(encoding="utf-8")  # readable, not escaped


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_an_error_leaves_what_was_there(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    path.write_text("an older one")

    def stop_half_way() -> None:
        with (
            DetectionsJson(path, NAMES, {1: 0.3}, 0.0)
            if kind == "json"
            else DetectionsCsv(path, [1, 3]) as table
        ):
            table.write(make_detections(1.0))
            raise RuntimeError("decoder")

    with pytest.raises(RuntimeError, match="decoder"):
        stop_half_way()
    assert path.read_text() == "an older one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_keyframe_without_its_size_is_a_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="frame_size"),
        DetectionsJson(tmp_path / "o", NAMES, {1: 0.3}, 0.0) as table,
    ):
        table.write(make_detections(1.0, size=False))
    assert not list(tmp_path.iterdir())


def test_the_csv_holds_every_score_however_it_is_batched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_files, "NUM_HELD", 2)
    with DetectionsCsv(tmp_path / "out.csv", [1, 3]) as table:
        for second in range(5):
            table.write(make_detections(float(second), num_persons=second % 3))
    rows = load_detections(tmp_path / "out.csv")
    assert len(rows) == 2 * (1 + 2 + 1)
    assert set(rows.action_ids) == {1, 3}
    assert rows.timestamps.tolist() == [1.0] * 2 + [2.0] * 4 + [4.0] * 2
    expected = np.array([[0.1, 0.2, 0.5, 1.0]] * 2)
    assert np.abs(rows.boxes[:2] - expected).max() < 1e-3
