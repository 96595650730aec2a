"""The pickles of UCF101-24, JHMDB, MultiSports, ACT and 3D-RetinaNet, and what is wrong in one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ava_det.formats.tubes import Tube, load_frame_boxes, load_tube_truth, load_tubes, write_tubes
from tests.support.tube_cases import make_random, make_truth, still
from tests.support.tube_files import (
    plain_boxes,
    plain_retinanet3d,
    plain_truth,
    plain_tubes,
    save,
    save_folder,
)

TRUTH, TUBES, BOXES = make_random(0, num_videos=3)


def by_key(tubes: list[Tube]) -> list[tuple[Any, ...]]:
    return sorted(
        (t.video, t.label, t.score, t.frames.tolist(), t.boxes.astype(np.float32).tolist())
        for t in tubes
    )


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_ground_truth(tmp_path: Path, protocol: int) -> None:
    found = load_tube_truth(save(tmp_path / "GT.pkl", plain_truth(TRUTH), protocol))
    assert (found.labels, found.test_videos) == (TRUTH.labels, TRUTH.test_videos)
    assert found.num_frames == TRUTH.num_frames
    assert found.resolution["v0"] == (240, 320)
    for video in TRUTH.split(1):
        assert len(found.tubes[video]) == len(TRUTH.tubes[video])
        assert found.tubes[video][0].boxes.dtype == np.float32
    assert by_key(
        [t.__class__(t.video, t.label, t.frames, t.boxes, 0.0) for t in found.tubes["v1"]]
    ) == by_key([Tube(t.video, t.label, t.frames, t.boxes, 0.0) for t in TRUTH.tubes["v1"]])


def test_a_pickle_of_python_2(tmp_path: Path) -> None:
    """Its strings are bytes, and its array says numpy.core."""
    text = (
        b"(dS'labels'\n(lS'jump'\nasS'train_videos'\n(l(lasS'test_videos'\n(l(lS'b/v'\naas"
        b"S'nframes'\n(dS'b/v'\nI9\nssS'resolution'\n(dS'b/v'\n(I240\nI320\ntssS'gttubes'\n"
        b"(dS'b/v'\n(dI0\n(lcnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I1\nI5\ntcnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'"
    )
    values = np.array([[3, 1, 2, 3, 4]], "<f4").tobytes()
    raw = "".join(f"\\x{byte:02x}" for byte in values).encode()
    path = tmp_path / "GT.pkl"
    path.write_bytes(text + raw + b"'\ntbasss.")
    truth = load_tube_truth(path)
    assert truth.labels == ("jump",)
    assert truth.tubes["b/v"][0].frames.tolist() == [3]
    assert truth.tubes["b/v"][0].boxes.tolist() == [[1, 2, 3, 4]]


def write_multisports(folder: Path) -> Path:
    return save(folder / "video_detections.pkl", plain_tubes(TUBES, 3))


def write_act(folder: Path) -> Path:
    return save_folder(folder / "inference", TRUTH, TUBES)


def write_retinanet3d(folder: Path) -> Path:
    return save(folder / "tubes.pkl", {"action": plain_retinanet3d(TUBES)})


def write_ours(folder: Path) -> Path:
    write_tubes(folder / "tubes.jsonl", TUBES, TRUTH.labels)
    return folder / "tubes.jsonl"


@pytest.mark.parametrize("write", [write_multisports, write_act, write_retinanet3d, write_ours])
def test_tubes_of_every_form(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    found = load_tubes(write(tmp_path), TRUTH)
    assert len(found) == len(TUBES) > 5
    for tube, expected in zip(by_key(found), by_key(TUBES), strict=True):
        assert tube[:4] == expected[:4]
        np.testing.assert_allclose(tube[4], expected[4], atol=6e-4)


def test_boxes_of_frames(tmp_path: Path) -> None:
    found = load_frame_boxes(save(tmp_path / "frame_detections.pkl", plain_boxes(BOXES)), TRUTH)
    for name in ("video", "frames", "labels", "scores", "boxes"):
        np.testing.assert_array_equal(getattr(found, name), getattr(BOXES, name))
    assert found.videos == TRUTH.split(1)


def test_ground_truth_of_3d_retinanet(tmp_path: Path) -> None:
    content = {
        "classes": ["jump", "wave"],
        "trainvideos": ["a"],
        "db": {
            "a": {"numf": 30, "annotations": []},
            "b": {
                "numf": 40,
                "annotations": [
                    {"label": 1, "sf": 4, "ef": 6, "boxes": np.array([[1, 2, 3, 4], [2, 3, 4, 5]])}
                ],
            },
        },
    }
    truth = load_tube_truth(save(tmp_path / "ucf24.pkl", content))
    assert (truth.train_videos, truth.test_videos) == ((("a",),), (("b",),))
    assert truth.num_frames == {"a": 30, "b": 40}
    assert truth.tubes["b"][0].frames.tolist() == [5, 6]
    content["db"]["b"]["annotations"][0]["ef"] = 7
    with pytest.raises(ValueError, match=r"expected 3 boxes for sf 4 and ef 7, found \[2, 4\]"):
        load_tube_truth(save(tmp_path / "ucf24.pkl", content))


def wrong_truth(**changes: Any) -> dict[str, Any]:
    return plain_truth(make_truth([still("v", 0, 1, 3)])) | changes


ROWS = np.array([[1, 0, 0, 5, 5], [2, 0, 0, 5, 5], [4, 0, 0, 5, 5]], np.float32)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([1, 2], "expected a dictionary with labels"),
        ({"labels": []}, r"expected a dictionary with .* found \['labels'\]"),
        (wrong_truth(test_videos=["v"]), "test_videos: expected a list of splits"),
        (wrong_truth(test_videos=[["w"]]), "entry of gttubes for 'w' of test_videos"),
        (wrong_truth(nframes={"v": None}), r"nframes\['v'\]: expected a number of frames"),
        (wrong_truth(nframes=[3]), "nframes: expected a dictionary by video"),
        (wrong_truth(resolution={"v": (0, 320)}), r"resolution\['v'\]: expected height and width"),
        (wrong_truth(resolution={}), "entry of resolution for 'v' of test_videos"),
        (wrong_truth(labels="jump"), "labels: expected a list of names"),
        (wrong_truth(gttubes=[]), "gttubes: expected a dictionary by video"),
        (wrong_truth(gttubes={"v": {"jump": [ROWS]}}), "expected a label from 0 to 1"),
        (wrong_truth(gttubes={"v": {0: None}}), r"expected a list of tubes \[n, 5\]"),
        (wrong_truth(gttubes={"v": []}), "expected a dictionary of tubes by label"),
        (wrong_truth(gttubes={"v": {2: [ROWS]}}), "expected a label from 0 to 1"),
        (wrong_truth(gttubes={"v": {0: [ROWS]}}), "a row for every frame, found a gap"),
        (wrong_truth(gttubes={"v": {0: [ROWS[::-1]]}}), "whole frame numbers that rise from 1"),
        (wrong_truth(gttubes={"v": {0: [ROWS * 0]}}), "whole frame numbers that rise from 1"),
        (wrong_truth(gttubes={"v": {0: [ROWS[:, :4]]}}), r"expected rows \[n, 5\]"),
        (wrong_truth(gttubes={"v": {0: [ROWS * np.nan]}}), "expected finite numbers"),
    ],
)
def test_wrong_ground_truth_is_one_sentence(tmp_path: Path, content: Any, expected: str) -> None:
    path = save(tmp_path / "GT.pkl", content)
    with pytest.raises(ValueError, match=expected) as caught:
        load_tube_truth(path)
    assert str(path) in str(caught.value)


def test_scoring_needs_no_train_videos(tmp_path: Path) -> None:
    content = wrong_truth()
    del content["train_videos"]
    assert load_tube_truth(save(tmp_path / "GT.pkl", content)).train_videos == ()


class Attack:
    """Would run a command in an unpickler that knows more names."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch attacked",)


def test_nothing_in_a_pickle_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    attack = save(tmp_path / "attack.pkl", {"labels": Attack()})
    for load in (
        load_tube_truth,
        lambda p: load_tubes(p, TRUTH),
        lambda p: load_frame_boxes(p, TRUTH),
    ):
        with pytest.raises(ValueError, match="nothing in it was run"):
            load(attack)
    assert not (tmp_path / "attacked").exists()
    (tmp_path / "cut.pkl").write_bytes(attack.read_bytes()[:9])
    with pytest.raises(ValueError, match="truncated or damaged"):
        load_tube_truth(tmp_path / "cut.pkl")
    (tmp_path / "tubes.jsonl").write_text('{"video": "v0"}')
    with pytest.raises(ValueError, match="expected a pickle, found another file"):
        load_tube_truth(tmp_path / "tubes.jsonl")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (np.zeros((2, 7)), r"expected an array \[N, 8\] .* found \[2, 7\]"),
        ([1], "found list"),
        (np.array([[3, 1, 0, 0.5, 0, 0, 1, 1]]), "row 0: expected a video from 0 to 2 of split 1"),
        (np.array([[0, 1.5, 0, 0.5, 0, 0, 1, 1]]), "row 0: expected whole numbers"),
        (np.array([[0, 1, 0, np.nan, 0, 0, 1, 1]]), "expected finite numbers"),
    ],
)
def test_wrong_boxes_are_one_sentence(tmp_path: Path, content: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        load_frame_boxes(save(tmp_path / "boxes.pkl", content), TRUTH)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([1], "expected a dictionary of tubes by label, found list"),
        ({0: [("v0", 0.5)]}, r"label 0: expected a list of \(video, score, rows"),
        ({0: [("v0", 0.5, ROWS[::-1])]}, "label 0: tube 0: expected whole frame numbers"),
        ({"action": {"v0": [{"frames": [1]}]}}, "tube 0: expected frames, boxes, label_id"),
        (
            {"action": {"v0": [{"frames": [1], "boxes": ROWS, "label_id": 0, "score": 1.0}]}},
            "expected rising frames",
        ),
        ({"agent": {}, "loc": {}}, "expected --label-type, one of agent, loc"),
        (plain_truth(TRUTH), "expected detected tubes with scores, found a ground truth"),
        (
            {0: [("v0", 0.5, ROWS), ("v0", np.nan, ROWS)]},
            "score of every tube, found nan in tube 2",
        ),
    ],
)
def test_wrong_tubes_are_one_sentence(tmp_path: Path, content: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        load_tubes(save(tmp_path / "tubes.pkl", content), TRUTH)


def test_a_label_type_is_chosen_by_name(tmp_path: Path) -> None:
    both = {"agent": {}, "action": plain_retinanet3d(TUBES)}
    path = save(tmp_path / "tubes.pkl", both)
    assert len(load_tubes(path, TRUTH, label_type="action")) == len(TUBES)
    with pytest.raises(ValueError, match="one of the label types agent, action: loc"):
        load_tubes(path, TRUTH, label_type="loc")


def test_a_folder_lacks_a_video(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "inference", TRUTH, TUBES)
    (folder / "v1_tubes.pkl").unlink()
    with pytest.raises(ValueError, match=r"expected v1_tubes.pkl, and so for every test video"):
        load_tubes(folder, TRUTH)
