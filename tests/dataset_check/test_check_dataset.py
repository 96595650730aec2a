"""The check finds every planted fault, at its line, in a small data set and in a copy of a real
one; and nothing in either without them.
"""

from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ava_det.config import load_config
from ava_det.dataset_check import ERROR, NOTE, Examination, check_dataset
from ava_det.operations.check import list_files
from tests.support.numbered_video import draw_number, write_numbered_video
from tests.support.small_dataset import (
    FAULTS,
    ROOT,
    change_boxes,
    edit_rows,
    overrides,
    read_lines,
    replace_cell,
    scale_time,
    write_boxes,
    write_lines,
    write_small_dataset,
)

RunTool = Callable[..., tuple[int, str, str]]


def examine(arguments: list[str]) -> Examination:
    """What the tool finds, before it is laid out as text."""
    _, config_file, *keys = arguments
    return check_dataset(list_files(load_config(config_file, keys)), iter)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_dataset(tmp_path_factory.mktemp("clean") / "data")


@pytest.fixture(scope="module")
def mini_ava(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini_ava") / "data"
    shutil.copytree(shared_data / "videos", folder / "videos")
    for split in ("train", "val"):
        shutil.copy(shared_data / f"mini_ava/{split}.csv", folder)
        shutil.copy(
            shared_data / f"mini_ava/{split}_excluded_timestamps.csv",
            folder / f"{split}_excluded.csv",
        )
    shutil.copy(shared_data / "mini_ava/labelmap.pbtxt", folder)
    return folder


def plant_and_find(source: Path, folder: Path, start_second: float, fault: str) -> None:
    plant, words, where = FAULTS[fault]
    shutil.copytree(source, folder)
    examination = examine([*overrides(folder, start_second), *plant(folder)])
    errors = [finding for finding in examination.findings if finding.severity == ERROR]
    problems = [f"{finding.where}: {finding.problem}" for finding in errors]
    assert any(
        re.search(words, finding.problem) and where in (None, finding.where) for finding in errors
    ), problems


def test_nothing_is_wrong_with_a_clean_set(clean: Path, run_tool: RunTool) -> None:
    code, out, _ = run_tool("check_dataset", *overrides(clean, 900))
    assert code == 0, out
    assert "Nothing here would spoil training or evaluation (0 warnings, 0 notes)." in out
    assert "train: 2 videos, 20 keyframes (1 excluded), 40 boxes, 60 rows, 3 of 3 classes" in out


@pytest.mark.parametrize("boxes", ["motion", "faster_rcnn:persons.pt"])
def test_boxes_of_a_detector_are_not_taken_for_a_file(clean: Path, boxes: str) -> None:
    [note] = examine([*overrides(clean, 900), f"data.val.boxes={boxes}"]).findings
    assert (note.severity, note.where) == ("note", "data.val.boxes")
    assert boxes in note.problem


def test_nothing_is_wrong_with_the_synthetic_set(
    synthetic_config: list[str], run_tool: RunTool
) -> None:
    code, out, _ = run_tool("check_dataset", *synthetic_config)
    assert code == 0, out
    assert "error" not in out.split("would spoil")[0]
    assert "(0 warnings" in out


@pytest.mark.needs_shared
def test_nothing_is_wrong_with_mini_ava(mini_ava: Path, run_tool: RunTool, tmp_path: Path) -> None:
    code, out, _ = run_tool(
        "check_dataset", *overrides(mini_ava, 0), "--sheet", tmp_path / "sheet.png"
    )
    assert code == 0, out
    assert "(0 warnings" in out
    assert (tmp_path / "sheet.png").stat().st_size > 100_000


@pytest.mark.needs_shared
def test_nothing_is_wrong_with_the_rows_of_ava(
    shared_data: Path, run_tool: RunTool, tmp_path: Path
) -> None:
    """94,625 rows; their videos are not here, and that is the only error."""
    ava = shared_data / "ava"
    keys = [
        f"data.{split}.{key}"
        for split in ("train", "val", "test")
        for key in ("annotations=null", "boxes=gt")
    ]
    keys += [
        f"data.train.annotations={ava}/ava_train_v2.2_29videos.csv",
        f"data.video_dir={tmp_path}",
    ]
    keys += [f"data.train.excluded={ava}/ava_train_excluded_timestamps_v2.2.csv"]
    keys += [f"data.label_map={ava}/ava_action_list_v2.2_for_activitynet_2019.pbtxt"]
    examination = examine(["--config", str(ROOT / "configs/ava/slowfast_r50_4x16.yaml"), *keys])
    errors = [finding.problem for finding in examination.findings if finding.severity == ERROR]
    assert len(errors) == 1
    assert errors[0].startswith("video ids of train without a file")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(clean: Path, tmp_path: Path, fault: str) -> None:
    plant_and_find(clean, tmp_path / "data", 900, fault)


@pytest.mark.needs_shared
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_in_mini_ava(mini_ava: Path, tmp_path: Path, fault: str) -> None:
    plant_and_find(mini_ava, tmp_path / "data", 0, fault)


@pytest.mark.parametrize(
    ("unit", "start_second", "remedy"),
    [
        (1, 0, "data.start_second=900"),
        (1, 900, None),
        (1000, 0, "timestamps look like milliseconds: divide them by 1000"),
        (5, 0, "timestamps look like frame numbers: divide them by the video's frames a second"),
    ],
)
def test_the_remedy_for_seconds_fixes_them(
    clean: Path, tmp_path: Path, unit: int, start_second: float, remedy: str | None
) -> None:
    folder = shutil.copytree(clean, tmp_path / "data")
    if unit != 1:
        for split in ("train", "val"):
            edit_rows(folder / f"{split}.csv", scale_time(unit))
    remedies = {
        f.remedy
        for f in examine(overrides(folder, start_second)).findings
        if "outside their" in f.problem
    }
    assert remedies == ({remedy} if remedy else set())


def test_an_unusual_start_is_narrowed_down(clean: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clean, tmp_path / "data")
    for split in ("train", "val"):
        edit_rows(
            folder / f"{split}.csv", lambda row: [row[0], f"{float(row[1]) - 600:g}", *row[2:]]
        )
    [train, val] = [
        f for f in examine(overrides(folder, 0)).findings if "outside their" in f.problem
    ]
    assert train.remedy.startswith("data.start_second from 298 to 301 ")  # seconds 301..310 in 12 s
    assert (train.count, val.count) == (20, 10)


def test_many_faults_are_reported_together(clean: Path, tmp_path: Path, run_tool: RunTool) -> None:
    folder = shutil.copytree(clean, tmp_path / "data")
    names = [
        "a video is missing",
        "id not in the map",
        "a row twice",
        "malformed rows",
        "no label map",
    ]
    keys = [key for name in names for key in FAULTS[name][0](folder)]
    edit_rows(folder / "val.csv", replace_cell(4, "0.001"), 2)
    code, out, err = run_tool(
        "check_dataset", *overrides(folder, 900), *keys, "--sheet", tmp_path / "sheet.png"
    )
    assert code == 1
    assert not err or "Traceback" not in err
    flat = " ".join(out.split())
    for words in ("train.csv:1 ", "repeat an earlier row", "no such file", "corners swapped"):
        assert words in flat
    assert out.splitlines()[0].startswith("severity")
    severities = [line.split()[0] for line in out.splitlines() if line.split() and line[0] in "ewn"]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert flat.endswith(f"sheet: {tmp_path}/sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_the_sheet_can_be_a_page_with_the_findings(
    clean: Path, run_tool: RunTool, tmp_path: Path
) -> None:
    folder = shutil.copytree(clean, tmp_path / "data")
    keys = FAULTS["a row twice"][0](folder)
    sheet = tmp_path / "sheet.html"
    _, out, err = run_tool("check_dataset", *overrides(folder, 900), *keys, "--sheet", sheet)
    assert "Traceback" not in err
    assert " ".join(out.split()).endswith(f"sheet: {sheet}")
    page = sheet.read_text(encoding="utf-8")
    assert "repeat an earlier row" in page and "how to fix it" in page
    assert page.count('src="data:image/jpeg;base64,') == page.count("<figure>") > 0
    assert page.count('<rect x="') == page.count("<li") > 0
    assert '<li class="faulty">' in page and 'class="faulty"/>' in page
    assert ' src="http' not in page and ' href="' not in page


def test_every_malformed_row_is_named(clean: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clean, tmp_path / "data")
    lines = read_lines(folder / "train.csv")
    for line in (4, 9, 30):
        lines[line - 1] = lines[line - 1].replace(",0.", ",?.", 1)
    write_lines(folder / "train.csv", lines)
    [finding] = [f for f in examine(overrides(folder, 900)).findings if f.severity == ERROR]
    assert (finding.where, finding.count) == ("train.csv:4", 3)
    assert finding.problem.endswith("the same on lines 9, 30")


def test_what_spoils_nothing_is_no_error(
    clean: Path, tmp_path: Path, run_tool: RunTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # in a narrower table these words may stand on several lines
    monkeypatch.setenv("COLUMNS", "200")
    folder = shutil.copytree(clean, tmp_path / "data")
    shutil.copy(folder / "videos/a.mkv", folder / "videos/spare.mkv")
    edit_rows(folder / "train.csv", change_boxes(lambda box: box * 1.1 + 0.14), 3)
    edit_rows(folder / "val.csv", replace_cell(6, ""), 2)
    code, out, _ = run_tool("check_dataset", *overrides(folder, 900))
    assert code == 0, out
    flat = " ".join(out.split())
    for words in (
        "slightly outside the frame",
        "boxes without an action",
        "no split refers to: spare",
    ):
        assert words in flat


def test_recall_of_a_box_file_is_measured(clean: Path, tmp_path: Path) -> None:
    """A fifth of the persons is missing, another fifth is 20 % too narrow: IoU 0.8."""
    folder = shutil.copytree(clean, tmp_path / "data")

    def change(row: list[str]) -> list[str] | None:
        second = int(row[1])
        if second in (901, 902):
            return None
        if second in (903, 904):
            left = float(row[2])
            right = float(row[4])
            return [*row[:4], f"{right - 0.2 * (right - left):.4f}", *row[5:]]
        return row

    keys = write_boxes(change)(folder)
    findings = examine([*overrides(folder, 900), *keys]).findings
    assert "val: 0.800 at IoU 0.5, 0.600 at IoU 0.9" in next(
        f.problem for f in findings if "recall" in f.problem
    )
    assert next(f for f in findings if "no person box" in f.problem).problem.startswith(
        "20.0% of the keyframes"
    )
    assert not [f for f in findings if f.severity == ERROR]


def test_boxes_of_a_pickle_are_checked_too(clean: Path, tmp_path: Path) -> None:
    boxes = {
        f"c,{second:04d}": np.array([[0.1, 0.2, 0.4, 0.9, 0.95]]) for second in range(901, 911)
    }
    boxes["c,0905"] = boxes["c,0905"] * 300
    (tmp_path / "boxes.pkl").write_bytes(pickle.dumps(boxes))
    findings = examine([*overrides(clean, 900), f"data.val.boxes={tmp_path}/boxes.pkl"]).findings
    assert {"boxes.pkl, box 5"} == {
        finding.where for finding in findings if finding.severity == ERROR
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config", "nowhere.yaml"],
        ["data.nothing=1"],
        ["--sheet", "sheet.jpg"],
        ["data.train.annotations=null", "data.val.annotations=null"],
    ],
)
def test_a_mistake_in_the_command_is_2(
    clean: Path, run_tool: RunTool, arguments: list[str]
) -> None:
    code, out, err = run_tool("check_dataset", *overrides(clean, 900), *arguments)
    assert code == 2
    assert not out
    assert err.count("\n") == 1


def test_files_that_are_no_videos_are_named_and_counted(clean: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clean, tmp_path / "data")
    (folder / "videos" / "notes.txt").write_text("filmed on a Tuesday")
    (folder / "videos" / "unknown.bin").write_bytes(bytes(range(256)))
    (folder / "videos" / "extras").mkdir()
    [note] = examine(overrides(folder, 900)).findings
    assert (note.severity, note.where, note.count) == (NOTE, "data.video_dir", 3)
    assert note.problem == (
        "3 entries are no videos and are left out: extras/, notes.txt, unknown.bin"
    )


def test_a_wanted_file_that_is_no_video_is_an_error_and_is_named(
    clean: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(clean, tmp_path / "data")
    (folder / "videos" / "a.mkv").rename(folder / "videos" / "a.txt")
    findings = examine(overrides(folder, 900)).findings
    assert [finding.severity for finding in findings] == [ERROR, NOTE]
    assert findings[0].problem == "video ids of train without a file: a"
    assert findings[1].problem == "1 entry is no video and is left out: a.txt"


def test_videos_that_are_changed_to_be_read_are_named(clean: Path, tmp_path: Path) -> None:
    """Pixels that are not square, and recordings joined end to end: notes, and no errors."""
    folder = tmp_path / "data"
    shutil.copytree(clean, folder)
    squeezed = folder / "videos" / "a.mkv"
    with av.open(str(squeezed), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"g": "10"})
        stream.width = 64
        stream.height = 48
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        for number in range(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(draw_number(number), "rgb24")))
        container.mux(stream.encode())
    (folder / "videos" / "b.mp4").unlink()
    part = tmp_path / "part.ts"
    write_numbered_video(part, [Fraction(number, 5) for number in range(30)], rate=5)
    (folder / "videos" / "b.ts").write_bytes(part.read_bytes() * 2)
    found = examine(overrides(folder, 900)).findings
    assert [one.severity for one in found] == [NOTE, NOTE]
    assert "videos whose pixels are not square: a (64x48, 2:1)" in {one.problem for one in found}
    assert any(one.problem.startswith("its clock starts again or jumps at 6.0 s") for one in found)
