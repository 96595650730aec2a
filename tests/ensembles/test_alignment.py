"""Which boxes of several files are one person's: known answers and properties."""

from __future__ import annotations

import numpy as np
import pytest

from ava_det.ensembles import align_members
from ava_det.formats.ava_csv import AvaRows

WIDE = (0.0, 0.0, 0.4, 1.0)


def rows_of(*rows: tuple[str, float, tuple[float, ...], int, float], path: str = "a") -> AvaRows:
    names = list(dict.fromkeys(row[0] for row in rows))
    return AvaRows(
        names,
        np.array([names.index(row[0]) for row in rows], dtype=np.int32),
        np.array([row[1] for row in rows], dtype=np.float64),
        np.array([row[2] for row in rows], dtype=np.float64),
        np.array([row[3] for row in rows], dtype=np.int64),
        np.array([row[4] for row in rows], dtype=np.float64),
        path=path,
    )


def shifted(x: float) -> tuple[float, ...]:
    """A box 0.4 wide and 1 high; two of them `d` apart have IoU (0.4 - d) / (0.4 + d)."""
    return (x, 0.0, round(x + 0.4, 6), 1.0)


def files_of(boxes: np.ndarray) -> list[list[float | None]]:
    """For each joined box the left edges in each file."""
    return [[None if np.isnan(x) else x for x in edges] for edges in boxes[:, :, 0].T]


def test_equal_boxes_are_one_and_actions_lie_side_by_side() -> None:
    first = rows_of(("v", 902, WIDE, 3, 0.9), ("v", 902, WIDE, 1, 0.2))
    second = rows_of(("v", 902.0, WIDE, 1, 0.4), ("v", 902.0, WIDE, 7, 0.5))
    aligned = align_members([first, second])
    assert aligned.num_shared == 1
    assert aligned.box_index.tolist() == [0, 0, 0]
    assert aligned.action_ids.tolist() == [1, 3, 7]
    assert aligned.scores.tolist() == [[0.2, 0.9, 0.0], [0.4, 0.0, 0.5]]


def test_the_largest_iou_is_joined_first_and_each_box_once() -> None:
    """0.05 apart is IoU 7/9, 0.1 apart is 0.6: the box at 0.1 takes the nearer of the other file's
    two, and the one that is left stays alone though it overlaps enough.
    """
    first = rows_of(("v", 1, shifted(0.1), 1, 0.9))
    second = rows_of(("v", 1, shifted(0.0), 1, 0.9), ("v", 1, shifted(0.15), 1, 0.9))
    assert files_of(align_members([first, second]).boxes) == [[None, 0.0], [0.1, 0.15]]


def test_an_equal_box_goes_before_a_near_one() -> None:
    first = rows_of(("v", 1, shifted(0.1), 1, 0.9), ("v", 1, shifted(0.12), 1, 0.9))
    second = rows_of(("v", 1, shifted(0.12), 1, 0.9), ("v", 1, shifted(0.3), 1, 0.9))
    edges = files_of(align_members([first, second]).boxes)
    assert edges == [[0.1, None], [0.12, 0.12], [None, 0.3]]


@pytest.mark.parametrize(("threshold", "count"), [(0.59, 1), (0.61, 2)])
def test_the_threshold(threshold: float, count: int) -> None:
    members = [rows_of(("v", 1, shifted(x), 1, 0.9)) for x in (0.0, 0.1)]
    assert align_members(members, threshold).boxes.shape[1] == count


def test_boxes_of_other_keyframes_are_never_joined() -> None:
    members = [
        rows_of(("v", 1, shifted(0.0), 1, 0.9)),
        rows_of(("v", 2, shifted(0.0), 1, 0.9), ("w", 1, shifted(0.01), 1, 0.9)),
    ]
    aligned = align_members(members)
    assert files_of(aligned.boxes) == [[0.0, None], [None, 0.0], [None, 0.01]]
    assert [aligned.video_names[video] for video in aligned.videos] == ["v", "v", "w"]
    assert aligned.timestamps.tolist() == [1, 2, 1]


def test_three_files_are_joined_box_by_box() -> None:
    """The third box overlaps the first with 1/3 alone, and joins it through the second."""
    members = [rows_of(("v", 1, shifted(x), 1, 0.9)) for x in (0.0, 0.1, 0.2)]
    assert files_of(align_members(members).boxes) == [[0.0, 0.1, 0.2]]


def test_equal_ious_are_decided_alike_whichever_file_comes_first() -> None:
    one = rows_of(("v", 1, shifted(0.1), 1, 0.9))
    two = rows_of(("v", 1, shifted(0.2), 1, 0.9), ("v", 1, shifted(0.0), 1, 0.9))
    edges = files_of(align_members([one, two]).boxes)
    assert [pair[::-1] for pair in files_of(align_members([two, one]).boxes)] == edges


def test_a_second_row_of_a_box_and_action_is_refused() -> None:
    rows = rows_of(("v", 1, WIDE, 1, 0.9), ("v", 1, WIDE, 2, 0.9), ("v", 1, WIDE, 1, 0.3))
    with pytest.raises(ValueError, match=r"a, line 3: .* found a second of action 1"):
        align_members([rows, rows])
