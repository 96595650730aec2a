"""Boxes that miss the labeled persons: every planted fault is reported with its cause."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ava_det.detectors.keyframe_boxes import compute_recall
from ava_det.formats.annotations import load_boxes, write_boxes
from ava_det.structures import Keyframe, KeyframeKey, Persons
from ava_det.tasks.box_fit import describe_fit, describe_unknown_keyframes

SECONDS = range(902, 912)


def keyframes() -> list[Keyframe]:
    """One person, who walks from left to right."""
    return [
        Keyframe("v", float(s), box_at(s)[None], torch.zeros(1, 3), torch.ones(1)) for s in SECONDS
    ]


def box_at(second: float) -> torch.Tensor:
    left = 0.05 + 0.06 * (second - 902)
    return torch.tensor([left, 0.3, left + 0.1, 0.5])


def describe(path: Path, boxes: dict[float, torch.Tensor], score: float = 0.9) -> list[str]:
    write_boxes(
        path,
        {KeyframeKey.at("v", s): Persons(b[None], torch.tensor([score])) for s, b in boxes.items()},
    )
    found = load_boxes(path, 0.3)
    recall, precision = compute_recall(keyframes(), found, 0.3)
    return describe_fit(str(path), keyframes(), found, 0.3, recall, precision)


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ({s: box_at(s)[[1, 0, 3, 2]] for s in SECONDS}, "read as y1,x1,y2,x2 they would find 1.00"),
        ({s: box_at(s + 1) for s in SECONDS}, "taken +1 s later they would find 0.900"),
        ({s: box_at(s - 2) for s in SECONDS}, "taken -2 s later they would find 0.800"),
        ({s: box_at(s) + 0.3 for s in SECONDS}, "are they boxes of these videos"),
        (
            {902: box_at(902), 903: box_at(903), 950: box_at(904)},
            "8 of 10 keyframes with persons have no box of at least data.min_person_score = 0.3, "
            "such as 'v,0904'; it has boxes on 'v,0950', which is no keyframe",
        ),
    ],
)
def test_the_cause_is_named(boxes: dict[float, torch.Tensor], words: str, tmp_path: Path) -> None:
    [sentence] = describe(tmp_path / "boxes.csv", boxes)
    assert "of the labeled persons (recall at IoU 0.5)" in sentence
    assert words in sentence


def test_width_and_height_are_distinguished_from_corners(tmp_path: Path) -> None:
    wide = [torch.tensor([0.3, 0.3, 0.35, 0.4])] * 10  # x, y, width, height
    frames = [
        Keyframe("v", float(s), torch.tensor([[0.3, 0.3, 0.65, 0.7]]), None, torch.ones(1))
        for s in SECONDS
    ]
    path = tmp_path / "boxes.csv"
    found = {
        KeyframeKey.at("v", s): Persons(b[None], torch.ones(1))
        for s, b in zip(SECONDS, wide, strict=True)
    }
    write_boxes(path, found)
    [sentence] = describe_fit(str(path), frames, found, 0.3, *compute_recall(frames, found, 0.3))
    assert "read as x,y,width,height they would find 1.000" in sentence


def test_boxes_that_fit_are_not_spoken_of(tmp_path: Path) -> None:
    assert describe(tmp_path / "boxes.csv", {s: box_at(s) for s in SECONDS}) == []


def test_boxes_on_nobody_are_counted(tmp_path: Path) -> None:
    frames = keyframes()
    nobody = torch.tensor([0.0, 0.8, 0.1, 1.0])
    boxes = {
        KeyframeKey.at("v", s): Persons(torch.stack((box_at(s), nobody, nobody)), torch.ones(3))
        for s in SECONDS
    }
    recall, precision = compute_recall(frames, boxes, 0.3)
    [sentence] = describe_fit("motion", frames, boxes, 0.3, recall, precision)
    assert "0.333 of its boxes are on a labeled person (precision" in sentence
    assert "data.min_person_score" in sentence
    [sentence] = describe_fit("motion", frames, {}, 0.3, 0.2, None)
    assert "10 of 10 keyframes" in sentence


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("v,0902,0.1,0.1,0.5,0.9,,0.05", "min_person_score = 0.3: the highest is 0.05"),
        ("v.mp4,0902,0.1,0.1,0.5,0.9,,0.9", "such as 'v.mp4,0902': write the video ids without"),
        ("v,30,0.1,0.1,0.5,0.9,,0.9", "the seconds do not: are they frame numbers"),
        ("w,0902,0.1,0.1,0.5,0.9,,0.9", "are the boxes those of other videos?"),
        ("", "found no box at all"),
    ],
)
def test_a_file_of_other_keyframes_does_not_blame_the_score(
    rows: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text(f"{rows}\n")
    sentence = describe_unknown_keyframes([str(path)], "val", keyframes(), 0.3)
    assert words in sentence
    assert "such as 'v,0902'" in sentence
    assert ("min_person_score" in sentence) is ("0.05" in rows)
