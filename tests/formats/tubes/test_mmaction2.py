"""MMAction2's forms of MultiSports: CSVs of tubes, label_map.txt, dumped results."""

from __future__ import annotations

import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ava_det.commands.prepare_tubes import main
from ava_det.evaluation.tubes import evaluate_frames
from ava_det.formats.annotations import load_annotations, load_boxes
from ava_det.formats.tubes import load_frame_boxes, load_tube_truth
from ava_det.formats.tubes.frame_table import read_frame_table
from ava_det.formats.tubes.mmaction2 import make_tubes, read_label_names, read_rows
from tests.support.numbered_video import write_numbered_video
from tests.support.tube_cases import make_random, make_truth, still

TRAIN, VAL = "aerobic_gymnastics/v_a_c001", "football/v_b_c002"
BOX = "0.250,0.500,0.750,1.000"


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def row(video: str, frame: int, label: int, number: int = 0, box: str = BOX) -> str:
    return f"{video}.mp4,{frame},{box},{label},{number}"


def test_rows_become_tubes(tmp_path: Path) -> None:
    rows = [row(TRAIN, frame, 1) for frame in (4, 3, 7, 8)]  # frames 5 and 6 are left out
    rows += [row(TRAIN, 9, 1, number=1), row(TRAIN, 9, 0)]
    videos = read_rows(write(tmp_path / "a.csv", *rows, ""))
    tubes = make_tubes(TRAIN, videos[TRAIN], width=1280, height=720)
    assert [(tube.label, tube.frames.tolist()) for tube in tubes] == [
        (0, [9]),
        (1, [3, 4]),
        (1, [7, 8]),
        (1, [9]),
    ]
    assert tubes[1].boxes.tolist() == [[320, 360, 960, 720]] * 2


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("v.mp4,1,0.1,0.2,0.3,0.4,5", "line 2: expected video.mp4,frame,x1,y1,x2,y2,label,tube"),
        ("v.mp4,1.5,0.1,0.2,0.3,0.4,5,0", "line 2: expected video.mp4,frame"),
        ("v.mp4,0,0.1,0.2,0.3,0.4,5,0", "line 2: expected a frame from 1"),
        ("v.mp4,1,10,20,30,40,5,0", "a box in fractions of the picture"),
        ("v.mp4,1,0.3,0.2,0.1,0.4,5,0", "a box in fractions of the picture"),
        ("v.mp4,1,0.1,nan,0.3,0.4,5,0", "a box in fractions of the picture"),
        (row(TRAIN, 3, 1), "line 2: expected one box of tube 0 of label 1 on frame 3"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, line: str, expected: str) -> None:
    path = write(tmp_path / "a.csv", row(TRAIN, 3, 1), line)
    with pytest.raises(ValueError, match=expected):
        read_rows(path)


def test_label_names(tmp_path: Path) -> None:
    path = write(tmp_path / "names.txt", "0: aerobic_push_up", "1: football_shoot")
    assert read_label_names(path) == ("aerobic push up", "football shoot")
    write(path, "1: aerobic_push_up")
    with pytest.raises(ValueError, match="line 1: expected a line such as 0: aerobic_push_up"):
        read_label_names(path)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two videos of 64 x 48 pixels and 30 frames, 10 a second, and what MMAction2 has of them."""
    for video in (TRAIN, VAL):
        path = tmp_path / "videos" / f"{video}.mp4"
        path.parent.mkdir(parents=True)
        write_numbered_video(path, [Fraction(number, 10) for number in range(30)], rate=10)
    train = write(tmp_path / "multisports_train.csv", row(TRAIN, 3, 1), row(TRAIN, 4, 1))
    val = write(tmp_path / "multisports_val.csv", row(VAL, 30, 0))
    names = write(tmp_path / "label_map.txt", "0: football_shoot", "1: aerobic_push_up")
    options = ["--labels", str(names), "--videos", str(tmp_path / "videos")]
    return ["--truth", str(train), str(val), *options, "--output", str(tmp_path / "out")]


def test_csvs_become_annotations(tmp_path: Path, files: list[str]) -> None:
    boxes = {f"{VAL}.mp4,0030": np.array([[0.1, 0.2, 0.3, 0.4, 0.9]])}
    (tmp_path / "val.pkl").write_bytes(pickle.dumps(boxes))
    assert main([*files, "--person-boxes-val", str(tmp_path / "val.pkl")]) == 0
    rows = load_annotations(tmp_path / "out/train.csv")
    assert rows.video_names == ["v_a_c001"]
    assert rows.timestamps.tolist() == pytest.approx([0.2, 0.3])
    assert rows.boxes.tolist() == [[0.25, 0.5, 0.75, 1.0]] * 2
    assert rows.action_ids.tolist() == [2, 2]
    [key] = load_boxes(tmp_path / "out/person_boxes_val.csv", min_score=0.0)
    assert float(key.timestamp) == pytest.approx(2.9)
    video = read_frame_table(tmp_path / "out/frames.csv")["v_b_c002"]
    assert (video.name, video.fps, video.num_frames, video.width) == (VAL, 10, 30, 64)
    truth = load_tube_truth(tmp_path / "out/tubes_GT.pkl")
    assert truth.labels == ("football shoot", "aerobic push up")
    assert (truth.train_videos, truth.test_videos) == (((TRAIN,),), ((VAL,),))
    assert truth.tubes[TRAIN][0].boxes.tolist() == [[16, 24, 48, 48]] * 2


def test_what_a_csv_needs_is_said(
    tmp_path: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def say(*arguments: str) -> str:
        assert main(list(arguments)) == 2
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    _, train, val, *options = files
    assert "or the CSVs of train and val" in say("--truth", train, *options)
    assert "in one of them" in say("--truth", train, train, *options)
    assert "expected --labels label_map.txt" in say("--truth", train, val, *options[2:])
    assert "expected --videos" in say("--truth", train, val, *options[:2], *options[4:])
    write(Path(options[1]), "0: football_shoot")
    assert "expected labels from 0 to 0, of which" in say(*files)
    write(Path(options[1]), "0: football_shoot", "1: aerobic_push_up")
    (tmp_path / "videos" / f"{VAL}.mp4").unlink()
    assert "1 of 2 are missing, such as v_b_c002" in say(*files)


def to_results(truth: Any, boxes: Any) -> list[dict[str, Any]]:
    """The boxes as MMAction2 dumps them: tensors, and a score for every label."""
    results = []
    for place, video in enumerate(boxes.videos):
        height, width = truth.resolution[video]
        for frame in sorted(set(boxes.frames[boxes.video == place].tolist())):
            mine = (boxes.video == place) & (boxes.frames == frame)
            scores = np.zeros((int(mine.sum()), len(truth.labels)), np.float32)
            scores[np.arange(len(scores)), boxes.labels[mine]] = boxes.scores[mine]
            found = boxes.boxes[mine] / np.array([width, height] * 2)
            instances = {
                "bboxes": torch.from_numpy(found.astype(np.float32)),
                "scores": torch.from_numpy(scores),
            }
            keyframe = {"video_id": f"{video}.mp4", "timestamp": frame, "img_shape": (48, 64)}
            results.append(keyframe | {"pred_instances": instances})
    return results


def test_dumped_results_score_as_the_array_of_their_boxes(tmp_path: Path) -> None:
    truth, _, boxes = make_random(0, num_videos=3)
    path = tmp_path / "results.pkl"
    path.write_bytes(pickle.dumps(to_results(truth, boxes)))
    found = load_frame_boxes(path, truth)
    assert len(found) == len(boxes)
    expected = evaluate_frames(truth, boxes, "mmaction2").by_threshold[0.5].mean_ap
    assert evaluate_frames(truth, found, "mmaction2").by_threshold[0.5].mean_ap == pytest.approx(
        expected, abs=1e-4
    )


class Attack:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("attacked"),))


def test_a_wrong_result_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    truth, _, boxes = make_random(0, num_videos=3)
    good = to_results(truth, boxes)[0]
    path = tmp_path / "results.pkl"
    wrong = {
        "such as v0, found other": good | {"video_id": "other.mp4"},
        "expected video_id, timestamp and pred_instances": {"video_id": "v0"},
        "expected bboxes .n, 4. and scores": good
        | {"pred_instances": {"bboxes": torch.zeros(2, 4), "scores": torch.zeros(2, 99)}},
        "nothing in it was run": good | {"metainfo": Attack()},
    }
    for expected, result in wrong.items():
        path.write_bytes(pickle.dumps([result]))
        with pytest.raises(ValueError, match=expected):
            load_frame_boxes(path, truth)
    inner = pickle.dumps([good | {"pred_instances": {"bboxes": torch.zeros(1)}}])
    path.write_bytes(inner[: len(inner) // 2])
    with pytest.raises(ValueError, match="truncated or damaged"):
        load_frame_boxes(path, truth)


def test_bytes_in_a_tensor_that_would_run_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Attack(), tmp_path / "inner.pt")

    class Storage:
        def __reduce__(self) -> Any:
            load = torch.storage._load_from_bytes
            return (load, ((tmp_path / "inner.pt").read_bytes(),))

    path = tmp_path / "results.pkl"
    path.write_bytes(pickle.dumps([{"video_id": Storage()}]))
    with pytest.raises(ValueError, match="nothing in it was run"):
        load_frame_boxes(path, make_truth([still("v", 0, 1, 2)]))
    assert not (tmp_path / "attacked").exists()
