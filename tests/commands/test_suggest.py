"""ava-det suggest on the small synthetic set, with weights that nobody trained."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from ava_det.formats.annotations import load_annotations
from tests.support.tool_runs import RunTool, assert_mistake


def read_rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def labeled(synthetic: Path, tmp_path: Path) -> Path:
    """The first two seconds of two videos of training."""
    lines = (synthetic / "train.csv").read_text().splitlines()
    some = [line for line in lines if line.startswith(("train_00000,0902", "train_00001,0903"))]
    path = tmp_path / "labeled.csv"
    path.write_text("\n".join([*some, ""]))
    return path


@pytest.fixture
def boxes(synthetic: Path, tmp_path: Path) -> Path:
    """A person on each keyframe of all videos, as a detector would write them."""
    rows = [
        f"{video},{second:04d},0.2,0.2,0.4,0.9,,0.9"
        for video in ("train_00000", "train_00001", "train_00002", "val_000000")
        for second in range(902, 906)
    ]
    path = tmp_path / "boxes.csv"
    path.write_text("\n".join([*rows, ""]))
    return path


@pytest.fixture
def suggest(
    run_tool: RunTool,
    synthetic_config: list[str],
    weights: Path,
    synthetic: Path,
    labeled: Path,
    tmp_path: Path,
) -> RunTool:
    """Runs it on the labels of `labeled`; what is given again replaces what is here."""
    given = [
        *synthetic_config,
        *(f"data.train.annotations={labeled}", "data.train.excluded=null"),
        *("--weights", weights, "--videos", synthetic / "videos", "--output", tmp_path / "next"),
    ]
    return lambda *options: run_tool("suggest", *given, *options)


def test_suggestions_drafts_and_the_page(
    suggest: RunTool, run_tool: RunTool, synthetic: Path, boxes: Path, tmp_path: Path
) -> None:
    output = tmp_path / "next"
    options = ["--boxes", boxes, "--count", 5, "--format", "via"]
    code, out, err = suggest(*options)
    assert code == 0, err
    assert "labeled boxes of data.val: sigmoid(" in out
    rows = read_rows(output / "suggestions.csv")
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    moments = {(row["video"], row["second"]) for row in rows}
    assert len(moments) == 5
    assert not moments & {("train_00000", "0902"), ("train_00001", "0903")}
    assert not any(video.startswith("val") for video, _ in moments)
    page = (output / "suggestions.html").read_text()
    assert page.count('src="data:image/jpeg') == 5
    assert not re.search(r'(src|href)="(?!data:)', page)
    drafts = sorted((output / "drafts").glob("*.json"))
    assert {path.stem for path in drafts} == {video for video, _ in moments}
    imported = [
        *("--videos", synthetic / "videos", "--start-second", 900),
        *("--label-map", synthetic / "labelmap.pbtxt", "--output", tmp_path / "again"),
    ]
    code, _, err = run_tool("import_annotations", "via", *drafts, *imported)
    assert code == 0, err
    found = load_annotations(tmp_path / "again/train.csv")
    assert moments == {
        (video, f"{second:04.0f}")
        for video, second in zip(found.video_ids, found.timestamps.tolist(), strict=True)
    }
    assert_mistake(suggest(*options), "--output", "has earlier ones")


def test_labels_that_are_new_compute_no_feature_again(
    suggest: RunTool, labeled: Path, boxes: Path, tmp_path: Path
) -> None:
    """The next round labels what was suggested; another follows."""
    options = ["--boxes", boxes, "--count", 4]
    assert suggest(*options)[0] == 0
    first = {(row["video"], row["second"]) for row in read_rows(tmp_path / "next/suggestions.csv")}
    rows = [f"{video},{second},0.2,0.2,0.4,0.9,12,0" for video, second in sorted(first)]
    (tmp_path / "second.csv").write_text("\n".join([*rows, ""]))
    cached = set((tmp_path / "run/head/features").glob("*.npy"))
    both = f"data.train.annotations=[{labeled},{tmp_path}/second.csv]"
    code, _, err = suggest(*options, both)
    assert code == 0, err
    second = {(row["video"], row["second"]) for row in read_rows(tmp_path / "next/suggestions.csv")}
    assert len(second) == 4
    assert not first & second
    computed = set((tmp_path / "run/head/features").glob("*.npy")) - cached
    # the features of the pool stay; of labeled boxes there are more, in these videos
    videos = [path.stem.rpartition("-")[0] for path in computed]
    assert sorted(videos) == sorted({video for video, _ in first})


def test_persons_are_detected_every_second_where_no_box_file_is(
    suggest: RunTool, synthetic: Path, tmp_path: Path
) -> None:
    """The broken video is passed over, and named."""
    (tmp_path / "videos").mkdir()
    video = synthetic / "videos/train_00000.mp4"
    (tmp_path / "videos" / video.name).write_bytes(video.read_bytes())
    (tmp_path / "videos/broken.mp4").write_bytes(b"no video")
    folder = ["--videos", tmp_path / "videos"]
    code, _, err = suggest(*folder, "--detector", "motion", "data.min_person_score=0.1")
    assert code == 1
    assert "passed over" in err
    assert "broken.mp4" in err
    rows = read_rows(tmp_path / "next/suggestions.csv")
    assert rows
    assert {row["video"] for row in rows} == {"train_00000"}
    assert "0902" not in {row["second"] for row in rows}
    assert not (tmp_path / "next/drafts").exists()


def test_nothing_need_be_labeled(suggest: RunTool, boxes: Path, tmp_path: Path) -> None:
    nothing = ["data.train.annotations=null", "data.val.annotations=null", "data.val.excluded=null"]
    code, out, err = suggest(*nothing, "--boxes", boxes, "--count", 3)
    assert code == 0, err
    assert "scores are not calibrated" in out
    assert len(read_rows(tmp_path / "next/suggestions.csv")) == 3


def test_too_few_labels_calibrate_nothing(
    suggest: RunTool, synthetic: Path, boxes: Path, tmp_path: Path
) -> None:
    (tmp_path / "one.csv").write_text((synthetic / "val.csv").read_text().splitlines()[0] + "\n")
    one = [f"data.val.annotations={tmp_path}/one.csv", "data.val.excluded=null"]
    code, out, err = suggest(*one, "--boxes", boxes)
    assert code == 0, err
    assert "scores are not calibrated: labeled boxes of data.val say too little" in out


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (["--videos", "absent"], ["absent", "no such folder"]),
        (["--count", "0"], ["--count", "at least 1"]),
        (["--weights", "absent.pt"], ["absent.pt", "no such"]),
        (["model.width=8"], ["does not fit"]),
        (["data.min_person_score=0.95"], ["--videos", "data.min_person_score = 0.95"]),
        (["data.train.annotations=absent.csv"], ["absent.csv", "no such file"]),
        (["--format", "paint"], ["--format", "paint"]),
    ],
)
def test_mistakes_are_one_sentence(
    suggest: RunTool, boxes: Path, tmp_path: Path, changed: list[str], words: list[str]
) -> None:
    assert_mistake(suggest("--boxes", boxes, *changed), *words)
    assert not (tmp_path / "next/suggestions.csv").exists()


def test_a_file_that_is_read_is_not_overwritten(
    suggest: RunTool, boxes: Path, tmp_path: Path
) -> None:
    boxes.rename(tmp_path / "suggestions.csv")
    options = ["--boxes", tmp_path / "suggestions.csv", "--output", tmp_path]
    assert_mistake(suggest(*options), "--boxes", "overwritten")


def test_nothing_is_suggested_where_all_is_labeled(
    suggest: RunTool, synthetic: Path, boxes: Path
) -> None:
    whole = f"data.train.annotations={synthetic}/train.csv"
    result = suggest(whole, "--boxes", boxes, "--every", 100)
    assert_mistake(result, "--videos", "not labeled yet")
