"""Text in pictures, by OpenCV's fonts and by Pillow's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ava_det.visualization import text

WAYS = [
    pytest.param(
        True, marks=pytest.mark.skipif(not hasattr(cv2, "FontFace"), reason="needs OpenCV 5")
    ),
    False,
]


@pytest.fixture(params=WAYS, ids=lambda outline: "opencv" if outline else "pillow", autouse=True)
def _fonts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "HAS_OUTLINE_FONTS", request.param)


@pytest.mark.parametrize("weight", [450, 650])
@pytest.mark.parametrize("size", [11, 15, 40])
def test_a_line_is_as_wide_as_it_says_and_stands_on_its_baseline(size: int, weight: int) -> None:
    image = np.zeros((120, 900, 3), np.uint8)
    text.put_text(image, "Hand shake 0.97", 20, 80, (0, 255, 0), size, weight)
    assert not image[..., [0, 2]].any()
    rows = np.flatnonzero(image[..., 1].max(axis=1) > 127)
    columns = np.flatnonzero(image[..., 1].max(axis=0) > 127)
    width = text.text_width("Hand shake 0.97", size, weight)
    assert columns[0] >= 19
    assert columns[-1] - columns[0] + 1 == pytest.approx(width, abs=0.2 * size + 2)
    assert 0.5 * size < 80 - rows[0] < size
    assert abs(rows[-1] - 79) <= 2


def test_a_part_of_a_picture_is_written_on_in_place() -> None:
    image = np.zeros((60, 200, 3), np.uint8)
    text.put_text(image[:, 50:], "walk", 0, 40, (255, 255, 255), 20)
    assert image.any()
    assert not image[:, :48].any()
