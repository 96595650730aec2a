"""The sheet of labeled keyframes: boxes where they belong, faults in their color, text that stays
in its tile.
"""

from __future__ import annotations

import numpy as np
import pytest

from ava_det.visualization.label_sheet import (
    FAULTY,
    GAP,
    HEIGHT,
    SOUND,
    WIDTH,
    LabeledTile,
    draw_label_sheet,
)


def tile(
    faulty: list[bool], picture: np.ndarray | None = None, reason: str = "", label: str = "stand"
) -> LabeledTile:
    boxes = np.array([[0.1, 0.2, 0.4, 0.9], [0.6, 0.2, 0.9, 0.9]])[: len(faulty)].reshape(-1, 4)
    return LabeledTile(
        picture, boxes, [label] * len(faulty), np.array(faulty, bool), "train  a  0902 s", reason
    )


def has_color(picture: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((picture == color).all(axis=-1).any())


def test_faulty_boxes_are_marked_where_they_stand() -> None:
    gray = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    sheet = draw_label_sheet([tile([False, True], gray)])[GAP : GAP + HEIGHT, GAP : GAP + WIDTH]
    left, right = np.hsplit(sheet, 2)
    assert has_color(left, SOUND)
    assert not has_color(left, FAULTY)
    assert has_color(right, FAULTY)
    assert not has_color(right, SOUND)
    assert (sheet[HEIGHT // 2, WIDTH // 4] == 128).all()  # inside a box the picture is untouched


def test_pictures_keep_their_aspect() -> None:
    sheet = draw_label_sheet([tile([], np.full((400, 200, 3), 255, np.uint8))])
    white = (sheet == 255).all(axis=-1)[GAP : GAP + HEIGHT]
    assert abs(int(white.any(axis=0).sum()) - HEIGHT // 2) <= 1


def test_nothing_is_written_outside_its_tile() -> None:
    long = "a reason that goes on and on " * 8
    sheet = draw_label_sheet(
        [tile([True, True], None, long, "an action with a long name, " * 9), tile([], None)]
    )
    ground = sheet[0, 0]
    assert (sheet[:, GAP + WIDTH : GAP + WIDTH + GAP - 2] == ground).all()


def test_tiles_stand_in_rows() -> None:
    one = draw_label_sheet([tile([])])
    four = draw_label_sheet([tile([])] * 4)
    assert one.shape[1] == WIDTH + 2 * GAP
    assert four.shape[:2] == (2 * one.shape[0], 3 * WIDTH + 4 * GAP)
    with pytest.raises(ValueError, match="at least one keyframe"):
        draw_label_sheet([])
