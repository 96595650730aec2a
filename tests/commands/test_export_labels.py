"""ava-det export-labels: files of annotation tools that `ava-det import` reads back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ava_det.formats.annotations import load_annotations
from ava_det.interchange.cvat import load_cvat
from tests.support.tool_runs import assert_mistake

RunTool = Callable[..., tuple[int, str, str]]


@pytest.mark.slow
@pytest.mark.needs_shared
@pytest.mark.parametrize(
    ("tool", "suffix"),
    [
        ("via", "json"),
        ("label-studio", "json"),
        ("cvat", "xml"),
        ("coco", "json"),
        ("datumaro", "zip"),
    ],
)
@pytest.mark.parametrize("split", ["train", "val"])
def test_mini_ava_comes_back_as_it_was(
    tmp_path: Path, shared_data: Path, run_tool: RunTool, tool: str, suffix: str, split: str
) -> None:
    mini = shared_data / "mini_ava"
    given = ["--videos", shared_data / "videos", "--label-map", mini / "labelmap.pbtxt"]
    drafts = tmp_path / "drafts"
    code, _, error = run_tool(
        "export-labels",
        tool,
        "--annotations",
        mini / f"{split}.csv",
        *given,
        "--output",
        drafts,
    )
    assert code == 0, error
    files = sorted(drafts.glob(f"*.{suffix}"))
    files = [path for path in files if path.name != "labels.json"]
    code, _, error = run_tool(
        "import_annotations", tool, *files, *given, "--output", tmp_path / "again"
    )
    assert code == 0, error
    before = load_annotations(mini / f"{split}.csv")
    after = load_annotations(tmp_path / "again/train.csv")
    rows = [
        sorted(
            (video, second, action, *box)
            for video, second, action, box in zip(
                table.video_ids,
                table.timestamps.tolist(),
                table.action_ids.tolist(),
                table.boxes.tolist(),
                strict=True,
            )
        )
        for table in (before, after)
    ]
    assert [row[:3] for row in rows[0]] == [row[:3] for row in rows[1]]
    # CVAT's file has hundredths of a pixel
    for one, other in zip(*rows, strict=True):
        assert other[3:] == pytest.approx(one[3:], abs=0.01 / 180 if tool == "cvat" else 1e-6)
    # the same rows are the same person, under ids of the tool's own
    persons = [
        {
            (video, second): person
            for video, second, person in zip(
                table.video_ids, table.timestamps.tolist(), table.person_ids.tolist(), strict=True
            )
        }
        for table in (before, after)
    ]
    pairs = {(key[0], persons[0][key], persons[1][key]) for key in persons[0]}
    assert len({pair[:2] for pair in pairs}) == len({(v, b) for v, _, b in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("tool", "suffix"), [("via", "json"), ("coco", "json"), ("datumaro", "zip")]
)
def test_detections_become_drafts(
    tmp_path: Path, synthetic: Path, run_tool: RunTool, tool: str, suffix: str
) -> None:
    path = tmp_path / "found.csv"
    path.write_text(
        "train_00000,0901,0.1,0.1,0.5,0.5,12,0.8\ntrain_00000,0901,0.1,0.1,0.5,0.5,14,0.3\n"
    )
    options = ["--videos", synthetic / "videos", "--start-second", "900"]
    options += ["--label-map", synthetic / "labelmap.pbtxt"]
    code, out, error = run_tool(
        "export-labels",
        tool,
        "--detections",
        path,
        *options,
        "--output",
        tmp_path / "drafts",
    )
    assert code == 0, error
    assert f"1 box in 1 file (.{suffix})" in out
    draft = tmp_path / f"drafts/train_00000.{suffix}"
    code, _, error = run_tool(
        "import_annotations", tool, draft, *options, "--output", tmp_path / "mine"
    )
    assert code == 0, error
    rows = load_annotations(tmp_path / "mine/train.csv")
    assert rows.timestamps.tolist() == [901.0]
    assert rows.action_ids.tolist() == [12]
    assert rows.boxes[0] == pytest.approx([0.1, 0.1, 0.5, 0.5])


@pytest.mark.parametrize(("option", "persons"), [("--detections", 2), ("--boxes", 1)])
def test_a_models_output_becomes_a_draft(
    tmp_path: Path, synthetic: Path, run_tool: RunTool, option: str, persons: int
) -> None:
    path = tmp_path / "found.csv"
    path.write_text(
        "train_00000,0901,0.1,0.1,0.5,0.5,12,0.8\ntrain_00000,0901,0.6,0.1,0.9,0.5,14,0.3\n"
    )
    given = ["--label-map", synthetic / "labelmap.pbtxt", "--videos", synthetic / "videos"]
    given += ["--start-second", "900", "--output", tmp_path / "drafts"]
    code, _, error = run_tool("export-labels", "cvat", option, path, *given)
    assert code == 0, error
    [task] = load_cvat(tmp_path / "drafts/train_00000.xml")
    ticked = [sum(value == "true" for _, value in one.boxes[0].attributes) for one in task.tracks]
    assert ticked == ([1, 0] if option == "--detections" else [0])
    assert [one.boxes[0].frame for one in task.tracks] == [15] * persons


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "one of the arguments --annotations"),
        (["--boxes", "train.csv"], "annotations have person ids there"),
        (
            ["--annotations", "train.csv"],
            "--start-second is the annotation time of the first frame",
        ),
    ],
)
def test_a_mistake_is_a_sentence_and_writes_nothing(
    tmp_path: Path,
    synthetic: Path,
    run_tool: RunTool,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(synthetic)
    given = ["--label-map", "labelmap.pbtxt", "--videos", "videos", "--output", tmp_path / "drafts"]
    assert_mistake(run_tool("export-labels", "cvat", *options, *given), words)
    assert not list(tmp_path.rglob("*.xml"))
