"""`ava-det score --task frame|video`: what it prints, writes and refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ava_det.commands.score import main
from ava_det.evaluation.tubes import TUBE_PROTOCOLS, evaluate_frames, evaluate_tubes
from tests.support.tube_cases import make_random
from tests.support.tube_files import plain_boxes, plain_truth, plain_tubes, save

TRUTH, TUBES, BOXES = make_random(1)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    return {
        "truth": str(save(tmp_path / "GT.pkl", plain_truth(TRUTH))),
        "tubes": str(save(tmp_path / "video_detections.pkl", plain_tubes(TUBES, 3))),
        "boxes": str(save(tmp_path / "frame_detections.pkl", plain_boxes(BOXES))),
    }


def score(task: str, files: dict[str, str], *options: str) -> int:
    detections = files["tubes" if task == "video" else "boxes"]
    given = ["--annotations", files["truth"], "--detections", detections, *options]
    return main(["--task", task, *given])


def test_video(files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score("video", files, "--errors", "0.5", "--json", f"{tmp_path}/r.json") == 0
    said = capsys.readouterr().out
    result = json.loads((tmp_path / "r.json").read_text())
    expected = evaluate_tubes(TRUTH, TUBES, thresholds=[0.5, 0.2, 0.75]).by_threshold
    for name, shown in expected.items():
        assert result["by_threshold"][f"{name:g}"]["mAP"] == pytest.approx(shown.mean_ap)
        assert f"video mAP {shown.mean_ap:.4f} at IoU {name:g}, multisports, split 1" in said
    assert said.rstrip().splitlines()[-1].startswith("video mAP")
    assert "at IoU 0.10:0.90, multisports" in said
    assert set(result["ranges"]) == {"0.05:0.45", "0.10:0.90", "0.50:0.95"}
    assert "Time+Loc" in said and result["errors"]["threshold"] == 0.5


def test_frame(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert score("frame", files, "--protocol", "act") == 0
    expected = evaluate_frames(TRUTH, BOXES, "act").by_threshold[0.5].mean_ap
    assert f"frame mAP {expected:.4f} at IoU 0.5, act, split 1, 5 videos" in capsys.readouterr().out


def test_all_protocols(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score("video", files, "--protocol", "all", "--json", f"{tmp_path}/r.json") == 0
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()] == list(TUBE_PROTOCOLS)
    assert "yowo-spatial  error: protocol yowo-spatial: expected tubes over all frames" in said
    result = json.loads((tmp_path / "r.json").read_text())
    assert set(result) == set(TUBE_PROTOCOLS) and "error" in result["yowo-spatial"]


def test_the_page(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    fewer = save(tmp_path / "fewer.pkl", plain_tubes(TUBES[::2], 3))
    options = ("--report", f"{tmp_path}/page", "--compare", str(fewer), "--errors", "0.2")
    assert score("video", files, *options, "--protocol", "multisports") == 0
    assert "gain in AP over" in capsys.readouterr().out
    page = (tmp_path / "page/index.html").read_text()
    shown = evaluate_tubes(TRUTH, TUBES, thresholds=[0.5]).by_threshold[0.5].mean_ap
    for text in (
        "Video mAP of tubes",
        f"{shown:.4f}",
        "Average precision by class",
        "Gains by class",
        "Precision and recall",
        "mAP over 0.10:0.90",
        "Time+Loc (",
        "removed for a better one",
    ):
        assert text in page, text
    assert not re.search(r'<(script|img|link)[^>]*(src|href)="http', page)
    assert score("frame", files, "--report", f"{tmp_path}/frames", "--protocol", "act") == 0
    assert "by trapezoids" in (tmp_path / "frames/index.html").read_text()


@pytest.mark.parametrize(
    ("task", "options", "expected"),
    [
        ("video", ["--split", "2"], "expected a split from 1 to 1, found 2"),
        ("video", ["--protocol", "pyslowfast"], "--protocol pyslowfast: expected one of multis"),
        ("video", ["--label-map", "x"], "--label-map: expected --task ava, found --task video"),
        ("frame", ["--errors", "0.5"], "--errors: expected --task video, found --task frame"),
        ("video", ["--iou", "1.5"], "expected an IoU above 0 and up to 1, found 1.5"),
        ("video", ["--protocol", "all", "--report", "x"], "--report: expected one --protocol"),
        ("video", ["--protocol", "act", "--errors", "0.5"], "expected multisports or mmaction2"),
        ("ava", ["--label-map", "x", "--split", "2"], "--split: expected --task frame or video"),
        ("ava", ["--label-map", "x", "--protocol", "act"], "act: expected --task frame or video"),
        ("ava", [], "--label-map: expected the label map of AVA's CSVs"),
    ],
)
def test_mistakes(
    files: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    task: str,
    options: list[str],
    expected: str,
) -> None:
    assert score(task, files, *options) == 2
    said = capsys.readouterr().err
    assert expected in said and len(said.strip().splitlines()) == 1


def test_a_file_is_absent_or_would_be_overwritten(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert score("video", files, "--json", files["truth"]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert score("video", files | {"tubes": "absent.pkl"}) == 2
    assert "absent.pkl" in capsys.readouterr().err
