"""The examples of docs/tubes.md: every number of the table is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ava_det.evaluation.tubes import TUBE_PROTOCOLS, evaluate_frames, evaluate_tubes
from ava_det.formats.tubes import Tube
from tests.support.tube_cases import BOX, make_boxes, make_truth, still

PAGE = (Path(__file__).resolve().parents[2] / "docs/tubes.md").read_text(encoding="utf-8")
SHOWN = ("multisports", "act", "retinanet3d", "yowo")
BESIDE = (20.0, 10.0, 60.0, 90.0)
NEAR = ((12.0, 10.0, 52.0, 90.0), (13.0, 10.0, 53.0, 90.0))
SMALL = (10.0, 10.0, 16.0, 16.0)

VIDEOS = {
    "10 of 20 frames found, boxes exact": ([still("v", 0, 1, 20)], [still("v", 0, 1, 10)]),
    "a tube of one frame, found": ([still("v", 0, 1, 1)], [still("v", 0, 1, 1)]),
    "two truths 10 pixels apart, both detections nearer to the first": (
        [still("v", 0, 1, 9), still("v", 0, 1, 9, BESIDE)],
        [still("v", 0, 1, 9, box) for box in NEAR],
    ),
    "hit, a second tube on the same truth, hit": (
        [still("v", 0, 1, 20), still("v", 0, 31, 20)],
        [still("v", 0, 1, 20), still("v", 0, 2, 20), still("v", 0, 31, 20)],
    ),
    "a second class is found that nobody does: mAP": (
        [still("v", 0, 1, 9)],
        [still("v", 0, 1, 9), still("v", 1, 1, 9)],
    ),
}
FRAMES = {
    "the same in one frame": ([still("v", 0, 1, 1), still("v", 0, 1, 1, BESIDE)], [*NEAR], [1, 1]),
    "a box of 6 x 6 pixels, found 2.1 pixels beside it": (
        [still("v", 0, 1, 1, SMALL)],
        [(12.1, 10.0, 18.1, 16.0)],
        [1],
    ),
    "hit, miss, hit, of four labeled boxes": (
        [still("v", 0, 1, 4)],
        [BOX, (200.0, 100.0, 240.0, 180.0), BOX],
        [1, 2, 3],
    ),
}


def check_row(name: str, task: str, cells: Sequence[str]) -> None:
    assert f"| {name} | {task} | {' | '.join(cells)} |" in PAGE


@pytest.mark.parametrize("name", VIDEOS)
def test_tubes(name: str) -> None:
    truth, found = VIDEOS[name]
    labels = ("jump", "wave")[: 1 + max(tube.label for tube in found)]
    ranked = [
        Tube(tube.video, tube.label, tube.frames, tube.boxes, 0.9 - 0.1 * place)
        for place, tube in enumerate(found)
    ]
    cells = []
    for protocol in SHOWN:
        if protocol == "act" and any(tube.label for tube in found):
            with pytest.raises(ValueError, match="divides by zero"):
                evaluate_tubes(make_truth(truth, labels), ranked, protocol)
            cells.append("refused")
            continue
        result = evaluate_tubes(make_truth(truth, labels), ranked, protocol)
        cells.append(f"{100 * (result.by_threshold[0.5].mean_ap or 0):.1f}")
    check_row(name, "video", cells)


@pytest.mark.parametrize("name", FRAMES)
def test_frames(name: str) -> None:
    truth, boxes, frames = FRAMES[name]
    rows = [
        (0, frame, 0, 0.9 - 0.1 * place, *box)
        for place, (frame, box) in enumerate(zip(frames, boxes, strict=True))
    ]
    cells = []
    for protocol in SHOWN:
        result = evaluate_frames(make_truth(truth, ["jump"]), make_boxes(rows), protocol)
        cells.append(f"{100 * (result.by_threshold[0.5].mean_ap or 0):.1f}")
    check_row(name, "frame", cells)


def test_every_row_of_the_table_is_tested_and_every_protocol_described() -> None:
    table = PAGE.split("| example |")[1].split("\n\n")[0].splitlines()[2:]
    assert {row.split("|")[1].strip() for row in table} == {*VIDEOS, *FRAMES}
    assert all(f"`{name}`" in PAGE for name in TUBE_PROTOCOLS)
