"""Person boxes from everybody's files: our CSV, the published lists, MMAction2's pickles; and what
is no box file.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from ava_det.formats.annotations import load_boxes, write_boxes

BOX = [0.1, 0.2, 0.5, 0.6]


def save(folder: Path, *lines: str) -> Path:
    path = folder / "boxes.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def save_pickle(folder: Path, content: object, protocol: int = 2) -> Path:
    path = folder / "proposals.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("action", ["", "-1", "12"])
def test_the_published_lists_have_an_action_column_that_is_not_read(
    tmp_path: Path, action: str
) -> None:
    boxes, scores = load_boxes(save(tmp_path, f"v,0902,0.1,0.2,0.5,0.6,{action},0.995700"), 0.9)[
        "v", "902.000000"
    ]
    torch.testing.assert_close(boxes, torch.tensor([BOX]))
    torch.testing.assert_close(scores, torch.tensor([0.9957]))


def test_a_list_with_a_row_per_action_has_each_person_once(tmp_path: Path) -> None:
    rows = [f"v,0902,0.1,0.2,0.5,0.6,{action},0.85" for action in (11, 79, 80)]
    other = [f"v,0902,0.6,0.2,0.9,0.6,{action},0.95" for action in (12, 17)]
    boxes, scores = load_boxes(save(tmp_path, *rows, *other), 0.8)["v", "902.000000"]
    assert boxes[:, 0].tolist() == pytest.approx([0.1, 0.6])
    assert scores.tolist() == pytest.approx([0.85, 0.95])


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_mmaction2_pickles(tmp_path: Path, protocol: int) -> None:
    content = {
        "-IELREHX_js,0902": np.array([[*BOX, 0.998], [0.0, 0.0, 1.0, 1.0, 0.05]]),
        "with,comma,0903": np.array([[*BOX, 0.8]], dtype=np.float32),
        "v,0904": np.zeros((0, 5)),
    }
    found = load_boxes(save_pickle(tmp_path, content, protocol), 0.5)
    assert list(found) == [("-IELREHX_js", "902.000000"), ("with,comma", "903.000000")]
    boxes, scores = found["-IELREHX_js", "902.000000"]
    torch.testing.assert_close(boxes, torch.tensor([BOX]))
    assert scores.tolist() == pytest.approx([0.998])
    write_boxes(tmp_path / "again.csv", found)
    again = load_boxes(tmp_path / "again.csv", 0.0)
    assert all(
        torch.equal(found[key][0], again[key][0]) and torch.equal(found[key][1], again[key][1])
        for key in found
    )


def test_boxes_without_scores_are_sure(tmp_path: Path) -> None:
    boxes, scores = load_boxes(save_pickle(tmp_path, {"v,0902": np.array([BOX])}), 0.9)[
        "v", "902.000000"
    ]
    assert (boxes.shape, scores.tolist()) == ((1, 4), [1.0])


class Malicious:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("protocol", [0, 4])
def test_a_malicious_pickle_is_refused_and_nothing_runs(tmp_path: Path, protocol: int) -> None:
    victim = tmp_path / "created"
    path = save_pickle(tmp_path, {"v,0902": Malicious(victim)}, protocol)
    with pytest.raises(ValueError, match=r"proposals\.pkl: refused.*mkdir.*nothing in it was run"):
        load_boxes(path, 0.5)
    assert not victim.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([1, 2], "expected a dict from"),
        ({"v": np.zeros((1, 5))}, "expected keys such as \"video_id,0902\", found 'v'"),
        ({"v,first": np.zeros((1, 5))}, "found 'v,first'"),
        ({("v", 902, 1): np.zeros((1, 5))}, r"found \('v', 902, 1\)"),
        (
            {"v,0902": np.zeros((1, 6))},
            r"key 'v,0902': expected an array of boxes \[N, 5\], found \[1, 6\] float64",
        ),
        ({"v,0902": [[0.0] * 3]}, "found list"),
        ({"v,0902": np.array([["a"] * 5])}, "found .* <U1"),
        (
            {"v,0902": np.array([[10.0, 20, 300, 400, 0.9]])},
            "box 1: expected a box x1,y1,x2,y2 in fractions",
        ),
        (
            {"v,0902": np.array([[*BOX, 0.9], [*BOX, 7.0]])},
            "box 2: expected a person's score from 0 to 1",
        ),
    ],
)
def test_any_other_pickle_is_one_sentence(tmp_path: Path, content: object, expected: str) -> None:
    with pytest.raises(ValueError, match=expected) as refused:
        load_boxes(save_pickle(tmp_path, content), 0.5)
    assert "proposals.pkl" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_truncated_pickle_is_one_sentence(tmp_path: Path) -> None:
    path = save_pickle(
        tmp_path,
        {f"v,{second:04d}": np.random.default_rng(0).random((3, 5)) for second in range(20)},
    )
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ValueError, match=r"proposals\.pkl: the file is truncated or damaged"):
        load_boxes(path, 0.5)


@pytest.mark.parametrize(
    ("score_texts", "line"),
    [
        (["0", "1", "2"], 3),
        (["0", "1"], 1),
        (["0", "0"], 1),
        (["0.9", "1.5"], 2),
        (["0.9", "-0.1"], 2),
        (["nan"], 1),
    ],
)
def test_a_column_8_that_is_no_score_is_refused(
    tmp_path: Path, score_texts: list[str], line: int
) -> None:
    path = save(
        tmp_path,
        *(f"v,{902 + i:04d},0.1,0.2,0.5,0.6,12,{text}" for i, text in enumerate(score_texts)),
    )
    with pytest.raises(
        ValueError, match=rf"line {line}: expected a person's score.*annotations have person ids"
    ):
        load_boxes(path, 0.5)


def test_boxes_that_everybody_is_sure_of_are_scores(tmp_path: Path) -> None:
    assert (
        len(
            load_boxes(
                save(tmp_path, "v,0902,0.1,0.2,0.5,0.6,,1", "v,0903,0.1,0.2,0.5,0.6,,1.0"), 0.5
            )
        )
        == 2
    )


@pytest.mark.needs_shared
@pytest.mark.parametrize(
    "name", ["ava/ava_train_v2.2_29videos.csv", "mini_ava/train.csv", "mini_ava/val.csv"]
)
def test_real_annotations_are_no_box_file(shared_data: Path, name: str) -> None:
    with pytest.raises(ValueError, match="person ids"):
        load_boxes(shared_data / name, 0.0)


def test_a_box_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "v,0902,0.1,0.2,0.5,0.6,,0.9", "v,0903,nan,nan,nan,nan,,0.9")
    with pytest.raises(ValueError, match=r"boxes\.csv, line 2: expected a box x1,y1,x2,y2"):
        load_boxes(path, 0.5)
    rows = {"v,0902": np.array([[*BOX, 0.9]]), "v,0903": np.full((1, 5), np.nan)}
    with pytest.raises(ValueError, match=r"proposals\.pkl, box 2: expected a box"):
        load_boxes(save_pickle(tmp_path, rows), 0.5)
