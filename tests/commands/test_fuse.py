"""`ava-det fuse`: what it writes, prints, scores and refuses."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ava_det.evaluation import evaluate_csv
from tests.support.tool_runs import RunTool, assert_mistake

MAP = "".join(f'item {{ name: "act {i}" id: {i} }}\n' for i in (1, 2, 3))
BOX = "0.1,0.2,0.5,0.8"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """60 keyframes of two persons with one action each, and two networks that err apart from each
    other: `a.csv` less than `b.csv`, whose boxes lie a little aside and lack every tenth person.
    """
    random = np.random.default_rng(0)
    lines: dict[str, list[str]] = {"val": [], "a": [], "b": []}
    for second in range(902, 962):
        for person in range(2):
            x, y = random.uniform(0, 0.15, 2) + 0.5 * person
            action = int(random.integers(1, 4))
            for name, noise, shift in (("val", 0, 0), ("a", 0.35, 0), ("b", 0.45, 0.01)):
                box = ",".join(f"{v:.3f}" for v in (x + shift, y, x + 0.3 + shift, y + 0.35))
                if name == "val":
                    lines[name].append(f"v,{second},{box},{action},{person}")
                elif name == "a" or random.uniform() < 0.9:
                    for i in (1, 2, 3):
                        logit = (i == action) + random.normal() * noise * 2 - 1
                        score = 1 / (1 + np.exp(-logit))
                        lines[name].append(f"v,{second},{box},{i},{np.float32(score)}")
    for name, rows in lines.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "map.pbtxt").write_text(MAP)
    return tmp_path


def score(folder: Path, name: str) -> float:
    files = (folder / "val.csv", folder / name, folder / "map.pbtxt")
    return float(evaluate_csv(*files)["mAP"])


def truth_of(folder: Path) -> list[object]:
    return [folder / "val.csv", "--label-map", folder / "map.pbtxt"]


def test_an_ensemble_beats_its_members_and_is_scored_as_written(
    folder: Path, run_tool: RunTool
) -> None:
    files = [folder / "a.csv", folder / "b.csv"]
    options = ["--output", folder / "c.csv", "--annotations", *truth_of(folder)]
    code, out, err = run_tool("fuse", *files, *options)
    assert code == 0, err
    alone = [score(folder, "a.csv"), score(folder, "b.csv")]
    fused = score(folder, "c.csv")
    assert fused > max(alone) > min(alone)
    assert f"{folder}/c.csv: 360 rows of 2 files, weights 1, 1" in out
    assert f"{alone[0]:.4f}  {folder}/a.csv, weight 1" in out
    said = f"frame mAP {fused:.4f} at IoU 0.5, activitynet-2020, {fused - max(alone):+.4f} over"
    assert said in out


def test_a_matched_pair_is_written_with_its_mean(tmp_path: Path, run_tool: RunTool) -> None:
    (tmp_path / "a.csv").write_text(f"v,0902,{BOX},1,0.2\nv,0902,0.6,0.6,0.9,0.9,1,0.5\n")
    (tmp_path / "b.csv").write_text("v,902,0.15,0.2,0.55,0.8,1,0.7\n")
    arguments = ["--weights", 1, 1.5, "--output", tmp_path / "c.csv"]
    code, _, err = run_tool("fuse", tmp_path / "a.csv", tmp_path / "b.csv", *arguments)
    assert code == 0, err
    expected = "v,0902,0.13,0.2,0.53,0.8,1,0.5\nv,0902,0.6,0.6,0.9,0.9,1,0.2\n"
    assert (tmp_path / "c.csv").read_text() == expected
    run_tool("fuse", tmp_path / "a.csv", tmp_path / "b.csv", *arguments, "--iou", 0.9)
    assert len((tmp_path / "c.csv").read_text().splitlines()) == 3


def test_pooled_boxes_keep_the_surest_of_each_action(tmp_path: Path, run_tool: RunTool) -> None:
    (tmp_path / "a.csv").write_text(f"v,0902,{BOX},1,0.2\nv,0902,{BOX},2,0.5\n")
    (tmp_path / "b.csv").write_text(
        "v,902,0.15,0.2,0.55,0.8,1,0.7\nv,902,0.15,0.2,0.55,0.8,2,0.4\n"
    )
    arguments = ["--pool", "--output", tmp_path / "c.csv"]
    code, out, err = run_tool("fuse", tmp_path / "a.csv", tmp_path / "b.csv", *arguments)
    assert code == 0, err
    assert "note: of boxes that overlap by 0.5 the surest stays, class by class" in out
    expected = f"v,0902,{BOX},2,0.5\nv,0902,0.15,0.2,0.55,0.8,1,0.7\n"
    assert (tmp_path / "c.csv").read_text() == expected


def test_a_file_with_a_copy_of_itself_is_itself_to_the_byte(
    folder: Path, run_tool: RunTool
) -> None:
    run_tool("fuse", folder / "a.csv", folder / "b.csv", "--output", folder / "c.csv")
    (folder / "copy.csv").write_bytes((folder / "c.csv").read_bytes())
    options = ["--weights", 1, 1.7, "--output", folder / "d.csv"]
    code, _, err = run_tool("fuse", folder / "c.csv", folder / "copy.csv", *options)
    assert code == 0, err
    assert (folder / "d.csv").read_bytes() == (folder / "c.csv").read_bytes()


def test_fitted_weights_are_said_with_the_set(folder: Path, run_tool: RunTool) -> None:
    files = [folder / "a.csv", folder / "b.csv"]
    run_tool("fuse", *files, "--output", folder / "c.csv")
    options = ["--output", folder / "fitted.csv", "--fit", *truth_of(folder)]
    code, out, err = run_tool("fuse", *files, *options)
    assert code == 0, err
    fitted = score(folder, "fitted.csv")
    assert fitted >= max(score(folder, name) for name in ("a.csv", "b.csv", "c.csv"))
    note = re.search(r"note: weights (\S+), (\S+) were fitted on \S+val\.csv .* mAP (\S+) ", out)
    assert note is not None and note[3] == f"{fitted:.4f}"
    again = ["--weights", note[1], note[2], "--output", folder / "again.csv"]
    run_tool("fuse", *files, *again)
    assert score(folder, "again.csv") == pytest.approx(fitted, abs=1e-3)


def test_the_page(folder: Path, run_tool: RunTool) -> None:
    pytest.importorskip("matplotlib")
    files = [folder / "a.csv", folder / "b.csv"]
    options = ["--output", folder / "c.csv", "--report", folder / "gain.html"]
    code, out, err = run_tool("fuse", *files, *options, "--fit", *truth_of(folder))
    assert code == 0, err
    assert f"report: {folder}/gain.html" in out
    page = (folder / "gain.html").read_text()
    for text in (
        f"{score(folder, 'c.csv'):.4f}",
        f"{score(folder, 'a.csv'):.4f}",
        f"{score(folder, 'b.csv'):.4f}",
        "1 a.csv, weight ",
        "were fitted on",
        "Gains by class",
        "gain over the best",
        "act 3",
    ):
        assert text in page, text
    assert not re.search(r'<(script|img|link)[^>]*(src|href)="http', page)


def test_an_action_that_a_file_lacks_is_said(tmp_path: Path, run_tool: RunTool) -> None:
    (tmp_path / "a.csv").write_text(f"v,902,{BOX},1,0.4\nv,902,{BOX},2,0.4\n")
    (tmp_path / "b.csv").write_text(f"v,902,{BOX},2,0.4\n")
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    code, out, _ = run_tool("fuse", *files, "--output", tmp_path / "c.csv")
    assert code == 0
    assert "b.csv: no row of 1 of the 2 actions of all files (1), which count as score 0" in out


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (f"w,902,{BOX},1,0.5", "other.csv: expected the videos of "),
        (f"v,903,{BOX},1,0.5", "found other timestamps alone in v"),
        (f"v,902,{BOX},1,nan", "other.csv, line 1: expected a score from 0 to 1"),
        (f"v,902,{BOX},1,-2.5", "as a sigmoid gives it, found -2.5"),
        ("v,902,10,20,50,80,1,0.5", "other.csv, line 1: expected a box x1,y1,x2,y2 in fractions"),
        (f"v,902,{BOX},1,0.5\nv,0902,{BOX},1,0.4", "other.csv, line 2: expected one row for each"),
        ("", "other.csv: expected detections, found no row"),
        ('{"video": "v"}', "other.csv"),
    ],
)
def test_files_that_cannot_be_fused(
    tmp_path: Path, run_tool: RunTool, second: str, expected: str
) -> None:
    (tmp_path / "a.csv").write_text(f"v,902,{BOX},1,0.4\n")
    (tmp_path / "other.csv").write_text(second and second + "\n")
    files = [tmp_path / "a.csv", tmp_path / "other.csv"]
    assert_mistake(run_tool("fuse", *files, "--output", tmp_path / "c.csv"), expected)
    assert not (tmp_path / "c.csv").exists()


def test_one_file_given_twice(folder: Path, run_tool: RunTool) -> None:
    (folder / "link.csv").symlink_to(folder / "a.csv")
    for again in ("a.csv", "link.csv"):
        files = [folder / "a.csv", folder / again]
        result = run_tool("fuse", *files, "--output", folder / "c.csv")
        assert_mistake(result, "expected each result file once", "twice")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--weights", 1], "--weights: expected one for each of 2 files, received 1"),
        (["--weights", 0, 0], "--weights: expected one above 0, received zeros alone"),
        (["--weights", 1, -1], "expected a number of 0 or more, received '-1'"),
        (["--weights", 1, 1, "--fit", "val.csv"], "--weights: expected none beside --fit"),
        (["--iou", 0], "expected an IoU above 0 and up to 1, received '0'"),
        (["--fit", "val.csv"], "--label-map: expected the label map of the ground truth"),
        (["--report", "r.html"], "--report: expected ground truth, --annotations or --fit"),
        (["--output", "a.csv"], "a.csv would be overwritten"),
        (["--fit", "a.csv", "--label-map", "map.pbtxt"], "a.csv"),
        (["--annotations", "absent.csv", "--label-map", "map.pbtxt"], "absent.csv"),
    ],
)
def test_options_that_do_not_go_together(
    folder: Path,
    run_tool: RunTool,
    monkeypatch: pytest.MonkeyPatch,
    options: list[object],
    expected: str,
) -> None:
    monkeypatch.chdir(folder)
    assert_mistake(run_tool("fuse", "a.csv", "b.csv", "--output", "c.csv", *options), expected)
    assert not (folder / "c.csv").exists()


def test_ground_truth_of_other_videos_fits_nothing(folder: Path, run_tool: RunTool) -> None:
    (folder / "val.csv").write_text(f"w,902,{BOX},1,0\n")
    options = ["--output", folder / "c.csv", "--fit", *truth_of(folder)]
    result = run_tool("fuse", folder / "a.csv", folder / "b.csv", *options)
    assert_mistake(result, "val.csv: expected ground truth that the detections meet, found mAP 0")
