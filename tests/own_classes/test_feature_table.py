from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from ava_det.own_classes import write_table
from ava_det.structures import Keyframe


def keyframe(video_id: str, timestamp: float, *actions: int) -> Keyframe:
    boxes = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).repeat(len(actions), 1)
    return Keyframe(
        video_id, timestamp, boxes, torch.eye(3)[list(actions)], torch.ones(len(actions))
    )


def test_each_box_has_the_one_that_looks_most_like_it(tmp_path: Path) -> None:
    """Two kinds of box; one of the first kind bears the second's label."""
    train = [keyframe("a", 1, 0, 0), keyframe("b", 2, 1)]
    val = [keyframe("c", 3.5, 0), keyframe("c", 4, 1)]
    one = torch.tensor([1.0, 0.0, 0.2])
    other = torch.tensor([0.0, 1.0, -0.2])
    features = torch.stack((one, one + 0.01, other)), torch.stack((other + 0.02, other - 0.01))
    path = tmp_path / "features.csv"
    write_table(
        path,
        {"train": (train, features[0]), "val": (val, features[1])},
        {1: "stand", 2: "walk", 3: "run"},
    )
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["split"] for row in rows] == ["train"] * 3 + ["val"] * 2
    assert [row["labels"] for row in rows] == ["stand", "stand", "walk", "stand", "walk"]
    assert [rows[3][key] for key in ("video_id", "timestamp", "x1", "y2")] == [
        "c",
        "3.5",
        "0.1000",
        "0.4000",
    ]
    assert rows[3]["nearest_labels"] == "walk"  # the odd one
    assert (rows[2]["nearest_video_id"], rows[2]["nearest_timestamp"]) == ("c", "4")
    assert rows[0]["nearest_video_id"] != "a"  # the other box of its own keyframe is no news
    assert float(rows[2]["similarity"]) == pytest.approx(1, abs=0.01)
    side = [float(row["component_1"]) > 0 for row in rows]
    assert side[0] == side[1] != side[2] == side[3] == side[4]


def test_a_single_keyframe_has_nothing_near_it(tmp_path: Path) -> None:
    write_table(
        tmp_path / "t.csv", {"train": ([keyframe("a", 1, 0)], torch.ones(1, 4))}, {1: "stand"}
    )
    with open(tmp_path / "t.csv", newline="") as file:
        assert next(csv.DictReader(file))["nearest_labels"] == ""
