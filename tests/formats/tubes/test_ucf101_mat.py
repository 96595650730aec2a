"""`finalAnnots.mat`, as MATLAB writes it: the smallest integers, structs in cells, compressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ava_det.commands.prepare_tubes import main
from ava_det.commands.score import main as score
from ava_det.formats.annotations import load_annotations
from ava_det.formats.tubes import load_tube_truth
from ava_det.formats.tubes.ucf101_mat import load_ucf101_mat
from tests.support.mat_files import write_mat

RUN, JUMP = "Running/v_Running_g01_c01", "Jumping/v_Jumping_g02_c01"


def smallest(value: object) -> np.ndarray:
    """An array of the smallest unsigned type that holds it, as MATLAB stores it here."""
    array = np.asarray(value)
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))


def make_tube(first: int, boxes: list[list[int]], label: int, **changes: object) -> dict[str, Any]:
    tube = {"ef": first + len(boxes) - 1, "sf": first, "class": label, "boxes": boxes}
    return {key: smallest(value) for key, value in (tube | changes).items()}


def write(path: Path, videos: dict[str, list[dict[str, Any]]]) -> str:
    rows = [
        {"num_imgs": smallest(20), "name": name, "tubes": tubes} for name, tubes in videos.items()
    ]
    return str(write_mat(path, {"annot": rows}))


def two_videos() -> dict[str, list[dict[str, Any]]]:
    """The boxes' x + width is 310, which 8 bits turn into 54."""
    return {
        RUN: [
            make_tube(3, [[200, 20, 110, 100], [201, 20, 110, 100]], 2),
            make_tube(20, [[1, 1, 319, 239]], 2),
        ],
        JUMP: [make_tube(1, [[5, 6, 7, 8]], 1)],
    }


def write_list(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "testlist01.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def test_tubes_splits_and_labels(tmp_path: Path) -> None:
    source = write(tmp_path / "annots.mat", two_videos())
    names = write_list(tmp_path, f"{JUMP}.avi", "Eating/v_Eating_g01_c01.avi", "Running/v_gone")
    truth, absent = load_ucf101_mat(source, names)
    assert truth.labels == ("Jumping", "Running")
    assert (truth.train_videos, truth.test_videos) == (((RUN,),), ((JUMP,),))
    assert absent == ["Running/v_gone"]
    assert truth.num_frames == {RUN: 20, JUMP: 20}
    assert truth.resolution[RUN] == (240, 320)
    first, second = truth.tubes[RUN]
    assert (first.label, first.frames.tolist(), second.frames.tolist()) == (1, [3, 4], [20])
    assert first.boxes.tolist() == [[200, 20, 310, 120], [201, 20, 311, 120]]
    assert second.boxes.tolist() == [[1, 1, 320, 240]]


def test_the_truth_that_is_written_is_that_of_the_file(tmp_path: Path) -> None:
    source = write(tmp_path / "annots.mat", two_videos())
    names = write_list(tmp_path, JUMP)
    options = ["--truth", source, "--test-videos", names, "--output", str(tmp_path / "out")]
    assert main(options) == 0
    expected, _ = load_ucf101_mat(source, names)
    written = load_tube_truth(tmp_path / "out" / "tubes_GT.pkl")
    assert (written.labels, written.test_videos) == (expected.labels, expected.test_videos)
    for video, tubes in expected.tubes.items():
        for one, other in zip(tubes, written.tubes[video], strict=True):
            assert one.frames.tolist() == other.frames.tolist()
            assert one.boxes.tolist() == other.boxes.tolist()
    assert len(load_annotations(tmp_path / "out" / "train.csv")) == 3
    assert len(load_annotations(tmp_path / "out" / "val.csv")) == 1


@pytest.mark.parametrize(
    ("tube", "sentence"),
    [
        (make_tube(3, [[1, 1, 2, 2]], 1, ef=4), "expected 2 boxes x, y, width, height"),
        (make_tube(3, [[1, 1, 0, 2]], 1), "with positive sizes"),
        (make_tube(20, [[1, 1, 2, 2]] * 2, 1), "expected 1 <= sf <= ef <= 20 and a class from 1"),
        (make_tube(0, [[1, 1, 2, 2]], 1), "found sf 0, ef 0, class 1"),
        (make_tube(1, [[1, 1, 2, 2]], 2), "expected one folder of videos for class 2"),
        (make_tube(1, [[1, 1, 2, 2]], 4), "expected classes from 1 without gaps"),
    ],
)
def test_a_wrong_tube_is_named(tmp_path: Path, tube: dict[str, Any], sentence: str) -> None:
    videos = two_videos()
    videos[JUMP] = [tube]
    source = write(tmp_path / "annots.mat", videos)
    with pytest.raises(ValueError, match=sentence):
        load_ucf101_mat(source, write_list(tmp_path, JUMP))


def test_files_that_are_not_it_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "annots.mat", two_videos())
    other, damaged, newer = (tmp_path / name for name in ("other.mat", "damaged.mat", "new.mat"))
    write_mat(other, {"testlist": np.arange(3.0)})
    damaged.write_bytes(Path(source).read_bytes()[:-40])
    newer.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")

    def say(truth: object, *lines: str) -> str:
        names = write_list(tmp_path, *lines)
        options = ["--truth", str(truth), "--test-videos", names]
        assert main([*options, "--output", str(tmp_path / "out")]) == 2
        return capsys.readouterr().err

    assert "expected a variable annot, found none" in say(other, JUMP)
    assert "truncated or damaged" in say(damaged, JUMP)
    assert "expected MATLAB's file version 5" in say(newer, JUMP)
    assert "found 0 of them" in say(source, "Eating/v_Eating_g01_c01")
    assert "found 2 of them" in say(source, RUN, JUMP)
    assert "testlist01.txt, line 1: expected a name CLASS/VIDEO alone" in say(source, f"{RUN} 2")
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "annots.mat", two_videos())
    output = ["--output", str(tmp_path / "out")]
    assert main(["--truth", source, *output]) == 2
    assert "expected --test-videos testlist01.txt" in capsys.readouterr().err
    names = write_list(tmp_path, JUMP)
    pickle = tmp_path / "GT.pkl"
    pickle.write_bytes(b"\x80\x02}.")
    assert main(["--truth", str(pickle), "--test-videos", names, *output]) == 2
    assert "expected with finalAnnots.mat alone" in capsys.readouterr().err
    files = ["--annotations", source, "--detections", str(pickle)]
    assert score(["--task", "video", *files]) == 2
    assert "ava-det prepare-tubes --truth annots.mat makes tubes_GT.pkl" in capsys.readouterr().err
