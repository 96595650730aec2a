"""Our own tube files: what is written comes back, and a wrong line is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ava_det.formats.tubes import Tube, TubeTruth, read_tubes, write_tubes

LABELS = ("jump", "wave")


def make_tube(**changes: object) -> Tube:
    values: dict[str, object] = {
        "video": "v",
        "label": 1,
        "frames": np.array([3, 4, 6]),
        "boxes": np.array([[1.0, 2, 3, 4], [1.5, 2, 3, 4], [2, 2.125, 3, 4]]),
        "score": 0.75,
        "box_scores": np.array([0.5, 0.25, 1.0]),
    }
    return Tube(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["tubes.jsonl", "tubes.jsonl.gz"])
def test_tubes_come_back_as_they_were_written(tmp_path: Path, name: str) -> None:
    plain = make_tube(label=0, score=None, box_scores=None)
    assert write_tubes(tmp_path / name, [make_tube(), plain], LABELS) == 2
    first, second = read_tubes(tmp_path / name, LABELS)
    assert (first.video, first.label, first.score) == ("v", 1, 0.75)
    np.testing.assert_array_equal(first.frames, [3, 4, 6])
    np.testing.assert_array_equal(first.boxes, make_tube().boxes)
    assert first.box_scores is not None
    np.testing.assert_array_equal(first.box_scores, [0.5, 0.25, 1.0])
    assert second.score is None and second.box_scores is None
    assert first.has_gaps and len(first) == 3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"frames": [3, 3, 6]}, "rising and counted from 1"),
        ({"frames": [0, 1, 2]}, "rising and counted from 1"),
        ({"frames": [1]}, "expected frames"),
        ({"boxes": [[1, 2, 3]] * 3}, "expected frames"),
        ({"boxes": [[1, 2, 3, float("nan")]] * 3}, "finite boxes"),
        ({"frames": [3, 4.5, 6]}, "no whole number"),
        ({"label": 0.5}, "no whole number"),
        ({"label": 2}, "expected a label from 0 to 1, found 2"),
        ({"name": "jump"}, "expected the name 'wave' of label 1, found 'jump'"),
        ({"video": None, "box_scores": [1.0]}, "expected frames"),
    ],
)
def test_a_wrong_line_is_one_sentence(
    tmp_path: Path, changes: dict[str, object], expected: str
) -> None:
    path = tmp_path / "tubes.jsonl"
    write_tubes(path, [make_tube()], LABELS)
    line = json.dumps(json.loads(path.read_text()) | changes)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=expected) as caught:
        read_tubes(path, LABELS)
    assert f"{path}:2" in str(caught.value)


def test_content_of_another_form_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tubes.jsonl"
    path.write_text("video,frame\n")
    with pytest.raises(ValueError, match="one JSON object a line"):
        read_tubes(path)
    path.write_text("[1]\n")
    with pytest.raises(ValueError, match="an object with video, label, frames and boxes"):
        read_tubes(path)
    packed = tmp_path / "tubes.jsonl.gz"
    packed.write_text("not packed")
    with pytest.raises(ValueError, match="other content"):
        read_tubes(packed)


def test_an_interrupted_file_does_not_appear(tmp_path: Path) -> None:
    def broken() -> object:
        yield make_tube()
        raise KeyError("stopped")

    with pytest.raises(KeyError):
        write_tubes(tmp_path / "tubes.jsonl", broken(), LABELS)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_splits_count_from_one() -> None:
    truth = TubeTruth(LABELS, (("a",),), (("b",),), {}, {}, {}, "x.pkl")
    assert truth.split(1) == ("b",)
    with pytest.raises(ValueError, match=r"x.pkl: expected a split from 1 to 1, found 2"):
        truth.split(2)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="expected frames"):
        make_tube(boxes=np.zeros((2, 4)))
    with pytest.raises(ValueError, match="box scores"):
        make_tube(box_scores=np.zeros(2))
