"""Rows of a result CSV become detections, or the line is named that cannot be linked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ava_det.formats.annotations import load_detections
from ava_det.linking.result_rows import detections_from_rows
from ava_det.structures import Detections

LINE = "walk,901,0.1,0.2,0.3,0.9,12,0.75"


def read(tmp_path: Path, *lines: str, action_ids: tuple[int, ...] = (12, 14)) -> list[Detections]:
    path = tmp_path / "detections.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return list(detections_from_rows(load_detections(path), action_ids))


def test_rows_of_one_box_are_one_person_in_any_order(tmp_path: Path) -> None:
    second = LINE.replace("901", "900.5").replace(",12,0.75", ",14,0.25")
    early, late = read(tmp_path, LINE, LINE.replace(",12,0.75", ",14,0.5"), second)
    assert (early.keyframe.timestamp, late.keyframe.timestamp) == (900.5, 901)
    torch.testing.assert_close(early.action_scores, torch.tensor([[0.0, 0.25]]))
    torch.testing.assert_close(late.action_scores, torch.tensor([[0.75, 0.5]]))
    assert read(tmp_path) == []


@pytest.mark.parametrize("score", ["nan", "inf", "1.5", "-0.1", "7"])
def test_a_score_that_is_none_is_named(tmp_path: Path, score: str) -> None:
    with pytest.raises(ValueError, match=rf"csv, line 2: expected a score .* found {score}$"):
        read(tmp_path, LINE, LINE.replace("0.75", score))


@pytest.mark.parametrize("box", ["10,20,30,90", "0.3,0.2,0.1,0.9", "0.1,nan,0.3,0.9"])
def test_a_box_that_is_none_is_named(tmp_path: Path, box: str) -> None:
    with pytest.raises(ValueError, match=rf"csv, line 2: expected a box .* found {box}$"):
        read(tmp_path, LINE, LINE.replace("0.1,0.2,0.3,0.9", box))


def test_actions_of_another_label_map_are_named(tmp_path: Path) -> None:
    assert len(read(tmp_path, LINE, LINE.replace(",12,", ",80,"))) == 1
    with pytest.raises(ValueError, match=r"ids 1 to 3, found none; .*csv, line 1 has id 12"):
        read(tmp_path, LINE, action_ids=(1, 3))
