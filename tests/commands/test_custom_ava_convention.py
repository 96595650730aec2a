"""Custom AVA data as the Chinese guides make it: pictures, VIA projects, proposals, rawframes.

What their scripts write is written here by the rules that docs/annotation_formats.md states.
"""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import torch

from ava_det.formats.annotations import AvaRows, load_annotations, load_boxes
from ava_det.formats.label_map import load_label_map
from ava_det.video.file import VideoReader
from tests.support.tool_runs import RunTool
from tests.support.via_form import Attribute, project, save

WIDTH, HEIGHT = 192, 144
SECONDS = range(2, 6)  # of 8: the first two and the last two pictures are not labeled
ATTRIBUTES: tuple[Attribute, ...] = (
    ("头部", 2, ("其他", "说话")),
    ("身体", 2, ("其他", "站", "走")),
    ("四肢", 2, ("举手",)),
)
NAMES = ["头部/其他", "说话", "身体/其他", "站", "走", "举手"]
FIRST_ID = {"1": 1, "2": 3, "3": 6}  # action id of each attribute's first option


class Drawn(NamedTuple):
    """A person on a picture: x, y, width and height in pixels, and VIA's values."""

    second: int
    person: int
    box: tuple[float, float, float, float]
    values: Mapping[str, str]


def draw(second: int) -> list[Drawn]:
    """The second person reaches out of the picture; nobody says what it does at the end."""
    return [
        Drawn(second, 0, (10.5 + 2 * second, 20, 50, 100.25), {"1": "1", "2": "0,2", "3": ""}),
        Drawn(second, 1, (130 - second, 15, 90, 110), {"2": "1"} if second < 5 else {"1": ""}),
    ]


DRAWN = [drawn for second in SECONDS for drawn in draw(second)]


class Convention(NamedTuple):
    projects: list[Path]
    rawframes: Path
    annotations: Path


@pytest.fixture
def convention(synthetic: Path, tmp_path: Path) -> Convention:
    """The folders at the end of the guide, of two videos, 1.mp4 and 2.mp4."""
    annotations = tmp_path / "annotations"
    annotations.mkdir()
    projects = []
    for number, video in enumerate(sorted((synthetic / "videos").glob("train_*.mp4"))[:2], 1):
        write_rawframes(video, tmp_path / "rawframes" / str(number))
        pictures = [(f"{number}_{30 * second + 1:06d}.jpg", 2) for second in SECONDS]
        regions = [(one.second - 1, [], (2, *one.box), one.values) for one in DRAWN]
        content = project(pictures, regions, ATTRIBUTES)
        projects.append(save(tmp_path, content, f"{number}_finish.json"))
    with open(annotations / "train.csv", "w", encoding="utf-8") as file:
        csv.writer(file).writerows(row for number in (1, 2) for row in list_rows(number))
    (annotations / "train_excluded_timestamps.csv").touch()
    names = "".join(
        f'item {{\n  name: "{name}"\n  id: {i}\n}}\n' for i, name in enumerate(NAMES, 1)
    )
    (annotations / "action_list.pbtxt").write_text(names, encoding="utf-8")
    write_proposals(annotations)
    return Convention(projects, tmp_path / "rawframes", annotations)


def write_rawframes(video: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    with VideoReader(video) as reader:
        for index in range(8 * 30):
            picture = reader.read([index / 30])[0]
            cv2.imwrite(str(folder / f"img_{index + 1:05d}.jpg"), picture[:, :, ::-1])


def list_rows(video: int) -> list[list[Any]]:
    """train.csv: a row for each ticked option, boxes cut at the picture's border."""
    rows = []
    for one in DRAWN:
        corners = to_corners(one)
        for attribute, ticked in one.values.items():
            for option in filter(None, ticked.split(",")):
                action_id = FIRST_ID[attribute] + int(option)
                rows.append([video, one.second, *corners, action_id, one.person])
    return rows


def to_corners(one: Drawn) -> list[float]:
    x, y, width, height = one.box
    corners = (x / WIDTH, y / HEIGHT, (x + width) / WIDTH, (y + height) / HEIGHT)
    return [min(max(side, 0), 1) for side in corners]


def write_proposals(folder: Path) -> None:
    """The detector's file as it is first, lists with scores as text, and as MMAction2 reads it."""
    first: dict[str, list[list[Any]]] = {}
    for number in (1, 2):
        for one in DRAWN:
            row = [*to_corners(one)[:2], *np.add(to_corners(one)[2:], 1e-6), "0.91\n"]
            first.setdefault(f"{number},{one.second:04d}", []).append(row)
    arrays = {key: np.array(rows).astype(np.float64).clip(0, 1) for key, rows in first.items()}
    (folder / "dense_proposals_first.pkl").write_bytes(pickle.dumps(first))
    (folder / "dense_proposals_train.pkl").write_bytes(pickle.dumps(arrays))


def list_labels(rows: AvaRows) -> dict[tuple[Any, ...], float]:
    """(video, second, box, action id) -> person id."""
    videos = [rows.video_names[index] for index in rows.video_index]
    columns = (rows.timestamps, rows.boxes, rows.action_ids, rows.ids_or_scores)
    return {
        (video, second, *box, action_id): person
        for video, second, box, action_id, person in zip(
            videos, *(column.tolist() for column in columns), strict=True
        )
        if action_id
    }


def test_the_import_has_the_rows_of_their_train_csv(
    convention: Convention, run_tool: RunTool, tmp_path: Path
) -> None:
    options = ["--videos", convention.rawframes, "--output", tmp_path / "mine"]
    code, out, err = run_tool("import", "via", *convention.projects, *options)
    assert code == 0, err
    assert "train.csv: 2 videos, 8 keyframes, 16 boxes, 2 of them without an action" in out
    mine = list_labels(load_annotations(tmp_path / "mine/train.csv"))
    theirs = list_labels(load_annotations(convention.annotations / "train.csv"))
    assert mine.keys() == theirs.keys()
    same = {(key[0], person, mine[key]) for key, person in theirs.items()}
    assert len(same) == 4  # in each video, each of two persons is one person
    label_map = load_label_map(tmp_path / "mine/labelmap.pbtxt")
    assert label_map == load_label_map(convention.annotations / "action_list.pbtxt")
    assert list(label_map.values()) == NAMES


def test_their_proposals_are_boxes_before_and_after_they_become_arrays(
    convention: Convention,
) -> None:
    first, arrays = (
        load_boxes(convention.annotations / f"dense_proposals_{name}.pkl", 0.5)
        for name in ("first", "train")
    )
    assert list(first) == list(arrays)
    assert set(first) == {(video, f"{second}.000000") for video in "12" for second in SECONDS}
    for key, (boxes, scores) in first.items():
        assert scores.tolist() == pytest.approx([0.91, 0.91])
        torch.testing.assert_close(boxes, arrays[key].boxes, atol=2e-6, rtol=0)


def test_their_folders_are_trained_and_scored_on(
    convention: Convention, run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    data = [
        f"data.video_dir={convention.rawframes}",
        f"data.label_map={convention.annotations}/action_list.pbtxt",
        "data.start_second=0",
        "model.num_classes=6",
        "data.min_person_score=0.5",
    ]
    for split in ("train", "val"):
        data += [
            f"data.{split}.annotations={convention.annotations}/train.csv",
            f"data.{split}.excluded={convention.annotations}/train_excluded_timestamps.csv",
            f"data.{split}.boxes={convention.annotations}/dense_proposals_train.pkl",
        ]
    code, _, err = run_tool("train_ava", *synthetic_config, *data)
    assert code == 0, err
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert (metrics["num_keyframes"], metrics["warnings"]) == (8, [])
    # the detector also found the two persons that nobody labeled
    assert (metrics["person_recall"], metrics["person_precision"]) == (1.0, 14 / 16)
    labeled = {name: row["num_gt"] for name, row in metrics["per_class"].items()}
    assert labeled == {"1": 0, "2": 8, "3": 8, "4": 6, "5": 8, "6": 0}
