"""`ava-det prepare-tubes` on generated files of the forms of UCF101-24, JHMDB and MultiSports."""

from __future__ import annotations

import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ava_det.commands.prepare_tubes import main
from ava_det.formats.annotations import (
    keyframes_from_annotations,
    load_annotations,
    load_boxes,
)
from ava_det.formats.label_map import load_label_map
from ava_det.formats.tubes.frame_table import read_frame_table
from ava_det.video.sources import find_videos
from tests.support.numbered_video import write_numbered_video

VIDEOS = ["Basketball/v_Basketball_g01_c01", "Diving/v_Diving_g02_c03"]


def make_truth(splits: int = 1) -> dict[str, Any]:
    """Two videos of 320x240: two persons on frames 3..7 of one, one on frame 1 of the other."""
    frames = np.arange(3, 8)
    first, second = (
        np.stack([frames, x + frames, 0 * frames + 24, x + 32 + frames, 0 * frames + 120], axis=1)
        for x in (32, 160)
    )
    gttubes = {
        VIDEOS[0]: {0: [first.astype(np.float32), second.astype(np.float32)]},
        VIDEOS[1]: {1: [np.array([[1, 0, 0, 319, 239]], np.float32)]},
    }
    return {
        "labels": ["Basketball", "Diving"],
        "train_videos": [VIDEOS[:1]] * splits,
        "test_videos": [VIDEOS[1:]] * splits,
        "nframes": {VIDEOS[0]: 10, VIDEOS[1]: 12},
        "resolution": dict.fromkeys(VIDEOS, (240, 320)),
        "gttubes": gttubes,
    }


def write(path: Path, content: object) -> str:
    path.write_bytes(pickle.dumps(content, protocol=2))
    return str(path)


def prepare(tmp_path: Path, truth: dict[str, Any], *options: str) -> Path:
    output = tmp_path / "annotations"
    source = write(tmp_path / "GT.pkl", truth)
    assert main(["--truth", source, "--output", str(output), *options]) == 0
    return output


def test_tubes_become_keyframes_of_every_frame(tmp_path: Path) -> None:
    output = prepare(tmp_path, make_truth())
    keyframes = keyframes_from_annotations(load_annotations(output / "train.csv"), 2)
    times = [keyframe.timestamp for keyframe in keyframes]
    assert times == pytest.approx([frame / 25 for frame in range(2, 7)])
    for frame, keyframe in enumerate(keyframes, 3):
        assert keyframe.video_id == "v_Basketball_g01_c01"
        expected = [[x + frame, 24, x + 32 + frame, 120] for x in (32, 160)]
        pixels = keyframe.boxes * torch.tensor([320, 240, 320, 240])
        torch.testing.assert_close(pixels, torch.tensor(expected).float(), atol=0.02, rtol=0)
        assert keyframe.labels is not None
        assert keyframe.labels.tolist() == [[1, 0], [1, 0]]
    [other] = keyframes_from_annotations(load_annotations(output / "val.csv"), 2)
    assert (other.timestamp, other.video_id) == (0, "v_Diving_g02_c03")
    assert load_label_map(output / "labelmap.pbtxt") == {1: "Basketball", 2: "Diving"}


def test_times_go_back_to_the_frames_of_the_truth(tmp_path: Path) -> None:
    output = prepare(tmp_path, make_truth(), "--fps", "30000/1001")
    video = read_frame_table(output / "frames.csv")["v_Basketball_g01_c01"]
    assert (video.name, video.num_frames, video.width, video.height) == (VIDEOS[0], 10, 320, 240)
    rows = load_annotations(output / "train.csv")
    assert sorted({video.find_frame(time) for time in rows.timestamps}) == [3, 4, 5, 6, 7]


def test_three_splits_have_files_of_their_own(tmp_path: Path) -> None:
    output = prepare(tmp_path, make_truth(splits=3))
    names = {path.name for path in output.glob("*.csv")}
    expected = {f"{kind}{number}.csv" for kind in ("train", "val") for number in (1, 2, 3)}
    assert names == expected | {"frames.csv"}


def test_person_boxes_of_multisports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boxes = {
        "v_Diving_g02_c03,0001": np.array([[0.1, 0.2, 0.3, 0.4, 0.95], [0.5, 0.5, 1.01, 0.9, 0.5]]),
        "v_Diving_g02_c03.mp4,12": np.array([[0.1, 0.2, 0.3, 0.4, 0.85]]),
        "v_Other_c001,0001": np.zeros((1, 5)),
    }
    source = write(tmp_path / "boxes.pkl", boxes)
    output = prepare(tmp_path, make_truth(), "--person-boxes-val", source)
    found = load_boxes(output / "person_boxes_val.csv", min_score=0.0)
    assert sorted(float(key.timestamp) for key in found) == [0.0, 0.44]
    first = min(found.items(), key=lambda item: float(item[0].timestamp))[1]
    torch.testing.assert_close(first.boxes[1], torch.tensor([0.5, 0.5, 1.0, 0.9]))
    said = capsys.readouterr().out
    assert "boxes.pkl: 1 frames are of videos of no val split and left out" in said
    assert "person_boxes_val.csv: 3 boxes" in said


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert not prepare(tmp_path, make_truth(), "--dry-run").exists()


def test_mistakes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = ["--output", str(tmp_path / "out")]
    twice = make_truth()
    twice["nframes"]["Other/v_Diving_g02_c03"] = 3
    twice["resolution"]["Other/v_Diving_g02_c03"] = (240, 320)
    source = write(tmp_path / "twice.pkl", twice)
    assert main(["--truth", source, *output]) == 2
    assert "have the same video id v_Diving_g02_c03" in capsys.readouterr().err
    good = write(tmp_path / "good.pkl", make_truth())
    (tmp_path / "videos").mkdir()
    assert main(["--truth", good, *output, "--videos", str(tmp_path / "videos")]) == 2
    assert "expected videos such as v_Basketball_g01_c01" in capsys.readouterr().err
    wrong = {
        "expected a key video,frame": {"v_Diving_g02_c03": np.zeros((1, 5))},
        "with list": {"v_Diving_g02_c03,1": ["jump"]},
        "with [1, 4]": {"v_Diving_g02_c03,1": np.zeros((1, 4))},
        "such as v_Diving_g02_c03, found none": {"v_Basketball_g01_c01,1": np.zeros((1, 5))},
        "expected a pickle of": [1],
    }
    for expected, content in wrong.items():
        boxes = write(tmp_path / "boxes.pkl", content)
        assert main(["--truth", good, *output, "--person-boxes-val", boxes]) == 2
        assert expected in capsys.readouterr().err
    (tmp_path / "list.txt").write_text(f"{VIDEOS[0]}\n")
    assert main(["--truth", str(tmp_path / "list.txt"), *output]) == 2
    assert "expected a pickle, found another file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_videos_of_another_length_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, count in zip(VIDEOS, (10, 17), strict=True):
        path = tmp_path / "videos" / f"{name}.mp4"
        path.parent.mkdir(parents=True)
        write_numbered_video(path, [Fraction(number, 25) for number in range(count)], rate=25)
    prepare(tmp_path, make_truth(), "--videos", str(tmp_path / "videos"))
    assert "1 videos have another number of frames than the ground truth" in capsys.readouterr().err
    truth = make_truth()
    truth["nframes"][VIDEOS[1]] = 16
    prepare(tmp_path, truth, "--videos", str(tmp_path / "videos"))
    assert "another number of frames" not in capsys.readouterr().err


def test_person_boxes_belong_to_one_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = make_truth(splits=3)
    source = write(tmp_path / "three.pkl", truth)
    boxes = write(tmp_path / "boxes.pkl", {"v_Diving_g02_c03,1": np.zeros((1, 5))})
    output = ["--output", str(tmp_path / "out")]
    assert main(["--truth", source, *output, "--person-boxes-val", boxes]) == 2
    assert "expected ground truth with one split of val" in capsys.readouterr().err
    del truth["train_videos"]
    truth["test_videos"] = truth["test_videos"][:1]
    source = write(tmp_path / "scored.pkl", truth)
    assert main(["--truth", source, *output, "--person-boxes-train", boxes]) == 2
    assert "one split of train, " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["--truth", source, *output, "--person-boxes-val", boxes]) == 0
    assert not (tmp_path / "out" / "train.csv").exists()


def test_videos_in_folders_of_classes_are_found(tmp_path: Path) -> None:
    for name in VIDEOS:
        path = tmp_path / f"{name}.avi"
        path.parent.mkdir()
        path.touch()
    found = find_videos(tmp_path)
    assert {name: path.parent.name for name, path in found.items()} == {
        "v_Basketball_g01_c01": "Basketball",
        "v_Diving_g02_c03": "Diving",
    }
    (tmp_path / "whole.mp4").touch()
    assert list(find_videos(tmp_path)) == ["whole"]
