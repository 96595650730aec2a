"""One PNG for a video of any length."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ava_det.structures import Detections, Keyframe
from ava_det.visualization import ContactSheet, contact_sheet


def detections(score: float | None) -> Detections:
    boxes = torch.tensor([[0.3, 0.2, 0.6, 0.9]] if score is not None else []).reshape(-1, 4)
    scores = torch.full((len(boxes), 80), score or 0.0)
    ones = torch.ones(len(boxes))
    return Detections(boxes, scores, ones, None, Keyframe("v", 0.0, boxes, None, ones))


def fill(
    sheet: ContactSheet, scores: list[float | None], height: int = 90, width: int = 160
) -> None:
    for index, score in enumerate(scores):
        sheet.add(
            np.full((height, width, 3), index % 250, np.uint8), detections(score), float(index)
        )


@pytest.mark.parametrize("num_tiles", [2, 5, 12])
@pytest.mark.parametrize("length", [1, 11, 12, 13, 100, 1000])
def test_tiles_are_few_ordered_and_spread_over_the_video(num_tiles: int, length: int) -> None:
    sheet = ContactSheet({12: "stand"}, num_tiles=num_tiles)
    fill(sheet, [0.5] * length, height=9, width=16)
    moments = [tile.seconds for tile in sheet._tiles]
    assert min(length, (num_tiles + 1) // 2) <= len(moments) <= num_tiles
    assert moments[0] == 0
    assert len(set(np.diff(moments))) <= 1  # equal stretches
    assert length - moments[-1] <= 2 * max(np.diff(moments), default=1)


def test_each_stretch_shows_its_best_keyframe() -> None:
    sheet = ContactSheet({12: "stand"}, num_tiles=4)
    scores: list[float | None] = [None] * 32
    scores[5] = 0.4
    scores[14] = 0.7
    scores[15] = 0.9
    scores[30] = 0.1
    fill(sheet, scores)
    moments = [tile.seconds for tile in sheet._tiles]
    assert {5.0, 15.0, 30.0} <= set(moments)


@pytest.mark.parametrize(("height", "width"), [(90, 160), (1080, 1920), (640, 360), (33, 47)])
def test_the_sheet_is_near_its_shape_whatever_the_video(height: int, width: int) -> None:
    sheet = ContactSheet({12: "stand"})
    fill(sheet, [0.9] * 12, height, width)
    picture = sheet.draw()
    assert picture.dtype == np.uint8
    assert 0.9 < picture.shape[1] / picture.shape[0] < 2.6
    assert 1_400_000 < picture.shape[0] * picture.shape[1] < 2_300_000


def test_the_file_is_the_picture(tmp_path: Path) -> None:
    sheet = ContactSheet({12: "stand"})
    fill(sheet, [0.9, None, 0.3])
    path = tmp_path / "new" / "sheet.png"
    sheet.save(path)
    read = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    assert np.array_equal(read, sheet.draw())
    assert [entry.name for entry in path.parent.iterdir()] == ["sheet.png"]


def test_moments_are_minutes_and_seconds() -> None:
    assert [contact_sheet._format_moment(seconds) for seconds in (0.0, 59.96, 61.25, 3600)] == [
        "0:00.0",
        "1:00.0",
        "1:01.2",
        "60:00.0",
    ]


def test_mistakes_are_named(tmp_path: Path) -> None:
    sheet = ContactSheet({12: "stand"})
    with pytest.raises(ValueError, match="at least one keyframe"):
        sheet.save(tmp_path / "sheet.png")
    fill(sheet, [0.5])
    with pytest.raises(ValueError, match=r"ends in \.png"):
        sheet.save(tmp_path / "sheet.jpg")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        sheet.save(tmp_path / "file" / "sheet.png")
    with pytest.raises(ValueError, match="num_tiles"):
        ContactSheet({}, num_tiles=1)
