"""`ava-det link` and `ava-det render --tubes`: labels of every frame come back as the tubes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from ava_det.commands.link import main as link
from ava_det.commands.render import main as render
from ava_det.files.safe_pickle import load_arrays
from ava_det.formats.tubes import read_tubes


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    sizes = ["--num-train", "1", "--num-val", "1", "--seconds", "6", "--size", "96x72"]
    assert render(["--output", str(folder), *sizes, "--tubes"]) == 0
    return folder


def test_the_truth_of_tubes_is_the_dense_annotations(rendered: Path) -> None:
    truth = load_arrays(rendered / "tubes_GT.pkl")
    rows = list(csv.reader((rendered / "val_dense.csv").read_text().splitlines()))
    [video] = truth["test_videos"][0]
    assert truth["nframes"][video] == 90
    assert truth["resolution"][video] == (72, 96)
    tubes = [tube for tubes in truth["gttubes"][video].values() for tube in tubes]
    assert sum(map(len, tubes)) == len(rows)
    for tube in tubes:
        assert tube.dtype == np.float32
        assert np.diff(tube[:, 0]).tolist() == [1] * (len(tube) - 1)
        assert (tube[:, 1:3] < tube[:, 3:5]).all()
    seconds = {float(row[1]) for row in rows}
    assert min(seconds) == 900
    assert max(seconds) == pytest.approx(900 + 89 / 15, abs=1e-6)


def run_link(rendered: Path, tmp_path: Path, *options: str) -> Path:
    rows = csv.reader((rendered / "val_dense.csv").read_text().splitlines())
    detections = tmp_path / "detections.csv"
    detections.write_text("".join(",".join(row[:7]) + ",0.9\n" for row in rows))
    output = tmp_path / "tubes.jsonl"
    arguments = ["--detections", str(detections), "--frames", str(rendered / "frames.csv")]
    arguments += ["--label-map", str(rendered / "labelmap.pbtxt"), "--output", str(output)]
    assert link([*arguments, "--start-second", "900", *options]) == 0
    return output


def test_perfect_scores_give_the_true_tubes(rendered: Path, tmp_path: Path) -> None:
    tubes = read_tubes(run_link(rendered, tmp_path, "--min-frames", "1", "--method", "tracks"))
    truth = load_arrays(rendered / "tubes_GT.pkl")
    [video] = truth["test_videos"][0]
    expected = sorted(
        (label, len(tube)) for label, own in truth["gttubes"][video].items() for tube in own
    )
    assert sorted((tube.label, len(tube)) for tube in tubes) == expected


@pytest.mark.parametrize("method", ["act", "mmaction2", "yowo"])
def test_the_other_methods_give_tubes_of_the_same_labels(
    rendered: Path, tmp_path: Path, method: str
) -> None:
    tubes = read_tubes(run_link(rendered, tmp_path, "--min-frames", "1", "--method", method))
    truth = load_arrays(rendered / "tubes_GT.pkl")
    [video] = truth["test_videos"][0]
    assert {tube.label for tube in tubes} <= set(truth["gttubes"][video])
    assert tubes


def test_detections_of_nobody_give_no_tube_which_is_said(
    rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.csv").touch()
    arguments = ["--frames", str(rendered / "frames.csv"), "--output", str(tmp_path / "t.jsonl")]
    arguments += ["--label-map", str(rendered / "labelmap.pbtxt")]
    assert link([*arguments, "--detections", str(tmp_path / "empty.csv")]) == 0
    said = capsys.readouterr()
    assert "empty.csv: no tube comes of its 0 rows" in said.err
    assert "t.jsonl: 0 tubes of 0 videos" in said.out
    assert list(read_tubes(tmp_path / "t.jsonl")) == []


def test_a_video_without_a_rate_is_named(
    rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "frames.csv").write_text("video_id,name,fps,num_frames,width,height\n")
    detections = tmp_path / "detections.csv"
    detections.write_text("walk,0902,0.1,0.1,0.5,0.5,12,0.9\n")
    arguments = ["--detections", str(detections), "--frames", str(tmp_path / "frames.csv")]
    arguments += ["--label-map", str(rendered / "labelmap.pbtxt")]
    assert link([*arguments, "--output", str(tmp_path / "tubes.jsonl")]) == 2
    assert "found none for walk" in capsys.readouterr().err


def test_steps_that_tracks_do_not_need_are_refused(
    rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_link(rendered, tmp_path, "--every", "5")
    assert "--every: expected another --method" in capsys.readouterr().err


def test_without_low_a_tube_ends_at_half_of_the_score_it_must_reach(
    rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_tubes(run_link(rendered, tmp_path, "--high", "0.05", "--min-frames", "1"))
    with pytest.raises(SystemExit):
        run_link(rendered, tmp_path, "--high", "0.05", "--low", "0.1")
    assert "--low: expected at most --high 0.05, received 0.1" in capsys.readouterr().err
